"""Visual tokens: each family's rule by hand, against the processors of transformers, and against the models."""

import importlib.util
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner
from video_language import CONFIGS, tiny

from flopcount import Clip, InputError, UnknownNameError
from flopcount.cli import app
from flopcount.facts.model_sizes import find_sizes, model_sizes
from flopcount.models.part import part_builder
from flopcount.models.visual_tokens import family_of, visual_tokens
from flopcount.models.visual_tokens.resizing import resized_to_multiples

pytestmark = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs transformers")


def of(name, clip):
    return visual_tokens(find_sizes(name), Clip.parse(clip))


@pytest.mark.parametrize(
    ("name", "clip", "patches", "tokens"),
    [
        ("qwen2.5-vl-7b", "32x448x448", 16 * 32 * 32, 16 * 16 * 16),
        ("qwen2.5-vl-7b", "400x336x336", 200 * 24 * 24, 28_800),
        ("qwen2.5-vl-7b", "4x450x450", 2 * 32 * 32, 2 * 16 * 16),  # 450 / 28 = 16.07
        ("qwen2.5-vl-7b", "5x448x448", 3 * 32 * 32, 3 * 16 * 16),  # the last frame twice
        # 1080·1920 pixels are more than 768·28² = 602,112; divided by √(2,073,600 / 602,112) = 1.8558: 581.97, 1034.6
        ("qwen2.5-vl-7b", "4x1080x1920", 2 * 40 * 72, 2 * 20 * 36),
        # 112·112 are fewer than 128·28² = 100,352; times √(100,352 / 12,544) = 2.8284: 316.8, up to 12·28
        ("qwen2.5-vl-7b", "4x112x112", 2 * 24 * 24, 2 * 12 * 12),
        # 768 frames may have 115,200·2/768 = 300 tokens a pair: 448·448 are 256
        ("qwen2.5-vl-7b", "768x448x448", 384 * 32 * 32, 384 * 256),
        # and 600·600 are 441, divided by √(360,000 / 235,200) = 1.2372: 484.97, down to 17·28
        ("qwen2.5-vl-7b", "768x600x600", 384 * 34 * 34, 384 * 289),
        ("qwen3-vl-8b", "32x448x448", 16 * 28 * 28, 16 * 14 * 14),
        ("qwen3-vl-30b-a3b", "32x448x448", 16 * 28 * 28, 16 * 14 * 14),
        ("internvl3-8b", "8x720x1280", 8 * 32 * 32, 8 * 256),
        ("llava-onevision-7b", "32x448x448", 32 * 27 * 27, 32 * 196 + 1),
        ("llava-next-video-7b", "32x448x448", 32 * 24 * 24, 32 * 144),
        ("videollama3-7b", "32x448x448", 32 * 32 * 32, 32 * 16 * 16),
        # 180 frames share 16,384 tokens, 91.02 each: 448·448 divided by √(200,704 / 71,361) = 1.6771: 267.1, 9·28
        ("videollama3-7b", "180x448x448", 180 * 18 * 18, 180 * 81),
        ("smolvlm2-2.2b", "32x448x448", 32 * 27 * 27, 32 * 81),
    ],
)
def test_rules_by_hand(name, clip, patches, tokens):
    found = of(name, clip)
    assert (found.patches, found.tokens) == (patches, tokens)
    assert dict(found.lines)["tokens"].endswith(f"= {tokens:,}")


def test_arithmetic_is_printed():
    assert of("qwen2.5-vl-7b", "32x448x448").lines == (
        ("frames", "32"),
        ("frame", "448×448 stays, multiples of 14 · 2 = 28"),
        ("patches", "32/2 · 448/14 · 448/14 = 16×32×32 = 16,384"),
        ("tokens", "16,384 / 2² = 4,096"),
        ("delimiters", "2: start and end of the video"),
    )


def test_what_a_rule_cannot_know_is_named():
    assert "timestamp" in of("qwen3-vl-8b", "8x448x448").notes[0]
    assert "drops tokens" in of("videollama3-7b", "8x448x448").notes[0]
    assert not of("qwen2.5-vl-7b", "8x448x448").notes


@given(frames=st.integers(1, 300), height=st.integers(28, 2000), width=st.integers(28, 2000))
@settings(max_examples=60, deadline=None)
def test_qwen_patches_are_those_of_its_processor(frames, height, width):
    """Below 300 frames the budget of the whole video does not bind, which the processor does not have by default."""
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    theirs = Qwen2VLVideoProcessor().get_num_of_video_patches(frames, height, width, {})
    assert of("qwen2.5-vl-7b", (frames, height, width)).patches == theirs


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), factor=st.sampled_from([28, 32]))
def test_sizes_are_multiples_within_limits(height, width, factor):
    least, most = 128 * factor**2, 768 * factor**2
    if max(height, width) > 200 * min(height, width):
        with pytest.raises(InputError, match="refuses frames"):
            resized_to_multiples(Clip(1, height, width), factor, least, most)
        return
    seen = resized_to_multiples(Clip(1, height, width), factor, least, most)
    assert seen.height % factor == seen.width % factor == 0
    if max(height, width) < 20 * min(height, width):
        assert least <= seen.height * seen.width <= most


@pytest.mark.parametrize("class_name", CONFIGS)
def test_the_model_makes_as_many_tokens(class_name):
    """The real tower, with weights, on a real video: what it returns has as many rows as the rule says."""
    sizes, frames = tiny(class_name), 4
    found = visual_tokens(sizes, Clip(frames, 84, 112))
    model, family = part_builder(sizes.part("whole"))(), family_of(class_name)
    inputs = {}
    for name, value in family.frames(model.config, found, 1, "float32").items():
        inputs[name] = value.value if hasattr(value, "value") else torch.randn(value.shape)
    with torch.no_grad():
        result = family.encode(model, **inputs)
    features = getattr(result, "pooler_output", result)
    features = torch.cat(list(features)) if isinstance(features, (list, tuple)) else features
    assert features.numel() == found.tokens * 32
    encoded = next(iter(family.encoded(model.config, found, 1, "float32").values())).pooler_output
    assert sum(each.numel() for each in encoded) == features.numel()  # what prefill gets without running the tower


def test_every_known_language_model_has_a_rule():
    for sizes in model_sizes().values():
        if sizes.task == "language":
            assert visual_tokens(sizes, Clip(4, 448, 448)).tokens > 0


def test_other_models_are_refused():
    with pytest.raises(InputError, match="no video-language model"):
        of("wan2.1-t2v-1.3b", "8x64x64")
    with pytest.raises(UnknownNameError, match="Qwen3VLForConditionalGeneration"):
        family_of("Qwen3VLForConditionalGeneratio")


def run(line):
    return CliRunner().invoke(app, line.split())


def test_the_command():
    text = run("tokens qwen2.5-vl-7b --video 32x448x448 --fps 2 --prompt 64").stdout
    assert "16,384 / 2² = 4,096" in text
    assert "4,096 / (32 / 2 s) = 256" in text
    assert "4,096 visual + 2 delimiters + 64 of the prompt = 4,162" in text
    data = json.loads(run("tokens qwen2.5-vl-7b --video 32x448x448 --prompt 64 --format json").stdout)
    assert (data["patches"], data["tokens"], data["prefill"], data["grid"]) == (16_384, 4_096, 4_162, [16, 32, 32])
    refused = run("tokens wan2.1-t2v-1.3b --video 9x64x64")
    assert refused.exit_code == 2
    assert "no video-language model" in refused.stderr
