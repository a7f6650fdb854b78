"""OpenVINO's model analyzer, which counts a multiply-add twice and elementwise operations besides.

Of its layers: ReLU 2 per element, a pool its kernel per output element, softmax 5, sigmoid 3, a sum of two tensors or a
bias 1, a mean over places its inputs. Batch normalisation is folded into the convolution before it, whose bias is then
added: 1 per element. Linear layers are products, with a bias added.
"""

from __future__ import annotations

from math import prod

from ...core.ops import CostedOp, Kind
from ...core.result import Result
from ..counter import Counter, out_of

__all__ = ["COUNTERS"]

_PER_ELEMENT = {
    "aten.relu": 2,
    "aten.sigmoid": 3,
    "aten.softmax": 5,
    "aten.add": 1,
    "aten.mul": 1,
    "aten.sub": 1,
    "aten.div": 1,
    "aten.batch_norm": 1,
}


def _elementwise(report: Result) -> int:
    return sum(map(_charge, report.ops))


def _charge(costed: CostedOp) -> int:
    arguments = costed.op.signature.arguments
    if costed.kind in (Kind.CONV, Kind.LINEAR):
        return out_of(costed) if arguments.get("bias") is not None else 0
    if costed.kind is Kind.POOL:
        return out_of(costed) * prod(arguments.get("kernel_size") or (1,))
    return _PER_ELEMENT.get(costed.name, 0) * out_of(costed)


COUNTERS = (
    Counter(
        "openvino",
        "openvino",
        "OpenVINO's analyzer counts a multiply-add twice, ReLU 2, biases and sums 1 per element, pools their kernels",
        _elementwise,
        "https://github.com/openvinotoolkit/model_analyzer/blob/d9fe35199e65bc08239a00d0b3c924e9a0f5c428/model_analyzer/layer_provider.py",
        "get_ops_per_element of each layer type",
        per_mac=2,
    ),
)
