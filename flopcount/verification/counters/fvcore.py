"""fvcore, which traces by torch.jit and charges normalisations besides contractions.

Before 9 March 2021 it charged contractions alone, which is our count. Its charges for adaptive average pools in two
dimensions and for interpolations are left out: our networks write these otherwise than the official code.
"""

from __future__ import annotations

from functools import partial

from ...core.ops import CostedOp
from ...core.result import Result
from ...crosscheck.peers.fvcore.formulas import NORMS, norm_charge
from ..counter import Counter, into

__all__ = ["COUNTERS", "norms"]

_CODE = "https://github.com/facebookresearch/fvcore/blob/{}/fvcore/nn/jit_handles.py"


def norms(report: Result, *, training: bool = False, batch_norm: bool = True) -> int:
    """What fvcore charges all normalisations, as it does in training mode or in evaluation mode."""
    return sum(
        _charge(costed, training)
        for costed in report.ops
        if costed.name in NORMS and (batch_norm or costed.name != "aten.batch_norm")
    )


def _charge(costed: CostedOp, training: bool) -> int:
    return into(costed) * norm_charge(costed.name, costed.op.signature, training=training)


COUNTERS = (
    Counter(
        "fvcore",
        "fvcore",
        "fvcore in eval mode adds 2 per BatchNorm and 5 per LayerNorm element",
        norms,
        _CODE.format("3378afe0d71dc2aa95e358bc78dc9b67cb48825a"),
        "batchnorm_flop_jit and norm_flop_counter, since commit 052545c of 3 June 2021",
        everywhere=True,
    ),
    Counter(
        "fvcore 2021-03",
        "fvcore",
        "fvcore of March to June 2021 adds 5 per element of every normalisation",
        partial(norms, training=True),
        _CODE.format("1f43d07bf4d2ed987928c0c8501b31dfdbbca8a5"),
        "norm_flop_counter, which ignores modes from commit 1f43d07 of 9 March 2021 to 052545c of 3 June 2021",
        everywhere=True,
    ),
    Counter(
        "fvcore without BatchNorm",
        "fvcore without BatchNorm",
        "fvcore with its charge for BatchNorm taken out adds 5 per LayerNorm element",
        partial(norms, batch_norm=False),
        _CODE.format("3378afe0d71dc2aa95e358bc78dc9b67cb48825a"),
        "norm_flop_counter; the caller sets _DEFAULT_SUPPORTED_OPS['aten::batch_norm'] = None",
    ),
)
