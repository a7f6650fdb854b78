"""Fields by hand, and compared with what the network itself shows when one input position is not-a-number.

A NaN travels through every convolution, pool and sum that reads it, whatever the weights, and through nothing else: the
positions whose NaN reaches a unit are the ones it depends on.
"""

import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import Apply
from torch import nn
from typer.testing import CliRunner
from zoo import UNLIKE, every, undrawn

from flopcount import InputError, count_flops, create_model, receptive_field
from flopcount.analysis.receptive_field import InputDependence, follow, middle
from flopcount.cli import app
from flopcount.models import CARDS
from flopcount.models.networks.selective_scan import selective_scan
from flopcount.tracing.dependences import windows


def fields(module, shape):
    return {path: " ".join(map(str, found)) for path, found in receptive_field(module.eval(), shape).items()}


def spans(state):
    """First and last position that the middle unit sees, per axis, also outside the clip."""
    found = [(int(reach.low.min()), -int(reach.minus_high.min())) for reach in middle(state)]
    return [(low, high) if low <= high else None for low, high in found]


def assert_span(span, positions, length, *, gapless, where):
    """Both ends are read. Where windows leave gaps, an end outside the clip means that all reads lie inside."""
    if span is None or positions is None:
        assert span is None or (not gapless and (span[0] < 0 or span[1] >= length)), where
        assert positions is None, where
        return
    (low, high), first, last = span, positions[0], positions[-1]
    assert first == max(low, 0) or (not gapless and low < 0), where
    assert last == min(high, length - 1) or (not gapless and high >= length), where
    assert low <= first, where
    assert last <= high, where


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


def outputs_of(module, x):
    """The output tensors of every call of every module, in the order the calls end."""
    outputs = []
    hooks = [
        part.register_forward_hook(lambda module, given, result: outputs.append(tensors_of(result)))
        for part in module.modules()
    ]
    with torch.no_grad():
        module(x)
    for hook in hooks:
        hook.remove()
    return outputs


def measured(module, shape, expected):
    """For each output of each call, per axis of the clip the positions whose NaN reaches the middle unit."""
    x = torch.randn(shape)
    found = {}
    for axis in range(2, len(shape)):
        for position in range(shape[axis]):
            spoiled = x.clone()
            spoiled.select(axis, position).fill_(float("nan"))
            outputs = outputs_of(module, spoiled)
            assert len(outputs) == len(expected)
            for call, (seen, results) in enumerate(zip(expected, outputs, strict=True)):
                for index, (state, tensor) in enumerate(zip(seen.states, results, strict=True)):
                    if state is not None and unit(tensor, state).isnan().any():
                        found.setdefault((call, index, axis - 2), []).append(position)
    return found


def assert_as_measured(module, shape, at_least=1, *, gapless=True):
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
            assert isinstance(state, InputDependence), state
            if merged(state):
                continue
            ends = zip(spans(state), mode.lengths, strict=True)
            unread = not any(key[:2] == (call, index) for key in found)
            if not gapless and unread and any(span and (span[0] < 0 or span[1] >= n) for span, n in ends):
                continue  # nothing but padding
            for axis, span in enumerate(spans(state)):
                positions = found.get((call, index, axis))
                where = seen.module, axis, span, positions
                assert_span(span, positions, mode.lengths[axis], gapless=gapless, where=where)
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


LECTURE = {  # as on its slides; a convolution of 3, a pool of 4, 3 at every fourth pixel: 3, 3 + 3 = 6, 6 + 2·4 = 14
    "toy_late_fusion": ["1×3×3", "1×6×6", "1×14×14", "global"],
    "toy_early_fusion": ["20×3×3", "20×6×6", "20×14×14", "global"],
    "toy_3d_cnn": ["3×3×3", "6×6×6", "14×14×14", "global"],
}


@pytest.mark.parametrize("name", LECTURE)
def test_lecture(name):
    found = fields(create_model(name), (1, 3, 20, 64, 64))
    assert [found[layer] for layer in ("conv1", "pool1", "conv2", "global_pool")] == LECTURE[name]
    assert found["fc"] == "global"


