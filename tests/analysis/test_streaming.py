"""Steps give what the whole clip gives, and are counted; a network that cannot step names the layer."""

import json

import pytest
import torch
from modules import Apply
from torch import nn
from typer.testing import CliRunner

from flopcount import InputError, count_flops, create_model, streaming
from flopcount.cli import app
from flopcount.models import CARDS
from flopcount.models.cards import ARCHITECTURES
from flopcount.models.networks.streamable import ALL, WINDOW, Streamable

CLIPS = {
    **dict.fromkeys(("single_frame", "late_fusion_fc", "late_fusion_pool"), "3x23x23"),
    **{"toy_late_fusion": "3x8x8", "tsn_r50": "3x33x33", "cnn_attention": "3x32x32"},
    **{"cnn_lstm": "3x49x49", "recurrent_cnn": "3x32x32", "tsm_r50": "3x33x33", "movinet_a0_stream": "3x32x32"},
}
OPTIONS = {
    "late_fusion_fc": [{}, {"two_frames": True}],
    "recurrent_cnn": [{}, {"cell": "lstm"}, {"stacked": True}],
    "tsm_r50": [{"online": True}],
}
STREAMABLE = [(name, options) for name in CLIPS for options in OPTIONS.get(name, [{}])]


@pytest.fixture(scope="module", params=STREAMABLE, ids=str)
def streamed(request):
    """A network with weights and its clip; nearly all of a test's time is spent on drawing them."""
    return built(*request.param)


def built(name, options):
    torch.manual_seed(0)
    model = create_model(name, clip=CLIPS[name], num_classes=3, **options).eval()
    return model, model.recipe.clip


def video(clip, frames, batch=2):
    return torch.randn(batch, 3, frames, clip.height, clip.width, generator=torch.Generator().manual_seed(1))


def stepped(model, frames, stride):
    """The output after every step, and the last state."""
    state, outputs = None, []
    with torch.no_grad():
        for new in frames.split(stride, 2):
            output, state = model.step(new, state)
            outputs.append(output)
    return outputs, state


@pytest.mark.slow
def test_frames_one_by_one_give_what_the_clip_gives(streamed):
    model, clip = streamed
    assert isinstance(model, Streamable)
    x = video(clip, clip.frames)
    with torch.no_grad():
        expected = model(x)
    for stride in (1, 2):
        torch.testing.assert_close(stepped(model, x, stride)[0][-1], expected, rtol=1e-4, atol=1e-5)


def test_later_frames_give_what_the_last_clip_or_one_long_step_gives(streamed):
    model, clip = streamed
    x = video(clip, clip.frames + 2, batch=1)
    outputs, state = stepped(model, x, 1)
    with torch.no_grad():
        expected = model(x[:, :, 2:]) if model.step_sees == WINDOW else model.step(x, None)[0]
        torch.testing.assert_close(outputs[-1], expected, rtol=1e-4, atol=1e-5)
        if model.step_sees == ALL:  # the beginning is not forgotten
            assert not torch.allclose(outputs[-1], model(x[:, :, 2:]), rtol=0, atol=1e-12)
    earlier = stepped(model, x[:, :, : clip.frames], 1)[1]
    assert shapes(state) == shapes(earlier)  # a steady state


def shapes(state):
    if isinstance(state, torch.Tensor):
        return tuple(state.shape)
    values = state.values() if isinstance(state, dict) else state
    return [shapes(value) for value in values]


def test_what_is_streamable_is_tested():
    found = {card.name for card in ARCHITECTURES.values() if not card.requires and hasattr(small(card.name), "step")}
    assert found | {"tsm_r50"} == set(CLIPS)


def small(name):
    with torch.device("meta"):
        return create_model(name, clip=CARDS[name].smallest, num_classes=3)


# Counts


def test_toy_by_hand():
    found = streaming(create_model("toy_late_fusion").eval(), (1, 3, 20, 64, 64), stride=2)
    frame = 12 * 64 * 64 * 3 * 3 * 3 + 24 * 16 * 16 * 12 * 3 * 3  # conv1, conv2
    assert found.step.macs == 2 * frame + 24 * 487
    assert found.window.macs == 20 * frame + 24 * 487
    assert found.state_bytes == 20 * 24 * 4  # 24 features of every frame, in float32
    assert found.sees == WINDOW
    assert float(found.saving) == pytest.approx(found.window.macs / found.step.macs)


def test_lstm_by_hand():
    model = create_model("cnn_lstm", clip="4x49x49", num_classes=3).eval()
    whole = count_flops(model, (1, 3, 4, 49, 49))
    step = streaming(model, (1, 3, 4, 49, 49)).step
    assert 4 * step.macs == whole.macs  # no layer sees more than one frame
    state = streaming(model, (1, 3, 4, 49, 49)).state_bytes
    assert state == (4 * 3 + 2 * 256) * 4  # probabilities of four frames, hidden state and cell of the LSTM


def test_attention_is_computed_anew():
    model = create_model("cnn_attention", clip="4x32x32", num_classes=3).eval()
    report = count_flops(model, (1, 3, 4, 32, 32))
    frames, head = report.module("resnet").cost.macs, report.macs - report.module("resnet").cost.macs
    assert streaming(model, (1, 3, 4, 32, 32)).step.macs == frames // 4 + head


