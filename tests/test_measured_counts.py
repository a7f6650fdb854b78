"""What published times are about: counts of their models, by hand and by printed numbers, and none beyond the peak."""

import re
import sys
from pathlib import Path

import pytest

from flopcount.core.errors import InputError, UnknownNameError
from flopcount.core.protocol import Clip
from flopcount.facts import MeasuredPart, MeasuredRun, measured_part, measured_parts, measured_runs
from flopcount.facts.devices import find_device

sys.path.insert(0, str(Path(__file__).parent.parent / "reports"))  # as `python reports/measured_counts.py` does
from measured_counts import measured_counts, utilisation_table
from measured_models import count_part, part_inputs

WAN = measured_part("wan2.1-t2v-14b/denoiser")
RECOGNITION = ["mmaction2-006", "mmaction2-007", "mmaction2-008", "mmaction2-010", "mmaction2-011"]


@pytest.fixture(scope="module")
def diffusers():
    pytest.importorskip("transformers")
    from flopcount.models.torchvision_operators import ready_torchvision

    ready_torchvision()  # it imports torchvision
    return pytest.importorskip("diffusers")


def wan_by_hand(part, clip, text=512):
    """MACs of one forward of Wan: latents are 4x8x8 pixels, patches 1x2x2 latents; frames besides the first by four."""
    heads, layers = part.config["num_attention_heads"], part.config["num_layers"]
    wide, ffn = heads * 128, part.config["ffn_dim"]
    tokens = (1 + (clip.frames - 1) // 4) * (clip.height // 16) * (clip.width // 16)
    itself = 4 * tokens * wide * wide + 2 * tokens * tokens * wide
    cross = 2 * tokens * wide * wide + 2 * text * wide * wide + 2 * tokens * text * wide
    feed_forward = 2 * tokens * wide * ffn
    patches = tokens * part.config["in_channels"] * 4 * wide + tokens * wide * 4 * 16  # in and out
    conditions = text * (4096 * wide + wide * wide) + 256 * wide + wide * wide + wide * 6 * wide
    return layers * (itself + cross + feed_forward) + patches + conditions


def test_a_measured_row_is_counted_with_all_its_views():
    """Slow 4x16 at 256 is 27.3 GMACs (table 5 of its paper), 10 x 3 views, 4 videos a second, peak 15.7 TFLOP/s."""
    (each,) = measured_counts(["mmaction2-006"])
    assert each.result.macs / 30 == pytest.approx(27.3e9, rel=0.005)
    assert each.seconds == 0.25
    assert each.flops == 2 * each.result.macs
    assert each.flops_of_others == 0
    assert each.flops_per_second == each.flops * 4
    assert each.utilisation == each.flops * 4 / 15.7e12
    assert each.utilisation == pytest.approx(2 * 30 * 27.3e9 * 4 / 15.7e12, rel=0.005)


def test_no_sample_of_recognition_is_beyond_the_peak():
    shares = {each.run.key: each.utilisation for each in measured_counts(RECOGNITION)}
    assert list(shares) == RECOGNITION
    assert all(0.1 < share < 1 for share in shares.values()), shares


def test_every_run_names_a_device_with_the_peak_of_its_dtype():
    for run in measured_runs():
        if isinstance(run, MeasuredRun):
            assert find_device(run.device).name == run.device
            assert find_device(run.device).peak(run.dtype), run.key


def test_the_table_has_a_line_for_each_model_and_device():
    head, *lines = utilisation_table(measured_counts(["mmaction2-006", "mmaction2-007", "mmaction2-008"])).splitlines()
    assert head.split("  ")[0] == "model"
    assert [line.split()[:6] for line in lines] == [
        ["slow_r50_8x8", "v100-sxm2", "fp32", "no", "2", "2"],
        ["tsm_r50", "v100-sxm2", "fp32", "no", "1", "1"],
    ]


def test_latents_have_their_first_frame_apart(diffusers):
    cosmos = measured_part("cosmos-predict2-2b-video2world/denoiser")
    for part, clip, latents in (
        (WAN, Clip(81, 480, 832), (21, 60, 104)),  # 1 + 80/4
        (cosmos, Clip(93, 704, 1280), (24, 88, 160)),  # 24 by its configuration
        (cosmos, Clip(61, 704, 1280), (16, 88, 160)),
    ):
        assert part_inputs(part, clip, None, 1)["hidden_states"].shape[-3:] == latents
    for clip in (Clip(80, 480, 832), Clip(81, 484, 832), Clip(81, 488, 832)):  # frames, latents, patches
        with pytest.raises(InputError, match="does not divide"):
            part_inputs(WAN, clip, None, 1)


def test_inputs_follow_from_configuration_and_clip(diffusers):
    """CogVideoX 1.5: 81 frames are 21 latents, filled up to 22 for patches of two; 11 x 48 x 85 tokens."""
    inputs = part_inputs(measured_part("cogvideox1.5-5b/denoiser"), Clip(81, 768, 1360), None, 2)
    assert inputs["hidden_states"].shape == (2, 22, 16, 96, 170)
    assert [angles.shape for angles in inputs["image_rotary_emb"]] == [(11 * 48 * 85, 64)] * 2
    assert "image_rotary_emb" not in part_inputs(measured_part("cogvideox-2b/denoiser"), Clip(49, 480, 720), None, 1)
    image = part_inputs(measured_part("wan2.1-i2v-14b/denoiser"), Clip(81, 480, 832), None, 1)
    assert image["hidden_states"].shape == (1, 36, 21, 60, 104)
    assert image["encoder_hidden_states_image"].shape == (1, 257, 1280)
    assert part_inputs(measured_part("llama-3-8b/whole"), None, 256, 1)["input_ids"].shape == (1, 256)


def test_what_a_part_needs_is_asked_for(diffusers):
    with pytest.raises(InputError, match="takes a clip"):
        part_inputs(WAN, None, 256, 1)
    with pytest.raises(InputError, match="takes tokens"):
        part_inputs(measured_part("llama-3-8b/whole"), Clip(1, 16, 16), None, 1)
    unknown = MeasuredPart("x/denoiser", "diffusers", "WanTransformer2D", {}, "", (4, 8), 512, None, None, "", "")
    with pytest.raises(UnknownNameError, match="WanTransformer3DModel"):
        part_inputs(unknown, Clip(1, 16, 16), None, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wan2.1-t2v-1.3b/denoiser", "wan2.1-t2v-14b/denoiser"])
@pytest.mark.parametrize("clip", [Clip(1, 32, 32), Clip(81, 480, 832), Clip(81, 720, 1280)])
def test_wan_is_what_a_hand_counts(diffusers, name, clip):
    part = measured_part(name)
    assert count_part(part, clip).macs == wan_by_hand(part, clip)


@pytest.mark.slow
def test_wan_costs_what_is_printed(diffusers):
    """ASDSV, table 2: 168.1 PFLOPs for 50 steps with guidance; the denoiser alone is 167.8."""
    (each,) = measured_counts(["asdsv-001"])
    assert each.run.times == 100
    assert round(each.flops / 1e15, 1) == 167.8
    assert each.flops == pytest.approx(168.1e15, rel=0.003)
    assert "168.1 PFLOPs" in each.row.note
    assert each.flops_per_second == pytest.approx(182e12, rel=0.005)  # its row has 924 s and 182 TFLOP/s


@pytest.mark.slow
def test_parts_have_their_parameters(diffusers):
    for part in measured_parts():
        clip, tokens = (Clip(17, 64, 64), None) if part.library == "diffusers" else (None, 8)
        if part.params is not None:
            assert count_part(part, clip, tokens).params == part.params, part.name
    cosmos = count_part(measured_part("cosmos-predict2-2b-video2world/denoiser"), Clip(17, 64, 64))
    assert round(cosmos.params / 1e9) == 2  # "2B"
    later = count_part(measured_part("cogvideox1.5-5b/denoiser"), Clip(17, 64, 64))
    assert later.params == pytest.approx(measured_part("cogvideox-5b/denoiser").params, rel=0.001)  # both are 5B


@pytest.mark.slow
def test_a_language_model_is_what_a_hand_counts():
    """Llama 3 8B: 32 layers of width 4096, 8 heads of keys and values, gated 14336; scores of the last token alone."""
    pytest.importorskip("transformers")
    tokens, wide, ffn, vocabulary = 256, 4096, 14336, 128320
    layer = 2 * wide * wide + 2 * wide * 1024 + 3 * wide * ffn  # q and o, k and v, gate and up and down
    attention = 2 * tokens * tokens * wide
    result = count_part(measured_part("llama-3-8b/whole"), tokens=tokens)
    assert result.macs == 32 * (tokens * layer + attention) + vocabulary * wide
    assert round(result.params / 1e9, 2) == 8.03


@pytest.mark.slow
def test_raft_costs_what_its_row_prints():
    """The FLOPs column of ptlflow says how many updates run."""
    pytest.importorskip("torchvision")
    counts = list(measured_counts(["ptlflow-027", "ptlflow-028", "ptlflow-029", "ptlflow-030"]))
    assert len(counts) == 4
    for each in counts:
        flops, params = re.search(r"column ([\d.]+) G .*params ([\d.]+) M", each.row.note).groups()
        assert each.flops == pytest.approx(float(flops) * 1e9, rel=0.001)
        assert round(each.result.params / 1e6, 3) == float(params)


@pytest.mark.slow
def test_no_time_is_beyond_the_peak_and_a_batch_takes_its_time(diffusers):
    pytest.importorskip("torchvision")
    counts = {each.run.key: each for each in measured_counts()}
    assert len(counts) == 105
    one_token = {"llm-awq-003", "llm-awq-013"}  # decoding reads the weights for a single token
    assert {key: each.utilisation for key, each in counts.items() if not 0.1 < each.utilisation < 1}.keys() == one_token
    for key in one_token:
        weights = 2 * counts[key].result.params  # bytes
        assert 0.5 < weights / counts[key].seconds / find_device(counts[key].run.device).bandwidth < 1
    for first, *more in (  # one table, the same model at batch 1, 2, 4 and 8
        ("ml-energy-001", "ml-energy-002", "ml-energy-003", "ml-energy-004"),
        ("ml-energy-013", "ml-energy-014", "ml-energy-015", "ml-energy-016"),
        ("ml-energy-025", "ml-energy-026", "ml-energy-027", "ml-energy-028"),
        ("ml-energy-031", "ml-energy-032", "ml-energy-033"),
    ):
        for key in more:
            assert counts[key].utilisation == pytest.approx(counts[first].utilisation, rel=0.04), key
    whole, step = counts["fastvideo-001"], counts["fastvideo-003"]  # a video, and one of its 50 steps
    assert whole.flops == 50 * step.flops
    assert whole.seconds > 50 * step.seconds