def test_c3d_sees_beyond_its_clip_and_the_same_at_every_size():
    small, large = (fields(create_model("c3d", clip=clip), (1, 3, *clip)) for clip in ((16, 16, 16), (32, 112, 112)))
    layers = [name for name in small if name not in ("relu", "dropout")]
    assert [small[name] for name in layers] == [large[name] for name in layers]
    # 3; then a pool adds (2 − 1), a convolution 2 neighbours; in time neighbours are 1, 1, 2, 2, 4, 4, 8, 8 apart
    assert small["conv5b"] == f"{3 + 2 + 1 + 2 * 4 + 2 + 4 * 4 + 4 + 8 * 4}×134×134" == "68×134×134"


def test_frames_in_the_batch_see_themselves_until_they_are_merged():
    found = fields(create_model("cnn_lstm", clip="3x49x49"), (1, 3, 3, 49, 49))
    assert found["cnn.conv5"].startswith("1×")
    assert found["cnn.fc6"] == "1×49×49"
    assert found["lstm"] == found[""] == "global"  # the LSTM's last state has seen all frames


def test_attention_is_global_and_causal_attention_up_to_itself():
    def attend(x, causal):
        q = x.flatten(2).transpose(1, 2)[:, None]  # (B, 1, N, C): one token per position
        return F.scaled_dot_product_attention(q, q, q, is_causal=causal)

    everything = follow(Apply(lambda x: attend(x, False)), (1, 4, 2, 3, 3)).outputs[-1].states[0]
    so_far = follow(Apply(lambda x: attend(x, True)), (1, 4, 4, 1, 1)).outputs[-1].states[0]
    assert all(int(reach.low.max()) < 0 for reach in everything.reaches)
    assert (-so_far.reaches[0].minus_high).flatten().tolist()[:3] == [0, 1, 2]


def test_lost_is_named_and_never_guessed():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.behind = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)

        def forward(self, x):
            return self.behind(torch.linalg.inv(self.before(x)))

    assert fields(Odd(), (1, 3, 8, 8)) == {"before": "3×3", "behind": "unknown", "": "unknown"}
    report = count_flops(Odd(), (1, 3, 8, 8)).with_receptive_field()
    assert report.receptive_field[""][0].lost == "aten.linalg_inv_ex in the model itself"
    assert "field unknown: from aten.linalg_inv_ex in the model itself on, whose dependences" in str(report)


def test_weights_that_depend_on_the_clip_are_not_overlooked():
    def of_corner(x):
        return F.conv2d(x, x[:, :, :3, :3])  # the middle one of 6 outputs: positions 3 to 5, and 0 to 2 for its weights

    assert fields(Apply(of_corner), (1, 3, 8, 8)) == {"": "6×6"}
    assert_as_measured(Apply(of_corner), (1, 3, 8, 8), at_least=2)
    turned = Apply(lambda x: F.conv_transpose2d(x, x[:, :, :3, :3].transpose(0, 1)))
    assert fields(turned, (1, 3, 8, 8)) == {"": "unknown"}


def test_each_frame_by_a_kernel_and_a_bias_of_its_own():
    """As in TAdaConv: frames in the channels, so that each group of the convolution is a frame."""

    def convolved(x, of_weights, of_biases):
        maps = x.transpose(1, 2).flatten(1, 2)  # (1, T·C, H, W)
        weight = maps[:, :, :3, :3].transpose(0, 1) if of_weights else torch.ones(8, 1, 3, 3)
        bias = maps[0, :, -1, -1] if of_biases else None
        return F.conv2d(maps, weight, bias, padding=1, groups=8).unflatten(1, (4, 2)).transpose(1, 2)

    for which, expected in (((0, 0), "1×3×3"), ((1, 0), "1×6×6"), ((0, 1), "1×5×5"), ((1, 1), "1×8×8")):
        net = Apply(lambda x, which=which: convolved(x, *which))
        assert fields(net, (1, 2, 4, 8, 8)) == {"": expected}
        assert_as_measured(net, (1, 2, 4, 8, 8), at_least=3)