def test_per_sample_whatever_the_batch():
    model = create_model("toy_late_fusion").eval()
    one, three = (streaming(model, (batch, 3, 20, 64, 64)) for batch in (1, 3))
    assert one == three


def test_image_networks_keep_nothing():
    found = streaming(create_model("resnet50", clip="1x33x33").eval(), (1, 3, 33, 33), stride=3)
    assert found.step.macs == 3 * found.window.macs
    assert found.state_bytes == 0


def test_a_network_of_ones_own():
    class Difference(nn.Module):
        """Scores of the change between two frames."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv(x[:, :, 1]) - self.conv(x[:, :, 0])

        def step(self, frames, state):
            new = self.conv(frames[:, :, -1])
            return None if state is None else new - state, new

    found = streaming(Difference(), (1, 3, 2, 8, 8))
    assert found.step.macs == 4 * 6 * 6 * 27 == found.window.macs // 2
    assert found.state_bytes == 4 * 6 * 6 * 4
    assert found.sees == ""


# What prevents it

PREVENTED = {
    "c3d": "conv1 (Conv3d) pads in time",
    "toy_3d_cnn": "conv1 (Conv3d) pads in time",
    "toy_early_fusion": "conv1 (Conv2d) sees all frames at once",
    "slow_fusion": "features.conv1 (Conv3d) moves 2 frames at a time",
    "slow_r50_8x8": "blocks.3.res_blocks.0.branch2.conv_a (Conv3d) pads in time",
    "slowfast_r50_8x8": "the model itself (SlowFast) selects frames by their position in the clip",
    "tsm_r50": "base_model.layer1.0.conv1 (TemporalShift) pads in time",
    "two_stream": "the model itself (TwoStream) treats frames as channels",
}


@pytest.mark.parametrize("name", PREVENTED)
def test_the_layer_that_prevents_it_is_named(name):
    clip = {"slow_r50_8x8": "4x32x32", "slowfast_r50_8x8": "32x32x32"}.get(name, CARDS[name].smallest)
    model = create_model(name, clip=clip, num_classes=3).eval()
    found = streaming(model, tuple((1, *shape) for shape in model.recipe.inputs))
    assert found.step is None
    assert found.saving is None
    assert str(found.prevented) == PREVENTED[name]


@pytest.mark.parametrize(
    ("net", "stride", "reason"),
    [
        (nn.Conv3d(3, 2, 3), 1, "no step(frames, state), though nothing prevents one"),  # without padding
        (nn.Conv3d(3, 2, 3, stride=(2, 1, 1)), 2, "no step(frames, state), though nothing prevents one"),
        (nn.Conv3d(3, 2, 3, stride=(2, 1, 1)), 3, "the model itself (Conv3d) moves 2 frames at a time"),
        (nn.Conv3d(3, 2, 3, padding=(0, 1, 1)), 1, "no step(frames, state), though nothing prevents one"),
        (nn.Conv3d(3, 2, 3, padding=1), 1, "the model itself (Conv3d) pads in time"),
        (Apply(lambda x: x.flip(2)[:, :, ::3]), 1, "the model itself (Apply) moves 3 frames at a time"),
        (
            Apply(lambda x: x.index_select(2, torch.tensor([0, 1, 4, 7]))),
            1,
            "the model itself (Apply) selects frames by their position in the clip",
        ),
        (Apply(lambda x: x - x.mean(2, keepdim=True)), 1, "the model itself (Apply) sees all frames at once"),
        (
            Apply(torch.linalg.inv),
            1,
            "the model itself (Apply) has aten.linalg_inv_ex, whose dependences are not known",
        ),
    ],
    ids=str,
)
def test_reasons(net, stride, reason):
    assert str(streaming(net, (1, 3, 8, 6, 6), stride=stride).prevented) == reason


@pytest.mark.parametrize(
    ("stride", "message"), [(0, "stride is 0"), (21, "stride 21 is longer than the clip, 20 frames")]
)
def test_bad_strides(stride, message):
    with pytest.raises(InputError, match=message):
        streaming(create_model("toy_late_fusion"), (1, 3, 20, 64, 64), stride=stride)


def run(*words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_command():
    result = run("streaming", "toy_late_fusion", "toy_3d_cnn", "--stride", "2")
    assert result.exit_code == 0
    late, cnn = (line for line in result.stdout.splitlines() if line.startswith("toy"))
    assert late.split()[-2:] == WINDOW.split()
    assert "cannot stream: conv1" in cnn
    assert "pads in time: it sees zeros where a clip ends; a longer video has frames there" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_command_in_json():
    rows = json.loads(run("streaming", "toy_late_fusion", "toy_3d_cnn", "--format", "json").stdout)
    found = streaming(create_model("toy_late_fusion").eval(), (1, 3, 20, 64, 64))
    assert rows[0] == found.data()
    assert rows[1]["step"] is None
    assert rows[1]["prevented"] == {"layer": "conv1", "type": "Conv3d", "reason": "pads in time"}


def test_command_refuses_what_it_does_not_know():
    assert run("streaming", "toy_late_fusio").exit_code == 2
    assert "toy_late_fusion" in run("streaming", "toy_late_fusio").stderr
    assert run("streaming", "toy_late_fusion", "--stride", "0").exit_code == 2
