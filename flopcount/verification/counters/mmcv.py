"""mmcv's counter, which hooks modules and so sees no product of two activations.

The hooks count a multiply-add once, and besides: a bias of a convolution 1 per output element, ReLU and its like 1 per
output element, a pool 1 per input element, a normalisation 2 per element (1 without weights). A bias of a linear layer
counts nothing, neither does any other activation. Weights that a module uses without calling a layer of torch (those of
`nn.MultiheadAttention`) it does not see either: a trace does not tell, so a network that has them reads too high here.

mmaction2's heads for clips (I3DHead, SlowFastHead) pool before the classifier. Where a network of ours classifies every
place and averages the scores, as pytorchvideo's do, its last layer is taken once, and the pool of its scores left out.

C3D with 101 classes at 16x112x112 comes to 38,615,475,200, all digits of mmaction2's metafile of v0.24.1.
"""

from __future__ import annotations

from functools import partial
from math import prod

from ...core.ops import Kind
from ...core.result import Result
from ..counter import Counter, into, means_and_pools, out_of, products_of_activations

__all__ = ["COUNTERS"]

_CODE = "https://github.com/open-mmlab/mmcv/blob/{}/mmcv/cnn/utils/flops_counter.py"
_AXES = 3  # time, height and width, kept up to the last layer
_HOOKED = ("aten.relu", "aten.prelu", "aten.elu", "aten.leaky_relu", "aten.relu6", "aten.hardtanh")


def _hooks(report: Result, *, only_batch_norm: bool = False) -> int:
    scored, pooled = _classified_places(report)
    added = -products_of_activations(report) - scored + sum(map(into, means_and_pools(report))) - pooled
    for costed in report.ops:
        arguments = costed.op.signature.arguments
        if (costed.kind is Kind.CONV and arguments.get("bias") is not None) or costed.name in _HOOKED:
            added += out_of(costed)
        elif costed.kind is Kind.NORM and (costed.name == "aten.batch_norm" or not only_batch_norm):
            added += into(costed) * (1 + (arguments.get("weight") is not None))
    return added


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
        partial(_hooks, only_batch_norm=True),
        _CODE.format("8008f475a"),
        "get_modules_mapping, before commit 97730c231 of 19 March 2021 added GroupNorm, InstanceNorm and LayerNorm",
    ),
)