def test_tokens_in_the_order_that_the_clip_decides():
    """Any of them may come to any place; each token is one frame, of which all pixels are seen."""

    def ordered(x, count):
        tokens = x.mean((3, 4)).transpose(1, 2)  # (B, T, C)
        places = tokens.sum(2).argsort(1)[:, :count]
        return tokens, tokens.gather(1, places.unsqueeze(-1).expand(-1, -1, tokens.shape[2]))

    for count in (6, 2):
        tokens, picked = follow(Apply(lambda x, count=count: ordered(x, count)), (1, 4, 6, 8, 8)).outputs[-1].states
        assert spans(tokens)[0] == (3, 3)
        assert spans(picked)[0] != (3, 3)
        assert all(int(reach.low.max()) < 0 for reach in picked.reaches)


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"dilation": 2, "padding": 2}, {"stride": 2}])
def test_patches_see_their_tap(options):
    def patches(x, tap):
        windows = F.unfold(x, 3, **options)  # (B, C·9, windows)
        side = round(windows.shape[-1] ** 0.5)
        return windows[:, tap].unflatten(-1, (side, side))

    whole = Apply(lambda x: patches(x, slice(None)).sum(1))
    size = 5 if "dilation" in options else 3
    assert fields(whole, (1, 2, 9, 9)) == {"": f"{size}×{size}"}
    assert_as_measured(whole, (1, 2, 9, 9), at_least=2, gapless=False)
    for tap in (0, 5):
        one = Apply(lambda x, tap=tap: patches(x, slice(tap, None, 9)))
        assert fields(one, (1, 2, 9, 9)) == {"": "1×1"}
        assert_as_measured(one, (1, 2, 9, 9), at_least=2)


def test_large_patches_see_their_window(monkeypatch):
    monkeypatch.setattr(windows, "_LIMIT", 0)
    assert fields(Apply(lambda x: F.unfold(x, 3)[:, :1].unflatten(2, (7, 7))), (1, 2, 9, 9)) == {"": "3×3"}


def test_a_scan_sees_what_came_before():
    """A token per frame, which writes by u and reads by C; u, Δ, B and C in turn depend on the clip."""
    for role in range(4):

        def scanned(x, role=role):
            of_clip = x.mean((3, 4)).transpose(1, 2)  # (B, T, C)
            parts = [of_clip if one == role else torch.ones_like(of_clip) for one in range(4)]
            return selective_scan(*parts[:2], -torch.ones(2, 2), *parts[2:], torch.ones(2))

        assert_as_measured(Apply(scanned), (1, 2, 6, 3, 3), at_least=3)
        state = follow(Apply(scanned), (1, 2, 6, 3, 3)).outputs[-1].states[0]
        assert spans(state)[0] == ((3, 3) if role == 3 else (0, 3))


def test_what_is_empty_sees_nothing_and_hides_nothing():
    net = Apply(
        lambda x: torch.cat([x[:, :0], F.conv2d(x, torch.ones(1, 3, 3, 3), padding=1), x.split([0, 3], 1)[0]], 1)
    )
    assert fields(net, (1, 3, 8, 8)) == {"": "3×3"}
    assert fields(Apply(lambda x: x[:, :0]), (1, 3, 8, 8)) == {}


def test_indices_without_values_are_not_guessed():
    assert fields(Apply(lambda x: x[:, :, [0, 3]]), (1, 3, 8, 8, 8)) == {"": "unknown"}
    chosen = Apply(lambda x: x.index_select(2, x.mean((0, 1, 3, 4)).argsort()[:2]))
    assert fields(chosen, (1, 3, 8, 8, 8)) == {"": "global"}


