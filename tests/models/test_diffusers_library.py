"""Models of diffusers by class, folder and known size: their inputs, their right values, and what is refused."""

import importlib.util
import json

import pytest
from folders import write_pipeline
from typer.testing import CliRunner

from flopcount import Clip, InputError, TensorSpec, UnknownNameError, closed_form_of, count_model
from flopcount.cli import app
from flopcount.models.library_registry import find_library

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("diffusers", "transformers"))), reason="needs diffusers and transformers"
)
W = "WanTransformer3DModel"
WAN = {"num_attention_heads": 12, "num_layers": 30, "ffn_dim": 8960}
SMALL = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "num_layers": 1,
    "ffn_dim": 32,
    "text_dim": 16,
    "freq_dim": 8,
}
VIDEO = "81x480x832"


def wan(t, h, w, *, layers=30, width=1536, ffn=8960, text=512, text_width=4096, freq=256, channels=16):
    """MACs of a Wan denoiser on latents of t×h×w: patches of 1×2×2, self- and cross-attention, MLP; the text apart."""
    n = t * (h // 2) * (w // 2)
    patches = 2 * n * 4 * channels * width  # into the network and out of it
    step = freq * width + width * width + 6 * width * width
    words = text * (text_width * width + width * width)
    own = 4 * n * width**2 + 2 * n**2 * width
    cross = 2 * n * width**2 + 2 * text * width**2 + 2 * n * text * width
    return patches + step + words + layers * (own + cross + 2 * n * width * ffn)


@pytest.mark.parametrize("name", ["diffusers:WanTransformer3DModel", "wan2.1-t2v-1.3b/denoiser", "folder"])
def test_wan_costs_what_a_hand_counts(tmp_path, name):
    options = WAN if name.startswith("diffusers") else {}
    if name == "folder":
        write_pipeline(tmp_path, "wan2.1-t2v-1.3b", "WanPipeline")
        name = f"diffusers:{tmp_path}/transformer"
    report = count_model(name, options=options, video=VIDEO)
    assert report.macs == wan(21, 60, 104) == 141_500_893_888_512
    assert report.input.shapes[0] == (1, 16, 21, 60, 104)
    assert report.input.clip == Clip(81, 480, 832)  # and not the latent
    assert report.input.batch == 1


@pytest.mark.slow
@pytest.mark.parametrize(("half", "macs"), [("decode", 137_676_102_819_840), ("encode", 81_874_851_102_720)])
@pytest.mark.parametrize(
    "name", ["diffusers:AutoencoderKLWan", "wan2.1-t2v-1.3b/vae", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers/vae"]
)
def test_halves_of_the_vae(name, half, macs):
    assert count_model(f"{name}.{half}", video=VIDEO).macs == macs


def test_the_text_encoder_has_the_tokens_of_its_pipeline():
    report = count_model("wan2.1-t2v-1.3b/text_encoder")
    by_hand = 24 * 512 * (4 * 4096**2 + 3 * 4096 * 10240) + 24 * 2 * 512**2 * 4096
    assert report.macs == by_hand == 2_422_361_554_944
    assert report.assumed == ("512 tokens of text, the default of wan2.1-t2v-1.3b",)
    assert count_model("umt5-xxl").macs == by_hand


@pytest.mark.slow
def test_the_form_in_the_sizes_of_the_latent():
    form = closed_form_of("diffusers:WanTransformer3DModel", options=WAN, video=VIDEO)
    for t, h, w in ((21, 60, 104), (1, 2, 4), (5, 31, 33)):
        tokens = t * (h // 2) * (w // 2)
        assert form.at("macs", T=t, H=h, W=w) == 92160 * tokens**2 + 1297809408 * tokens + 76923666432


def test_what_nobody_said_is_assumed_and_named():
    report = count_model("diffusers:WanTransformer3DModel", options=SMALL, video="5x32x32")
    assert report.assumed == (
        "latents of 4x8x8 pixels, those of AutoencoderKLWan by default",
        "512 tokens of text, the default of its pipeline",
    )
    sizes = {"layers": 1, "width": 24, "ffn": 32, "text_width": 16, "freq": 8}
    assert report.macs == wan(2, 4, 4, **sizes)
    assert "partly assumed" in report.sentence()
    assert (
        count_model("diffusers:WanTransformer3DModel", options=SMALL, video="5x32x32", batch=2).macs == 2 * report.macs
    )


@pytest.mark.parametrize("frames", [1, 9, 13])
def test_latents_are_never_called_a_clip(frames):
    """1, 3 and 4 latent frames look like colours."""
    report = count_model("diffusers:WanTransformer3DModel", options=SMALL, video=f"{frames}x32x32")
    assert report.input.clip == Clip(frames, 32, 32)
    inputs = zip(("hidden_states", "timestep", "encoder_hidden_states"), report.input.shapes, strict=True)
    given = [(name, TensorSpec(shape, "int64" if name == "timestep" else "float32")) for name, shape in inputs]
    assert count_model("diffusers:WanTransformer3DModel", options=SMALL, inputs=given).input.clip is None


def test_an_image_that_a_video_starts_from_has_its_tokens():
    options = {**SMALL, "in_channels": 36, "added_kv_proj_dim": 24, "image_dim": 1280}
    report = count_model("diffusers:WanTransformer3DModel", options=options, video="5x32x32")
    assert (1, 257, 1280) in report.input.shapes
    assert report.input.shapes[0] == (1, 36, 2, 4, 4)


def test_inputs_have_the_dtype_of_the_weights():
    report = count_model("diffusers:WanTransformer3DModel", options=SMALL, video="5x32x32", dtype="bfloat16")
    assert report.input.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        ("WanTransformer3DModl", {}, "no diffusers model named .*\n  near    WanTransformer3DModel"),
        (W, {}, "the video that Wan.* works on is unknown\n  fix     give --video 81x480x832"),
        (W, {"clip": "5x32x32"}, "a video in pixels, not for a clip\n  fix     write --video 5x32x32"),
        (W, {"num_classes": 3}, "has no classes"),
        (W, {"video": "6x32x32"}, "does not divide a clip of 6×32×32\n.*\n.*nearest clip .* 5x32x32"),
        (W, {"options": {"num_layer": 1}}, f"no option of {W} named 'num_layer'\n  near    num_layers"),
        (W, {"options": {"num_layers.x": 1}}, "reaches into what has no parts"),
        ("AutoencoderKLWan.decoder", {}, "no half of AutoencoderKLWan named 'decoder'\n  near    decode"),
        ("WanTransformer3DModel.decode", {"video": "5x32x32"}, "no half of a VAE named 'WanTransformer3DModel.decode'"),
        ("UNet2DModel", {"video": "1x32x32"}, "no denoiser named 'UNet2DModel'"),
        ("UNet2DModel", {}, "give --input NAME:SHAPE:DTYPE for each"),
    ],
)  # fmt: skip
def test_what_is_refused(name, how, message):
    with pytest.raises(InputError, match=message):
        count_model(f"diffusers:{name}", **how)


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        ("wan2.1-t2v-1.3b", {}, "several networks\n  seen    .*/text_encoder, .*\n.*flopcount generate"),
        ("wan2.1-t2v-1.3b/denoisr", {}, "no part of wan2.1-t2v-1.3b named 'denoisr'\n  near    denoiser"),
        ("wan2.1-t2v-1.3bb", {}, "no model named 'wan2.1-t2v-1.3bb'\n  near    wan2.1-t2v-1.3b"),
        ("wan2.1-t2v-1.3b/text_encoder.decode", {}, "has no half 'decode'"),
        ("c3d", {"video": "16x112x112"}, "c3d takes a clip, .*\n  fix     give --clip 16x112x112"),
    ],
)  # fmt: skip
def test_names_of_known_sizes_that_are_refused(name, how, message):
    with pytest.raises(InputError, match=message):
        count_model(name, **how)


