"""mmcv's counter, which hooks modules and so sees no product of two activations.

The hooks count a multiply-add once, and besides: a bias of a convolution 1 per output element, ReLU and its like 1 per
output element, a pool 1 per input element, a normalisation 2 per element (1 without weights). A bias of a linear layer
counts nothing, neither does any other activation. Weights that a module uses without calling a layer of torch (those of
`nn.MultiheadAttention`) it does not see either: a trace does not tell, so a network that has them reads too high here.

mmaction2's heads for clips (I3DHead, SlowFastHead) pool before the classifier. Where a network of ours classifies every
place and averages the scores, as pytorchvideo's do, its last layer is taken once, and the pool of its scores left out.

A convolution by kernels that the network computes itself (TANet's) is a call and no layer; so is a pool beside it.

A hook hangs on a type of module and not on what inherits from it, so that SyncBatchNorm counts nothing. mmaction2 makes
the norms of some configurations so, but the one between both parts of a split convolution (R(2+1)D's) never.

C3D with 101 classes at 16x112x112 comes to 38,615,475,200, all digits of mmaction2's metafile of v0.24.1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

from ...core.ops import CostedOp, Kind
from ...core.result import Result
from ..counter import Counter, into, means_and_pools, out_of, products_of_activations

__all__ = ["COUNTERS"]

_CODE = "https://github.com/open-mmlab/mmcv/blob/{}/mmcv/cnn/utils/flops_counter.py"
_AXES = 3  # time, height and width
_HOOKED = ("aten.relu", "aten.prelu", "aten.elu", "aten.leaky_relu", "aten.relu6", "aten.hardtanh")


def _norms(report: Result) -> list[CostedOp]:
    return [costed for costed in report.ops if costed.kind is Kind.NORM]


def _batch_norms(report: Result) -> list[CostedOp]:
    return [costed for costed in _norms(report) if costed.name == "aten.batch_norm"]


def _between_both_parts(report: Result) -> list[CostedOp]:
    """Norms behind the part of a split convolution that sees one frame, and before the part that sees one place."""
    layers = [costed for costed in report.ops if costed.kind in (Kind.CONV, Kind.NORM)]
    return [
        norm
        for before, norm, after in zip(layers, layers[1:], layers[2:], strict=False)
        if norm.kind is Kind.NORM and _kernel(before)[:1] == (1,) and _kernel(after)[1:] == (1, 1)
    ]


def _kernel(costed: CostedOp) -> tuple[int, ...]:
    """Frames, height and width of the kernel of a convolution in three dimensions; of anything else nothing."""
    weight = _argument(costed, "weight") if costed.kind is Kind.CONV else None
    return weight.shape[2:] if weight is not None and weight.ndim == _AXES + 2 else ()


def _hooks(report: Result, norms: Callable[[Result], list[CostedOp]] = _norms) -> int:
    """What the hooks count besides MACs, of these normalisations alone."""
    scored, pooled = _classified_places(report)
    calls = _by_computed_kernels(report)
    added = -products_of_activations(report) - scored - pooled
    added += sum(into(costed) for costed in means_and_pools(report) if costed.op.module not in calls)
    added += sum(into(costed) * (1 + (_argument(costed, "weight") is not None)) for costed in norms(report))
    for costed in report.ops:
        if costed.kind is Kind.CONV and costed.op.module in calls:
            added -= costed.work.macs
        elif (costed.kind is Kind.CONV and _argument(costed, "bias") is not None) or costed.name in _HOOKED:
            added += out_of(costed)
    return added


def _argument(costed: CostedOp, name: str) -> Any:
    return costed.op.signature.arguments.get(name)


def _by_computed_kernels(report: Result) -> frozenset[str]:
    """Modules that convolve without a weight of their own: by kernels that the network computes."""
    paths = {costed.op.module for costed in report.ops if costed.kind is Kind.CONV}
    return frozenset(row.path for row in report.modules if row.path in paths and not row.own_params)


def _classified_places(report: Result) -> tuple[int, int]:
    """MACs of the last layer beyond those of one place, and elements that are pooled after it."""
    last = next((i for i in reversed(range(len(report.ops))) if report.ops[i].work.macs), None)
    if last is None or report.ops[last].kind is not Kind.LINEAR:
        return 0, 0
    places = report.ops[last].op.signature.inputs[0].shape[1:-1]
    if len(places) < _AXES:
        return 0, 0
    macs = report.ops[last].work.macs
    pools = (costed for costed in means_and_pools(report) if any(costed is after for after in report.ops[last:]))
    return macs - macs // prod(places), sum(map(into, pools))


COUNTERS = (
    Counter(
        "mmcv",
        "mmcv",
        "mmcv's hooks add biases of convolutions, ReLU, pooled elements and 2 per normalised element, "
        "and see no product of two activations",
        _hooks,
        _CODE.format("a8073c74bf83d62ec36a103f835faa4837fb6585"),
        "get_modules_mapping",
    ),
    Counter(
        "mmcv 2020",
        "mmcv",
        "mmcv's hooks before March 2021 add biases of convolutions, ReLU, pooled elements and 2 per BatchNorm element, "
        "and see no product of two activations",
        partial(_hooks, norms=_batch_norms),
        _CODE.format("8008f475a"),
        "get_modules_mapping, before commit 97730c231 of 19 March 2021 added GroupNorm, InstanceNorm and LayerNorm",
    ),
    Counter(
        "mmcv of SyncBatchNorm",
        "mmcv of SyncBatchNorm",
        "mmcv's hooks add biases of convolutions, ReLU and pooled elements, and see neither SyncBatchNorm nor products "
        "of two activations",
        partial(_hooks, norms=_between_both_parts),
        _CODE.format("a8073c74bf83d62ec36a103f835faa4837fb6585"),
        "is_supported_instance, which compares types",
    ),
)
