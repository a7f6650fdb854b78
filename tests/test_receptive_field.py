"""Fields by hand, and beside what the network itself shows when one input position is made not-a-number.

A NaN travels through every convolution, pool and sum that reads it, whatever the weights, and through nothing else: the
positions whose NaN reaches a unit are the ones it depends on.
"""

import torch
from torch import nn

from flopcount.fields import Lineage, follow, middle, receptive_field


def fields(module, shape):
    return {path: " ".join(map(str, found)) for path, found in receptive_field(module.eval(), shape).items()}


def spans(state, lengths):
    """First and last position that the middle unit sees, per axis, within the clip."""
    found = []
    for reach, length in zip(middle(state), lengths, strict=True):
        low, high = int(reach.low.min()), -int(reach.minus_high.min())
        found.append((max(low, 0), min(high, length - 1)) if low <= high else None)
    return found


def unit(tensor, state):
    """The middle unit with all its channels."""
    laid = [any(jumps) for jumps in zip(*(reach.jumps for reach in state.reaches), strict=True)]
    for axis, is_laid in enumerate(laid):
        if is_laid:
            tensor = tensor.narrow(axis, tensor.shape[axis] // 2, 1)
    return tensor


def merged(state):
    """Whether several axes of the clip are one axis of the tensor: then there is no one unit in the middle."""
    return any(sum(map(bool, jumps)) > 1 for jumps in zip(*(reach.jumps for reach in state.reaches), strict=True))


def tensors_of(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for item in value for tensor in tensors_of(item)] if isinstance(value, (list, tuple)) else []


def measured(module, shape, expected):
    """For each output of each call, per axis the first and last position whose NaN reaches the middle unit."""
    x = torch.randn(shape)
    axes = range(2, len(shape))
    found = {}
    for axis in axes:
        for position in range(shape[axis]):
            outputs = []
            hooks = [
                part.register_forward_hook(lambda m, a, result: outputs.append(tensors_of(result)))
                for part in module.modules()
            ]
            spoiled = x.clone()
            spoiled.select(axis, position).fill_(float("nan"))
            with torch.no_grad():
                module(spoiled)
            for hook in hooks:
                hook.remove()
            assert len(outputs) == len(expected)
            for call, (seen, results) in enumerate(zip(expected, outputs, strict=True)):
                for index, (state, tensor) in enumerate(zip(seen.states, results, strict=True)):
                    if state is not None and unit(tensor, state).isnan().any():
                        found.setdefault((call, index, axis - 2), []).append(position)
    return found


def assert_as_measured(module, shape, at_least=1):
    """Every module's middle unit sees exactly what it says it sees."""
    module.eval()
    mode = follow(module, shape)
    found = measured(module, shape, mode.outputs)
    compared = 0
    for call, seen in enumerate(mode.outputs):
        for index, state in enumerate(seen.states):
            if state is None:
                assert not any(key[:2] == (call, index) for key in found)
                continue
            assert isinstance(state, Lineage), state
            if merged(state):
                continue
            for axis, span in enumerate(spans(state, mode.lengths)):
                positions = found.get((call, index, axis))
                assert span == (positions and (positions[0], positions[-1])), (seen.module, axis, positions)
                compared += 1
    assert compared >= at_least


# By hand


def test_stack_by_hand():
    net = nn.Sequential(
        nn.Conv3d(3, 4, (3, 5, 5), padding=(1, 2, 2)),  # 3×5×5, neighbours 1 apart
        nn.MaxPool3d((1, 2, 2)),  # 5 + 1 = 6, neighbours 2 apart in space
        nn.Conv3d(4, 4, 3, stride=(2, 1, 1), padding=1),  # T: 3 + 2·1 = 5, H, W: 6 + 2·2 = 10
        nn.Conv3d(4, 4, (3, 1, 1), padding=(1, 0, 0)),  # T: 5 + 2·2 = 9
        nn.Conv3d(4, 4, 3, padding=2, dilation=2),  # T: 9 + 4·2 = 17, beyond the clip; H, W: 10 + 4·2 = 18
        nn.AdaptiveAvgPool3d(1),
    )
    found = fields(net, (1, 3, 12, 32, 32))
    assert [found[str(i)] for i in range(6)] == ["3×5×5", "3×6×6", "5×10×10", "9×10×10", "17×18×18", "global"]


def test_lost_is_named_and_never_guessed():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.behind = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)

        def forward(self, x):
            return self.behind(torch.linalg.inv(self.before(x)))

    found = fields(Odd(), (1, 3, 8, 8))
    assert found == {"before": "3×3", "behind": "unknown", "": "unknown"}
    assert receptive_field(Odd(), (1, 3, 8, 8))[""][0].lost == "aten.linalg_inv_ex in the model itself"
