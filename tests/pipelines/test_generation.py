"""Generated videos as jobs: right values by hand, laws, and what is said about defaults."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_generators import T5, part, sizes

from flopcount import InputError
from flopcount.core.protocol import Clip
from flopcount.facts.model_sizes import find_sizes
from flopcount.pipelines.generation import generated_video
from flopcount.pipelines.generation.experts import steps_of_first
from flopcount.pipelines.requests import VideoRequest


@pytest.fixture(scope="module", autouse=True)
def diffusers():
    pytest.importorskip("transformers")
    from flopcount.models.torchvision_operators import ready_torchvision

    ready_torchvision()
    return pytest.importorskip("diffusers")


def generated(name, **asked):
    return generated_video(find_sizes(name), VideoRequest(**asked))


def wan_by_hand(tokens, text, wide, ffn, layers, channels=16):
    """MACs of one pass of Wan over so many video tokens."""
    itself = 4 * tokens * wide * wide + 2 * tokens * tokens * wide  # queries, keys, values, output; two products
    across = 2 * tokens * wide * wide + 2 * text * wide * wide + 2 * tokens * text * wide
    feed_forward = 2 * tokens * wide * ffn
    patches = tokens * channels * 4 * wide + tokens * wide * 4 * channels  # a patch is 2x2 latents; in and out
    text_in = text * (4096 * wide + wide * wide)
    time_in = 256 * wide + wide * wide + wide * 6 * wide
    return layers * (itself + across + feed_forward) + patches + text_in + time_in


def test_wan_whole_by_hand():
    """81 frames are 1 + 80/4 = 21 latents, 480x832 pixels are 30x52 patches of 16x16: 32,760 tokens."""
    job = generated("wan2.1-t2v-1.3b")
    one_pass = wan_by_hand(21 * 30 * 52, 512, 1536, 8960, 30)
    assert one_pass == 141_500_893_888_512
    text = 24 * 512 * (4 * 4096**2 + 3 * 4096 * 10240) + 24 * 2 * 512**2 * 4096
    assert job.part("text").macs == 2 * text == 2 * 2_422_361_554_944
    assert job.part("denoise").macs == 2 * 50 * one_pass
    assert job.part("vae").macs == 137_676_102_819_840
    assert job.macs == 14_292_610_214_780_928
    assert job.result.macs == job.macs
    assert job.times == {"text": 2, "denoise": 100, "vae": 1}
    parts = find_sizes("wan2.1-t2v-1.3b").parts.values()
    assert job.params == sum(part.params_built for part in parts)
    assert job.assumed == ("81×480×832, 50 steps, guidance, 512 text tokens: the defaults of wan2.1-t2v-1.3b",)
    assert job.facts["tokens"] == {"video": 32_760, "arithmetic": "21 × 30 × 52 = 32,760", "text": 512}
    assert job.facts["decoder_calls"] == 21  # a latent frame at a time
    attention = job.facts["attention"]
    assert attention["self"]["dense"] == 30 * 2 * 32_760**2 * 1536
    assert attention["cross"]["dense"] == 30 * 2 * 32_760 * 512 * 1536


def test_units():
    job = generated("wan2.1-t2v-1.3b", batch=2)
    per = {row.unit.name: row for row in job.per_units}
    assert list(per) == ["video", "second", "frame", "step"]
    assert per["video"].count == 2
    assert per["second"].count == Fraction(2 * 81, 16)
    assert per["step"].count == 50


def test_published_utilisation_of_wan_14b():
    """Two published times on one H100 (8:03 at 480p, 31:23 at 720p) are both 35 % of its 989.4 TFLOP/s."""
    for video, seconds in (("81x480x832", 8 * 60 + 3), ("81x720x1280", 31 * 60 + 23)):
        job = generated("wan2.1-t2v-14b", video=Clip.parse(video))
        assert job.flops / seconds / 989.4e12 == pytest.approx(0.35, abs=0.01)


def test_hunyuan_video_runs_one_pass_a_step():
    """603.4 PFLOPs of denoising; the language model gets 256 tokens and 95 of its template, CLIP always 77."""
    job = generated("hunyuanvideo")
    assert round(job.part("denoise").flops / 1e15, 1) == 603.4
    assert job.times == {"text": 1, "text_2": 1, "denoise": 50, "vae": 1}
    text = job.stage("text").report
    assert text.input.shapes[0] == (1, 351)
    assert job.stage("text_2").report.input.shapes[0] == (1, 77)
    assert generated("hunyuanvideo", guidance=False).macs == job.macs
    with pytest.raises(InputError, match="true_cfg_scale"):
        generated("hunyuanvideo", guidance=True)
    longer = generated("hunyuanvideo", text_tokens=300)
    assert longer.stage("text").report.input.shapes[0] == (1, 395)
    assert longer.stage("text_2").report.macs == job.stage("text_2").report.macs


def test_two_experts_divide_the_steps():
    job = generated("wan2.2-t2v-a14b")
    assert (job.times["denoise_high"], job.times["denoise_low"]) == (2 * 26, 2 * 14)  # of 40, its own settings
    by_diffusers = job.with_parameters(shift=3, steps=50)
    assert (by_diffusers.times["denoise_high"], by_diffusers.times["denoise_low"]) == (2 * 16, 2 * 34)
    assert by_diffusers.macs * 40 - job.macs * 50 == -10 * (job.part("text").macs + job.part("vae").macs)
    fourteen = find_sizes("wan2.2-t2v-a14b").part("denoiser").params_built
    assert job.params == 2 * fourteen + 5_680_910_336 + 126_892_531  # the experts are two, although equal
    skipping = generated("wan2.2-t2v-a14b", reuse=Fraction(3, 10))
    assert skipping.times["denoise_high"] + skipping.times["denoise_low"] == 2 * (40 - 12)
    assert any("0.875" in note for note in job.notes)


@pytest.mark.parametrize("shift", [1, 3, 5, 8, 12])
@pytest.mark.parametrize("steps", [1, 2, 4, 7, 20, 40, 50, 250])
def test_the_schedule_is_that_of_diffusers(steps, shift):
    from diffusers import UniPCMultistepScheduler

    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)
    scheduler.set_timesteps(steps)
    for boundary in (0.875, 0.9, 0.417):
        high = int((scheduler.timesteps >= boundary * 1000).sum())
        assert steps_of_first(steps, Fraction(shift), Fraction(str(boundary))) == high


def test_a_video_from_an_image_encodes_its_condition_whole():
    job = generated("wan2.1-i2v-14b")
    assert [stage.name for stage in job.stages] == ["text", "image", "encode", "denoise", "vae"]
    assert job.part("encode").macs == 81_874_851_102_720  # of all 81 frames
    clip = 257 * 32 * (4 * 1280**2 + 2 * 1280 * 5120) + 32 * 2 * 257**2 * 1280 + 256 * 3 * 14 * 14 * 1280
    assert job.part("image").macs == clip  # all 32 layers, although the last is not used
    assert job.params == sum(part.params_built for part in find_sizes("wan2.1-i2v-14b").parts.values())


def test_allegro_decodes_overlapping_tiles():
    """22x90x160 latents in tiles of 6x40x40, each 4, 25 and 30 further: 5 x 3 x 5; each tile costs the same."""
    job = generated("allegro", steps=1)
    assert job.facts["decoder_calls"] == 5 * 3 * 5
    assert any("tiles" in note for note in job.notes)
    assert any("put together" in note for note in job.notes)


def test_stable_video_diffusion_takes_no_text():
    job = generated("stable-video-diffusion-img2vid", steps=2)
    assert [stage.name for stage in job.stages] == ["image", "encode", "denoise", "vae"]
    assert job.stage("encode").report.input.shapes[0] == (1, 3, 576, 1024)  # one image, repeated as latents
    with pytest.raises(InputError, match="no text"):
        generated("stable-video-diffusion-img2vid", text_tokens=77)


def test_sparse_attention_is_a_share_of_the_dense_number():
    job = generated("wan2.1-t2v-1.3b", density=Fraction(1, 4))
    found = job.facts["attention"]["self"]
    assert 4 * found["sparse"] == found["dense"] == 30 * 2 * 32_760**2 * 1_536
    assert job.notes[:2] == (
        "tokens: 21 × 30 × 52 = 32,760 of the video, 512 of the text",
        "self-attention of a pass: 98.9 T MACs dense, as counted (30·2·32760·32760·1536), 24.7 T at a density of 0.25",
    )


def test_what_is_missing_is_said():
    wan = find_sizes("wan2.1-t2v-1.3b")
    lone = sizes("folder", [wan.part("denoiser")], (5, 32, 32), 1)
    job = generated_video(lone, VideoRequest())
    assert [stage.name for stage in job.stages] == ["denoise"]
    assert "folder has no text encoder: it is not in the job" in job.notes
    assert "folder has no vae: it is not in the job" in job.notes
    with pytest.raises(InputError, match="no default for --video"):
        generated_video(sizes("folder", [wan.part("denoiser")], (None, None, None), 1), VideoRequest())
    with pytest.raises(InputError, match="no denoiser"):
        generated_video(sizes("folder", [wan.part("vae")], (5, 32, 32), 1), VideoRequest())


WAN = part("denoiser", "diffusers", "WanTransformer3DModel", {
    "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 4, "out_channels": 4, "text_dim": 32,
    "freq_dim": 16, "ffn_dim": 20, "num_layers": 1})  # fmt: skip
COG = part("denoiser", "diffusers", "CogVideoXTransformer3DModel", {
    "num_attention_heads": 2, "attention_head_dim": 16, "in_channels": 4, "out_channels": 4, "time_embed_dim": 2,
    "text_embed_dim": 32, "num_layers": 1, "sample_width": 8, "sample_height": 8,
    "max_text_seq_length": 8})  # fmt: skip
TEXT = part("text_encoder", "transformers", "T5EncoderModel", T5)


@settings(max_examples=8, deadline=None)
@given(
    denoiser=st.sampled_from([WAN, COG]),
    steps=st.integers(1, 40),
    batch=st.integers(1, 3),
    reuse=st.fractions(0, Fraction(9, 10), max_denominator=10),
)
def test_laws(denoiser, steps, batch, reuse):
    """Guidance doubles text and denoising, batch multiplies all, steps and reuse multiply the denoising alone."""
    model = sizes("tiny", [TEXT, denoiser], (9, 64, 64), 10)

    def macs(**asked):
        job = generated_video(model, VideoRequest(**asked))
        return {stage.name: job.part(stage.name).macs for stage in job.stages}

    base = macs(steps=1, guidance=False)
    expected = {"text": base["text"] * batch, "denoise": base["denoise"] * batch * (steps - int(reuse * steps))}
    assert macs(steps=steps, guidance=False, batch=batch, reuse=reuse) == expected
    guided = {name: 2 * value for name, value in expected.items()}
    assert macs(steps=steps, guidance=True, batch=batch, reuse=reuse) == guided


def test_bytes_are_those_of_the_pass_that_runs():
    """Two calls read the weights twice a step, a pass of twice the batch reads them once."""
    for denoiser, passes in ((WAN, 2), (COG, 1)):
        job = generated_video(sizes("tiny", [TEXT, denoiser], (9, 64, 64), 10), VideoRequest())
        assert job.times["denoise"] == 10 * passes
        assert job.stage("denoise").report.input.shapes[0][0] == 2 // passes
    half = generated_video(sizes("tiny", [TEXT, WAN], (9, 64, 64), 10), VideoRequest(dtype="bfloat16"))
    whole = generated_video(sizes("tiny", [TEXT, WAN], (9, 64, 64), 10), VideoRequest())
    assert half.macs == whole.macs
    assert half.bytes_read < whole.bytes_read


@pytest.mark.parametrize("tokens", [100, 300])
def test_a_table_of_positions_has_one_length_of_text(tokens):
    with pytest.raises(InputError, match=f"takes 226 tokens of text, not {tokens}"):
        generated("cogvideox-2b", video=Clip(9, 64, 64), steps=1, text_tokens=tokens)
    assert generated(
        "cogvideox-5b", video=Clip(9, 64, 64), steps=1, text_tokens=tokens
    ).macs  # its positions are rotary