aten = torch.ops.aten
BY_ANOTHER_NAME = {
    "_safe_softmax": (lambda x: aten._safe_softmax(x, -1), lambda x: x.softmax(-1)),
    "native_group_norm": (
        lambda x: aten.native_group_norm(x, None, None, 1, 4, 64, 2, 1e-5)[0],
        lambda x: F.group_norm(x, 2),
    ),
    "_convolution_mode": (
        lambda x: aten._convolution_mode(x, torch.ones(4, 4, 3, 3), None, [1, 1], "same", [1, 1], 1),
        lambda x: F.conv2d(x, torch.ones(4, 4, 3, 3), padding="same"),
    ),
    "nanmean": (lambda x: x.nanmean(2), lambda x: x.mean(2)),
    "amax": (lambda x: x.amax(2), lambda x: x.sum(2)),
    "kthvalue": (lambda x: x.kthvalue(1, 2)[0], lambda x: x.sum(2)),
    "nanmedian": (lambda x: x.nanmedian(2)[0], lambda x: x.median(2)[0]),
    "moveaxis": (lambda x: x.moveaxis(2, 3), lambda x: x.transpose(2, 3)),
    "mT": (lambda x: x.mT, lambda x: x.transpose(2, 3)),
    "tile": (lambda x: x.tile(2), lambda x: x.repeat(1, 1, 1, 2)),
    "concat": (lambda x: torch.concat([x, x], 1), lambda x: torch.cat([x, x], 1)),
    "chunk": (lambda x: x.chunk(2, 2)[0], lambda x: x[:, :, :4]),
    "rfft2": (torch.fft.rfft2, lambda x: torch.fft.fftn(x, dim=(2, 3))),
    "a transform of a part": (lambda x: torch.fft.fftn(x, s=(4,)), lambda x: torch.fft.fft(x[..., :4])),
}


@pytest.mark.parametrize("name", BY_ANOTHER_NAME)
def test_an_alias_sees_what_the_canonical_operator_sees(name):
    alias, canonical = BY_ANOTHER_NAME[name]
    expected = fields(Apply(canonical), (1, 4, 8, 8))
    assert fields(Apply(alias), (1, 4, 8, 8)) == expected != {"": "unknown"}


@pytest.mark.parametrize(
    "pick",
    [
        lambda x: x.gather(2, torch.zeros(1, 4, 2, 8, dtype=torch.int64)),
        lambda x: x.take_along_dim(torch.zeros(1, 4, 2, 8, dtype=torch.int64), 2),
        lambda x: x.take(torch.tensor([[0, 1]])).unsqueeze(-1),
    ],
)
def test_picking_single_elements_is_not_picking_slices(pick):
    assert fields(Apply(pick), (1, 4, 8, 8)) == {"": "unknown"}


def test_scattering_is_not_taken_for_elementwise():
    net = Apply(lambda x: torch.zeros_like(x).scatter_add(3, torch.zeros(x.shape, dtype=torch.int64), x))
    assert fields(net, (1, 3, 8, 8)) == {"": "unknown"}


def test_no_height_and_width():
    with pytest.raises(InputError, match="no input has height and width"):
        receptive_field(nn.Linear(4, 2), (1, 4))


# Beside the network itself


