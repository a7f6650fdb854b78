"""A video-language model by name with a video: one forward, which is its vision tower and its prefill."""

import importlib.util

import pytest
import torch
from typer.testing import CliRunner
from video_language import CONFIGS, tiny

from flopcount import Clip, InputError, count_model
from flopcount.cli import app
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Protocol
from flopcount.count import count
from flopcount.models.library_registry import find_library
from flopcount.models.visual_tokens import family_of, question_tokens, visual_tokens
from flopcount.pipelines.answering import answered
from flopcount.pipelines.requests import AnswerRequest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs transformers")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen2.5-vl-7b", "Qwen/Qwen2.5-VL-7B-Instruct"])
def test_a_question_about_32_frames_costs_what_pipelines_record(name):
    report = count_model(name, video="32x448x448")
    assert report.macs == 43_678_675_779_584
    assert report.input.clip == Clip(32, 448, 448)
    assert report.input.batch == 1  # and not 16,384 patches
    assert report.assumed[0] == (
        "a question of 64 tokens about the video: 4,096 visual + 2 delimiters + 64 of the prompt = 4,162"
    )


@pytest.mark.parametrize("class_name", CONFIGS)
def test_the_forward_is_vision_and_prefill(class_name):
    """The stages of `generate`, which are counted apart, against the model's own forward on pixels."""
    sizes, clip = tiny(class_name), Clip(4, 384, 384)
    part = sizes.part("whole")
    model = find_library("transformers").part(part, sizes, ModelSpec("", video=clip))
    module = model.build().eval()
    whole = count(module, model.inputs(module, 1), Protocol(batch=1), saving=False)
    stages = answered(sizes, AnswerRequest(video=clip, prompt=64, new_tokens=1, all_logits=True))
    assert whole.total.macs == stages.part("vision").macs + stages.part("prefill").macs
    twice = count(module, model.inputs(module, 2), Protocol(batch=2), saving=False)
    assert twice.total.macs == 2 * whole.total.macs


def test_tokens_of_a_question():
    visual = visual_tokens(tiny("Qwen2_5_VLForConditionalGeneration"), Clip(2, 56, 56))
    ids = question_tokens(visual, 7, visual.tokens + 2 + 3, batch=2)
    assert ids.shape == (2, visual.tokens + 5)
    assert (ids == 7).sum() == 2 * visual.tokens
    assert torch.equal(ids[:, : 1 + visual.tokens], torch.tensor([[0] + [7] * visual.tokens] * 2))


def test_a_family_that_is_not_known_says_so():
    with pytest.raises(InputError, match="how many tokens a video is to Glm4vForConditionalGeneration is not known"):
        count_model("transformers:Glm4vForConditionalGeneration", video="4x224x224")
    with pytest.raises(InputError, match="Blip2ForConditionalGeneration takes images, not a video"):
        count_model("transformers:Blip2ForConditionalGeneration", video="4x224x224")
    assert family_of("SmolVLMForConditionalGeneration").name == "SmolVLM"


def test_the_command_says_what_it_took_for_granted():
    result = CliRunner().invoke(app, ["model", "smolvlm2-2.2b", "--video", "2x384x384"])
    assert result.exit_code == 0, result.output
    assert "assumed: a question of 64 tokens about the video: 162 visual + 2 delimiters + 64" in result.output
