"""thop's `profile`, run for real, and why its count differs: MACs, and arithmetic of norms, pooling and gates.

What enters is a real module with real tensors; what leaves is thop's count of each module and the causes, by the
formulas of thop/vision/calc_func.py and thop/rnn_hooks.py on our module calls. thop hooks modules by their exact type
and sees nothing else. Its products are ours but for transposed convolutions and unbatched input; what it adds to them,
and counts for layers without products, is in `_ADDS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

from torch import nn

from ...core.ops import CostedOp, ModuleCall
from ...core.reason import Reason
from ...tracing.torch_private import ConvNd, ConvTransposeNd
from ..claims import Extras, claims_of_hooks, explain, layer_products, unrecognised, visits
from ..peer import Cause, PeerCount, Subject, quiet
from ..reasons import BIAS, FULL_LENGTH, adds
from ..watched import Journal, Watched, watch, watched_peer

__all__ = ["PEER"]


def _run(subject: Subject) -> tuple[PeerCount, Watched]:
    """What thop counts in one forward pass in eval mode, with positional arguments alone."""
    if subject.kwargs:
        raise TypeError(f"it takes no keyword arguments ({', '.join(subject.kwargs)})")
    with quiet():  # it imports distutils
        from thop import profile

    def call(journal: Journal) -> Any:
        return profile(subject.module, inputs=subject.args, verbose=False, ret_layer_info=True)

    names = subject.names
    (total, _, layers), watched = watch(subject.module, call)
    macs: Counter[str] = Counter()
    for part, amount in _own(subject.module, layers):
        macs[names[id(part)]] += int(amount)
    return PEER.count(macs, int(total)), watched  # the layers do not show the root's own


def _own(module: nn.Module, layers: dict[str, Any]) -> Iterator[tuple[nn.Module, float]]:
    """What each module below this one adds itself: its entry less those of its own layers."""
    for name, child in module.named_children():
        amount, _, inner = layers[name]
        yield child, amount - sum(entry[0] for entry in inner.values())
        if inner:
            yield from _own(child, inner)


def _causes(subject: Subject, watched: Watched) -> Iterator[Cause]:
    """One cause per formula that differs, per operator that no hook sees, per shared module."""
    with quiet():
        from thop.profile import register_hooks

    def absence(module: nn.Module, op: CostedOp) -> Reason:
        return unrecognised(module, register_hooks)

    claims = claims_of_hooks(watched, register_hooks, _formula)
    applied = visits(subject.module)  # `apply` hooks a module once per place,
    summed = visits(
        subject.module, lambda module: type(module) in register_hooks and not isinstance(module, nn.Sequential)
    )
    places = Counter({path: applied[path] * summed[path] for path in applied})  # and its sum visits it once per place
    yield from explain(PEER.name, watched, claims, places, absence, lambda path, times: _repeated(applied[path]))


def _repeated(places: int) -> Reason:
    return Reason("hooks a module once for each of its {} places, and adds the sum again for each place", (places,))


def _formula(module: Any, call: ModuleCall) -> tuple[Extras, bool]:
    """What thop adds to the products of one call, and whether there are products in its formula at all."""
    if isinstance(module, ConvNd):
        return _convolution(module, call), True
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return _recurrence(module, call), True
    if isinstance(module, nn.Linear):
        return (), True
    formula = _ADDS.get(type(module))
    return (formula(module, call) if formula else ()), False


def _convolution(module: Any, call: ModuleCall) -> Extras:
    """`prod(output) * (input_size[1] // groups) * prod(kernel)`, whatever kind of convolution it is."""
    shape, out = call.inputs[0], call.outputs[0]
    claimed = prod(out) * (shape[1] // module.groups) * prod(module.kernel_size)
    unbatched = len(shape) == len(module.kernel_size) + 1
    if not unbatched and not isinstance(module, ConvTransposeNd):
        return ()
    return ((_SECOND_AXIS if unbatched else _OUTPUT_POSITIONS, claimed - layer_products(module, call)),)


_SECOND_AXIS = Reason("treats the second axis as channels")
_OUTPUT_POSITIONS = Reason("counts a transposed convolution per output position")


_GATES = {nn.RNN: 1, nn.RNNCell: 1, nn.GRU: 3, nn.GRUCell: 3, nn.LSTM: 4, nn.LSTMCell: 4}
_BESIDE_GATES = {nn.RNN: 0, nn.RNNCell: 0, nn.GRU: 4, nn.GRUCell: 4, nn.LSTM: 4, nn.LSTMCell: 4}


def _recurrence(module: Any, call: ModuleCall) -> Extras:
    """Per step and sample: the products, 1 per gate (2 more with bias) and the elementwise part per hidden unit."""
    hidden, gates = module.hidden_size, _GATES[type(module)]
    steps = _rows(module, call)
    directions = 2 if getattr(module, "bidirectional", False) else 1
    layers = getattr(module, "num_layers", 1)
    widths = [module.input_size] + [hidden * directions] * (layers - 1)
    claimed = sum(gates * hidden * (width + hidden) for width in widths) * directions * steps
    units = hidden * directions * layers * steps
    elementwise = gates + _BESIDE_GATES[type(module)]
    return (
        (FULL_LENGTH, claimed - layer_products(module, call)),
        (adds(elementwise, "hidden unit"), elementwise * units),
        (BIAS, 2 * gates * units if module.bias else 0),
    )


def _rows(module: Any, call: ModuleCall) -> int:
    """Steps × samples as thop takes them: of a PackedSequence its steps times its largest batch."""
    shape = call.inputs[0]
    if isinstance(module, nn.RNNCellBase):
        return shape[0]
    batch_sizes = call.inputs[1] if len(call.inputs) > 1 else ()
    return batch_sizes[0] * call.outputs[-1][-2] if len(batch_sizes) == 1 else shape[0] * shape[1]


def _per_input(count: int) -> Callable[[Any, ModuleCall], Extras]:
    return lambda module, call: ((adds(count, "element"), count * prod(call.inputs[0])),)


def _norm(module: Any, call: ModuleCall) -> Extras:
    affine = getattr(module, "affine", False) or getattr(module, "elementwise_affine", False)
    return _per_input(4 if affine else 2)(module, call)


def _softmax(module: Any, call: ModuleCall) -> Extras:
    shape = call.inputs[0]
    rows = prod(shape) // shape[module.dim]
    return ((Reason("adds 3 per element, less 1 per row"), rows * (3 * shape[module.dim] - 1)),)


def _average(module: Any, call: ModuleCall) -> Extras:
    return ((adds(1, "output element"), prod(call.outputs[0])),)


def _adaptive_average(module: Any, call: ModuleCall) -> Extras:
    shape, out = call.inputs[0], call.outputs[0]
    window = prod(before / after for before, after in zip(shape[2:], out[2:], strict=True))
    return ((Reason("adds the size of the window plus 1 per output element"), int((window + 1) * prod(out))),)


_PER_OUTPUT = {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 224 + 35}


def _upsample(module: Any, call: ModuleCall) -> Extras:
    count = _PER_OUTPUT.get(module.mode, 0)
    return ((adds(count, "output element"), count * prod(call.outputs[0])),)


_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.LayerNorm)
_INSTANCES = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_ADDS: dict[type[nn.Module], Callable[[Any, ModuleCall], Extras]] = {
    **dict.fromkeys((*_NORMS, *_INSTANCES), _norm),
    nn.PReLU: _per_input(1),
    nn.Softmax: _softmax,
    **dict.fromkeys((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), _average),
    **dict.fromkeys((nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d), _adaptive_average),
    **dict.fromkeys((nn.Upsample, nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d), _upsample),
}


PEER = watched_peer("thop", _run, _causes, "thop>=0.1.1.post2209072238", "setuptools")  # for its distutils