class Residual(nn.Module):
    """Two convolutions beside a strided shortcut, twice; the second block normalises groups."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(2, 4, 3, stride=2, padding=1), nn.Conv3d(4, 4, (3, 1, 1), padding=(1, 0, 0))
        self.shortcut, self.bn = nn.Conv3d(2, 4, 1, stride=2), nn.BatchNorm3d(4)
        self.depthwise = nn.Conv3d(4, 4, 3, padding=1, groups=4)
        self.norm = nn.GroupNorm(2, 4)

    def forward(self, x):
        x = torch.relu_(self.bn(self.conv2(torch.relu(self.conv1(x))))) + self.shortcut(x)
        return self.norm(x + self.depthwise(x))


class Inception(nn.Module):
    """Branches of different windows side by side, the widest dilated and uneven."""

    def __init__(self):
        super().__init__()
        self.one, self.three = nn.Conv3d(2, 2, 1), nn.Conv3d(2, 2, 3, padding=1)
        self.wide = nn.Conv3d(2, 2, (3, 5, 3), padding="same", dilation=(1, 1, 2))
        self.pool, self.after = nn.MaxPool3d(3, stride=1, padding=1), nn.Conv3d(8, 2, 3, stride=(1, 2, 2))
        self.apart = nn.Conv3d(8, 8, (1, 3, 1), groups=4)

    def forward(self, x):
        x = torch.cat([self.one(x), self.three(x), self.wide(x), self.pool(x)], 1)
        return self.after(self.apart(x))


class TwoPathways(nn.Module):
    """Every fourth frame, unevenly, beside all of them, with a lateral convolution; both pooled at the end."""

    def __init__(self):
        super().__init__()
        self.slow, self.fast = (
            nn.Conv3d(2, 4, (1, 3, 3), padding=(0, 1, 1)),
            nn.Conv3d(2, 2, (5, 3, 3), padding=(2, 1, 1)),
        )
        self.lateral = nn.Conv3d(2, 4, (5, 1, 1), stride=(4, 1, 1), padding=(2, 0, 0))
        self.slow2, self.fast2 = nn.Conv3d(8, 4, 3, padding=1), nn.Conv3d(2, 2, 3, padding=1)
        self.pool = nn.AvgPool3d((2, 8, 8), stride=1)

    def forward(self, x):
        picked = torch.linspace(0, x.shape[2] - 1, x.shape[2] // 4).long()
        slow, fast = self.slow(x.index_select(2, picked)), self.fast(x)
        slow = self.slow2(torch.cat([slow, self.lateral(fast)], 1))
        return torch.cat([self.pool(slow).flatten(1), self.fast2(fast).mean((2, 3, 4))], 1)


class Rearranged(nn.Module):
    """Frames written, read and stacked in every way that keeps them whole."""

    def __init__(self):
        super().__init__()
        self.frame, self.over_time = nn.Conv2d(2, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose3d(4, 4, (2, 3, 3), stride=(2, 2, 2), padding=(0, 1, 1))
        self.last = nn.Conv3d(4, 2, 3)

    def forward(self, x):
        maps = torch.stack([self.frame(frame) for frame in x.unbind(2)], 1)  # (B, T, C, H, W)
        shifted = torch.zeros_like(maps)
        shifted[:, 1:, :2] = maps[:, :-1, :2]
        shifted[:, :, 2:] = maps[:, :, 2:]
        b, t, c, h, w = shifted.shape
        along = self.over_time(shifted.permute(0, 3, 4, 2, 1).reshape(-1, c, t))  # T last, pixels in the batch
        clip = along.reshape(b, h, w, c, t).permute(0, 3, 4, 1, 2)
        larger = F.interpolate(self.up(F.pad(clip, (1, 0, 0, 1))), scale_factor=(1, 2, 2), mode="nearest")
        return self.last(F.avg_pool3d(larger, (1, 3, 3)))


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (Residual(), (1, 2, 9, 12, 12)),
        (Inception(), (1, 2, 8, 14, 14)),
        (TwoPathways(), (1, 2, 12, 8, 8)),
        (Rearranged(), (1, 2, 6, 8, 8)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_small_networks_see_what_they_say(net, shape):
    assert_as_measured(net, shape, at_least=9)


ZOO = [
    *("single_frame", "early_fusion", "slow_fusion", "toy_late_fusion", "toy_early_fusion", "toy_3d_cnn", "cnn_lstm"),
    "r2plus1d_18",
    pytest.param("slowfast_r50_8x8", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo_see_what_they_say(name):
    model = create_model(name, clip=CARDS[name].smallest, num_classes=3)
    assert_as_measured(model, (1, *model.recipe.inputs[0]), at_least=15)


@pytest.mark.slow
@pytest.mark.parametrize("name", every(name for name, card in UNLIKE.items() if not card.requires))
def test_nothing_of_the_zoo_is_unknown(name):
    with undrawn():
        model = create_model(name, clip=CARDS[name].smallest, num_classes=3).eval()
    found = receptive_field(model, tuple((1, *shape) for shape in model.recipe.inputs))
    assert not any(field.lost for fields in found.values() for field in fields)
    assert found[""]


def layers(draw, channels):
    size = st.integers(1, 4)
    kind = draw(st.sampled_from(["conv", "max", "avg", "up"]))
    kernel, stride = ([draw(size) for _ in range(3)] for _ in range(2))
    if kind == "conv":
        padding, dilation = ([draw(st.integers(0, 2)) for _ in range(3)], [draw(st.integers(1, 2)) for _ in range(3)])
        return nn.Conv3d(channels, channels, kernel, stride, padding, dilation, groups=draw(st.sampled_from([1, 2])))
    if kind == "up":
        return nn.ConvTranspose3d(channels, channels, kernel, [min(s, k) for s, k in zip(stride, kernel, strict=True)])
    padding = [draw(st.integers(0, k // 2)) for k in kernel]
    if kind == "max":
        return nn.MaxPool3d(kernel, stride, padding, ceil_mode=draw(st.booleans()))
    return nn.AvgPool3d(kernel, stride, padding)


@settings(max_examples=40)
@given(st.data())
def test_random_stacks_see_what_they_say(data):
    net = nn.Sequential(*(layers(data.draw, 2) for _ in range(data.draw(st.integers(1, 4))))).eval()
    frames = data.draw(st.integers(4, 7))  # two channels of three frames would be read as two frames of three colours
    shape = (1, 2, frames, *(data.draw(st.integers(3, 7)) for _ in range(2)))
    try:
        with torch.no_grad():
            net(torch.zeros(shape))
    except RuntimeError:  # too small for its windows
        return
    assert_as_measured(net, shape, at_least=0, gapless=False)  # a stride may be larger than a kernel


# In reports


def test_only_where_it_is_asked_for():
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
    plain = count_flops(net, (1, 3, 4, 8, 8))
    asked = plain.with_receptive_field()
    assert plain.receptive_field() == asked.receptive_field() == receptive_field(net, (1, 3, 4, 8, 8))
    assert "field" not in [column.name for column in plain.by_module().columns]
    assert "receptive_field" not in json.loads(plain.to_json())["modules"][0]
    assert asked.ops == plain.ops or asked.macs == plain.macs
    row = json.loads(asked.to_json())["modules"][1]
    assert row["receptive_field"] == [{"T": 3, "H": 3, "W": 3, "global": []}]
    assert [column.name for column in asked.by_module().columns][3] == "field"


def test_nothing_is_left_on_the_module():
    class Remembers(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", torch.zeros(1, 3, 2, 4, 4))

        def forward(self, x):
            self.seen[:, :, 1] = x[:, :, 0]
            return self.seen + x

    net = Remembers()
    assert fields(net, (1, 3, 2, 4, 4)) == {"": "2×1×1"}
    assert not vars(net.seen)
    assert float(net.seen.abs().sum()) == 0
    assert not nn.modules.module._global_forward_hooks


def test_where_values_are_needed_real_tensors_serve():
    def pick(x):
        return x * float(x.mean() > 0)

    assert fields(nn.Sequential(Apply(pick), nn.Conv3d(3, 2, 3)), (1, 3, 4, 8, 8))["1"] == "3×3×3"


def run(*words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_command_shows_a_column():
    lines = run("model", "toy_3d_cnn", "--receptive-field").stdout.splitlines()
    assert next(line for line in lines if line.startswith("conv2")).split()[2] == "14×14×14"
    assert max(map(len, lines)) <= 80
    modules = json.loads(run("model", "toy_3d_cnn", "--receptive-field", "--format", "json").stdout)["modules"]
    conv2 = next(row for row in modules if row["path"] == "conv2")
    assert conv2["receptive_field"] == [{"T": 14, "H": 14, "W": 14, "global": []}]


def test_command_refuses_tables_without_layers():
    result = run("model", "toy_3d_cnn", "--receptive-field", "--by", "operator")
    assert result.exit_code == 2
    assert "a receptive field is shown by layer" in result.stderr


def test_what_is_detached_in_place_sees_the_same():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv(x).detach_()

    (field,) = count_flops(Detached(), (1, 3, 8, 8)).receptive_field()[""]
    assert (field.sizes, field.lost) == ((3, 3), "")
