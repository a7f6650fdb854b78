"""What a printed cost may mean: a count at a clip, once or twice per MAC, with or without a term, times views.

Every reading is computed from a trace by its own formula; nothing here is fitted to what was printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from ..core.model_spec import ModelSpec
from ..core.ops import CostedOp, Kind
from ..core.protocol import Clip
from ..core.result import Result
from ..count import count_named
from ..crosscheck.peers.fvcore.formulas import NORMS, norm_charge
from .xla import xla_elementwise

__all__ = [
    "EVAL_NORM",
    "LAYERS",
    "MMCV_NORM",
    "OTHER",
    "PLAIN",
    "TRAIN_NORM",
    "XLA",
    "AddedTerm",
    "Counted",
    "Reading",
    "count",
]


@dataclass(frozen=True, slots=True)
class AddedTerm:
    """What some counters add to the contractions."""

    key: str
    text: str


PLAIN = AddedTerm("contractions", "")
EVAL_NORM = AddedTerm("eval norm", "fvcore in eval mode adds 2 per BatchNorm and 5 per LayerNorm element")
TRAIN_NORM = AddedTerm("norm", "fvcore adds 5 per element of every normalisation")
MMCV_NORM = AddedTerm("mmcv norm", "mmcv adds 2 per element of every normalisation")
LAYERS = AddedTerm("layers", "products of two activations left out, as by counters that hook layers")
XLA = AddedTerm("xla", "half of XLA's count, which adds every element of elementwise operations")
OTHER = AddedTerm("other", "all other_flops added")

_OF_ACTIVATIONS = (Kind.MATMUL, Kind.ATTENTION)


@dataclass(frozen=True, slots=True)
class Counted:
    """One trace in a few numbers: MACs, parameters, those of normalisation layers, and what each term would add."""

    macs: int
    params: int
    norm_params: int = 0
    added: Mapping[AddedTerm, int] = field(default_factory=dict)

    @classmethod
    def of(cls, report: Result) -> Counted:
        """The numbers of a report."""
        norms = [costed for costed in report.ops if costed.kind is Kind.NORM]
        added = {
            EVAL_NORM: sum(_fvcore_norm(costed, training=False) for costed in norms),
            TRAIN_NORM: sum(_fvcore_norm(costed, training=True) for costed in norms),
            MMCV_NORM: sum(_mmcv_norm(costed) for costed in norms),
            LAYERS: -sum(costed.work.macs for costed in report.ops if costed.kind in _OF_ACTIVATIONS),
            XLA: sum(map(xla_elementwise, report.ops)) // 2,
            OTHER: report.other_flops,
        }
        places = {costed.op.module for costed in norms}
        norm_params = sum(row.own_params for row in report.modules if row.path in places)
        return cls(report.macs, report.params, norm_params, added)


def _fvcore_norm(costed: CostedOp, *, training: bool) -> int:
    """What fvcore charges a normalisation.

    Its older versions ignored modes and charged BatchNorm like the others, which is what `training` asks for.
    """
    if costed.name not in NORMS:
        return 0
    return costed.op.signature.inputs[0].numel * norm_charge(costed.name, costed.op.signature, training=training)


def _mmcv_norm(costed: CostedOp) -> int:
    """What mmcv charges a normalisation (`norm_flops_counter_hook` in mmcv/cnn/utils/flops_counter.py)."""
    affine = costed.op.signature.arguments.get("weight") is not None
    return costed.op.signature.inputs[0].numel * (1 + affine)


@dataclass(frozen=True, slots=True)
class Reading:
    """One meaning of a printed cost; `value` is the number it gives."""

    counted: Counted
    clip: Clip
    per_mac: int = 1
    term: AddedTerm = PLAIN
    views: int = 1

    @property
    def value(self) -> int:
        """(MACs, or twice as many, + the term) * views; what LAYERS leaves out and XLA's halves count twice too."""
        extra = self.counted.added.get(self.term, 0) * (self.per_mac if self.term in (LAYERS, XLA) else 1)
        return (self.per_mac * self.counted.macs + extra) * self.views


@cache
def count(spec: ModelSpec) -> Counted:
    """Trace a network once; the same call is answered from a cache.

    Raises:
        FlopcountError: the network cannot take the clip, or cannot be built.
    """
    return Counted.of(count_named(spec))