def test_a_video_beside_another_input_is_refused():
    with pytest.raises(InputError, match="video 5×32×32 is given beside --clip"):
        count_model("wan2.1-t2v-1.3b/denoiser", video="5x32x32", clip="5x32x32")


def test_a_network_that_recognises_actions_by_name():
    report = count_model("v-jepa2-vit-l", clip="4x64x64")
    assert report.input.clip == Clip(4, 64, 64)
    assert report.params == 325_971_328
    assert count_model("facebook/vjepa2-vitl-fpc64-256", video="4x64x64").macs == report.macs


def test_names_that_the_library_offers_have_inputs():
    names = list(find_library("diffusers").model_names())
    assert {"WanTransformer3DModel", "AutoencoderKLWan.decode", "UNetSpatioTemporalConditionModel"} <= set(names)
    with pytest.raises(UnknownNameError):
        count_model("diffusers:FlowMatchEulerDiscreteScheduler")


@pytest.mark.parametrize("task", ["recognition", "generation", "language"])
def test_models_of_known_sizes_are_listed(task):
    shown = CliRunner().invoke(app, ["list", "--task", task, "--format", "json"])
    listed = json.loads(shown.stdout)
    assert all(part["source"]["repo"] for model in listed["models"] for part in model["parts"].values())
    table = CliRunner().invoke(app, ["list", "--task", task], env={"COLUMNS": "200"}).stdout
    assert all(model["name"] in table for model in listed["models"])
    assert ("c3d" in table) == (task == "recognition")


def test_a_task_that_there_is_not():
    shown = CliRunner().invoke(app, ["list", "--task", "generatio"])
    assert shown.exit_code != 0


def test_hunyuan_video_15_against_the_counter_of_torch():
    """The image of a video from text is zeros, which the forward looks at; a real run of torch counts the same."""
    small = {"num_attention_heads": 2, "attention_head_dim": 32, "num_layers": 1, "num_refiner_layers": 1}
    small |= {"text_embed_dim": 16, "text_embed_2_dim": 16, "image_embed_dim": 16, "rope_axes_dim": (8, 12, 12)}
    report = count_model("diffusers:HunyuanVideo15Transformer3DModel", options=small, video="9x64x64")
    assert report.engine == "meta"
    assert report.input.shapes[0] == (1, 65, 3, 4, 4)
    import diffusers
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model = diffusers.HunyuanVideo15Transformer3DModel(**small).eval()
    floats = {"hidden_states": (65, 3, 4, 4), "encoder_hidden_states": (1000, 16), "encoder_hidden_states_2": (256, 16)}
    inputs = {name: torch.randn(1, *shape) for name, shape in floats.items()}
    inputs |= {"image_embeds": torch.zeros(1, 729, 16), "timestep": torch.ones(1)}
    inputs |= {"encoder_attention_mask": torch.ones(1, 1000, dtype=torch.int64)}
    inputs |= {"encoder_attention_mask_2": torch.ones(1, 256, dtype=torch.int64)}
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        model(**inputs)
    assert report.flops == counter.get_total_flops()


def test_a_mask_of_all_positions_is_not_made():
    """Of a latent of 31×30×53 the mask has 51,275² elements; the second block of values stays without data."""
    import torch

    from flopcount.tracing.kernels import outgrows

    mask = torch.ones(1, 1, 1, 100, dtype=torch.bool)
    assert outgrows(torch.ops.aten.repeat.default, (mask, [1, 1, 100, 1]), 9_999)
    assert not outgrows(torch.ops.aten.repeat.default, (mask, [1, 1, 100, 1]), 10_000)


COG = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 1, "text_embed_dim": 16, "time_embed_dim": 16}


def test_the_form_of_frames_before_channels_is_in_latents():
    name = "diffusers:CogVideoXTransformer3DModel"
    form = closed_form_of(name, options=COG, video="9x64x64")
    assert set(form.base) == {"T", "H", "W"}
    assert form.base == {"T": 3, "H": 8, "W": 8}
    for video, (t, h, w) in {"17x64x96": (5, 8, 12), "33x128x64": (9, 16, 8)}.items():
        assert form.macs(T=t, H=h, W=w) == count_model(name, options=COG, video=video).macs


def test_a_report_says_that_its_form_is_of_latents(tmp_path):
    settings = [f"--set={key}={value}" for key, value in SMALL.items()]
    what = ["report", f"diffusers:{W}", "--video", "9x64x64", "--no-check", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*what, *settings])
    assert result.exit_code == 0, result.output
    (page,) = tmp_path.glob("*.md")
    text = page.read_text()
    assert "As a function of T, H, W of its latents" in text
    assert "## Larger latents" in text
    assert "| 3×8×8 |" in text
    assert "per 9×64×64 clip" in text
