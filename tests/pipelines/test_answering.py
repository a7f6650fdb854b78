"""Answers about videos: printed values, hand formulas, the trace of a whole real `generate()`, and its laws."""

import importlib.util
from fractions import Fraction
from math import inf

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from video_language import CONFIGS, tiny

from flopcount import Clip, InputError, UnknownNameError
from flopcount.count import count
from flopcount.facts.model_sizes import find_sizes, model_sizes
from flopcount.models.part import part_builder
from flopcount.models.visual_tokens import family_of, visual_tokens
from flopcount.pipelines.answering import answered
from flopcount.pipelines.answering.attention import causal_pairs
from flopcount.pipelines.answering.cache import KVCache
from flopcount.pipelines.jobs_of_models import ModelJob
from flopcount.pipelines.requests import AnswerRequest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs transformers")

VIDEO = Clip(32, 448, 448)
DENSE, EXPERTS = "Qwen2_5_VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration"


def answer(sizes, **asked):
    return answered(sizes, AnswerRequest(**{"video": Clip(4, 224, 224), "prompt": 9, "new_tokens": 5, **asked}))


@pytest.fixture(scope="module")
def qwen():
    asked = {"video": VIDEO, "prompt": 64, "new_tokens": 256, "dtype": "bfloat16", "density": Fraction(1, 4)}
    return answer(find_sizes("qwen2.5-vl-7b"), **asked)


# A dense model


def test_the_stages_of_a_7b_model(qwen):
    assert [stage.name for stage in qwen.stages] == ["vision", "prefill", "decode"]
    assert qwen.part("vision").macs == 10_775_502_520_320
    assert qwen.part("vision").macs + qwen.part("prefill").macs == 41_410_941_698_048
    assert qwen.stage("decode").report.at(0).total.macs == 7_905_816_576
    assert qwen.part("decode").macs == 2_022_483_025_920
    assert qwen.total.params == 8_292_166_656


def test_all_logits_of_a_7b_model(qwen):
    whole = answer(find_sizes("qwen2.5-vl-7b"), video=VIDEO, prompt=64, new_tokens=1, all_logits=True)
    assert whole.total.macs == 43_678_675_779_584
    assert whole.part("prefill").macs - qwen.part("prefill").macs == (4_162 - 1) * 3_584 * 152_064


def test_attention_of_a_7b_model(qwen):
    prefill, decode = qwen.facts["attention"]["prefill"], qwen.facts["attention"]["decode"]
    assert (prefill["dense"], prefill["causal"]) == (3_476_643_659_776, 1_738_739_494_912)
    assert (prefill["sparse"], prefill["density"]) == (3_476_643_659_776 // 4, 0.25)
    assert any("869 G at a density of 0.25" in note for note in qwen.notes)
    assert prefill["dense_formula"] == "28 · 7,168 · 4,162²"
    assert prefill["causal_formula"] == "28 · 7,168 · 4,162 · 4,163 / 2"
    assert any("3.48 T MACs dense" in note and "1.74 T causal" in note for note in qwen.notes)
    assert decode["dense"] == decode["causal"] == sum(28 * 2 * 3_584 * (4_162 + k + 1) for k in range(255))


def test_a_7b_model_by_hand(qwen):
    """28 layers of width 3,584 with 28 heads and 4 of keys and values, a gated MLP of 18,944, 152,064 words."""
    tokens, wide, kept, mlp, layers, words = 4_162, 3_584, 4 * 128, 18_944, 28, 152_064
    per_token = layers * (2 * wide * wide + 2 * wide * kept + 3 * wide * mlp)
    attention = layers * 2 * tokens * tokens * wide
    assert qwen.part("prefill").macs == tokens * per_token + attention + wide * words
    step = per_token + layers * 2 * (tokens + 1) * wide + wide * words
    assert qwen.stage("decode").report.first.total.macs == step
    assert qwen.part("decode").macs == 255 * step + layers * 2 * wide * sum(range(255))


def test_the_cache_of_a_7b_model(qwen):
    cache = qwen.facts["kv_cache"]
    assert cache["bytes_per_token"] == 2 * 28 * 4 * 128 * 2
    assert (cache["tokens_after_prefill"], cache["tokens_after_answer"]) == (4_162, 4_162 + 255)
    assert cache["bytes_after_prefill"] == 4_162 * 57_344
    assert cache["bytes_after_answer"] == 4_417 * 57_344
    assert qwen.facts["parameters"] == {"total": 8_292_166_656, "active": 8_292_166_656}


def test_units(qwen):
    assert {row.words: (row.count, row.total.macs) for row in qwen.per_units} == {
        "video": (1, qwen.total.macs),
        "second": (16, qwen.total.macs // 16),
        "new token": (256, qwen.total.macs // 256),
        "input token of prefill": (4_162, qwen.part("prefill").macs // 4_162),
        "token of decode": (255, qwen.part("decode").macs // 255),
    }
    assert qwen.with_parameters(new_tokens=2).part("decode").macs == 7_905_816_576


def test_few_steps_are_counted(qwen):
    assert len(qwen.stage("decode").report._passes) <= 5  # of 255, and at most one more for another length


# A mixture of experts


def test_a_mixture_of_experts_by_hand():
    """48 layers of width 2,048, 32 heads of 128 and 4 of keys and values, 8 of 128 experts of 768, 151,936 words."""
    whole = answer(find_sizes("qwen3-vl-30b-a3b"), video=VIDEO, prompt=64, new_tokens=256, dtype="bfloat16")
    tokens, wide, heads, kept, layers = 16 * 14 * 14 + 2 + 64, 2_048, 32 * 128, 4 * 128, 48
    per_token = layers * (2 * wide * heads + 2 * wide * kept + wide * 128 + 8 * 3 * wide * 768)
    assert whole.part("prefill").macs == tokens * per_token + layers * 2 * tokens**2 * heads + wide * 151_936
    step = per_token + layers * 2 * (tokens + 1) * heads + wide * 151_936
    assert whole.part("decode").macs == 255 * step + layers * 2 * heads * sum(range(255))
    assert whole.total.params == 31_070_754_032
    spared = layers * 120 * 3 * wide * 768
    assert whole.facts["parameters"] == {
        "total": 31_070_754_032,
        "active": 31_070_754_032 - spared,
        "experts": 128,
        "active_experts": 8,
    }


# Against the real thing


def generating(family, model, found, tokens):
    """What `generate()` takes: real pixels, and tokens with the video's placeholders in them."""
    inputs = {
        name: value.value if hasattr(value, "value") else torch.randn(value.shape)
        for name, value in family.frames(model.config, found, 1, "float32").items()
    }
    if "SmolVLM" in family.name:
        inputs["pixel_values"] = inputs["pixel_values"][None]
    ids = torch.ones(1, tokens, dtype=torch.int64)
    placeholder = getattr(model.config, family.token_id)
    pairs, gap = (found.grid[0], 2) if family.name == "Qwen3-VL" else (1, 0)  # it needs text between pairs of frames
    for pair in range(pairs):
        first = 1 + pair * (found.tokens // pairs + gap)
        ids[0, first : first + found.tokens // pairs] = placeholder
    if "Qwen" in family.name:
        inputs["mm_token_type_ids"] = 2 * (ids == placeholder).long()
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **inputs}


@pytest.mark.parametrize("class_name", CONFIGS)
def test_an_answer_is_the_trace_of_the_whole_generation(class_name):
    """A real `generate()` with weights on the CPU, from pixels to the last token: every loop by force."""
    sizes, clip = tiny(class_name), Clip(4, 384, 384)
    whole = answer(sizes, video=clip, new_tokens=6)
    torch.manual_seed(0)
    model, family, found = part_builder(sizes.part("whole"))(), family_of(class_name), visual_tokens(sizes, clip)
    inputs = generating(family, model, found, found.with_prompt(9)[0])
    inputs |= {"min_new_tokens": 6, "max_new_tokens": 6, "do_sample": False}
    traced = count(model.generate, inputs, engine="real", saving=False)
    assert whole.total.macs == traced.total.macs
    assert all(whole.part(stage.name).macs > 0 for stage in whole.stages)


@pytest.mark.parametrize("class_name", CONFIGS)
def test_decoding_is_its_steps_one_by_one(class_name):
    whole = answer(tiny(class_name), new_tokens=9)
    growing = whole.stage("decode").report
    steps = [growing._count(k).total for k in range(8)]
    assert whole.part("decode").macs == sum(step.macs for step in steps)
    assert whole.part("decode").other_flops == sum(step.other_flops for step in steps)
    assert whole.part("decode").bytes_read == sum(step.bytes_read for step in steps)
    assert len({step.macs for step in steps}) == 8  # each attends to one more token


def test_a_sliding_window():
    """Tokens after the window are forgotten: with 7 of them a token meets 7 at most in one of two layers."""
    window = {"use_sliding_window": True, "sliding_window": 7, "layer_types": ["full_attention", "sliding_attention"]}
    sizes = tiny("InternVLForConditionalGeneration", **window)
    whole = answer(sizes, video=Clip(1, 56, 56), prompt=1, new_tokens=9)
    tokens = 4 + 2 + 1
    steps = [whole.stage("decode").report._count(k).total.macs for k in range(8)]
    assert whole.part("decode").macs == sum(steps)
    assert steps[1] - steps[0] == 2 * 32  # the full layer alone grows once the window is full
    cache = whole.facts["kv_cache"]
    assert cache["sliding_window"] == 7
    per_layer = 2 * 2 * 8 * 4
    assert cache["bytes_after_answer"] == per_layer * (tokens + 8 + 7)
    prefill = whole.facts["attention"]["prefill"]
    assert prefill["dense"] == 2 * 2 * 32 * tokens**2
    assert prefill["causal"] == 2 * 32 * (causal_pairs(tokens) + causal_pairs(tokens, 7))


def test_a_window_that_prefill_fills():
    window = {"use_sliding_window": True, "sliding_window": 7, "layer_types": ["full_attention", "sliding_attention"]}
    sizes = tiny("InternVLForConditionalGeneration", **window)
    whole = answer(sizes, video=Clip(2, 56, 56), prompt=5, new_tokens=3)
    tokens = 8 + 2 + 5
    prefill = whole.facts["attention"]["prefill"]
    assert prefill["causal"] == 64 * (15 * 16 // 2 + 7 * 8 // 2 + 8 * 7)
    assert prefill["causal_formula"] == "1 · 64 · 15 · 16 / 2 + 1 · 64 · (7 · 8 / 2 + 8 · 7)"
    assert whole.facts["kv_cache"]["bytes_after_prefill"] == 2 * 2 * 8 * 4 * (tokens + 7)


def test_limits_of_a_model_are_named():
    sizes = find_sizes("llava-next-video-7b")
    notes = answer(sizes, video=VIDEO, prompt=64, new_tokens=256, dtype="bfloat16").notes
    assert "4,927 tokens are more than the 4,096 positions that the model was made for" in notes
    assert any("put together" in note for note in notes)


@given(tokens=st.integers(1, 60), window=st.integers(1, 70) | st.none())
def test_causal_pairs_are_those_of_a_mask(tokens, window):
    reach = window or inf
    assert causal_pairs(tokens, window) == sum(q >= k and q - k < reach for q in range(tokens) for k in range(tokens))


# Batches, parts and dtypes


@pytest.mark.parametrize("class_name", CONFIGS)
def test_a_batch_is_so_many_questions(class_name):
    sizes = tiny(class_name)
    one, four = answer(sizes), answer(sizes, batch=4)
    for stage in ("vision", "prefill", "decode"):
        assert four.part(stage).macs == 4 * one.part(stage).macs > 0
    assert four.facts["kv_cache"]["bytes_after_answer"] == 4 * one.facts["kv_cache"]["bytes_after_answer"]
    assert four.total.params == one.total.params
    assert [row.total.macs for row in four.per_units if row.words == "video"] == [one.total.macs]


@pytest.mark.parametrize("class_name", CONFIGS)
def test_parameters_are_those_of_the_class(class_name):
    sizes = tiny(class_name)
    whole, model = answer(sizes), part_builder(sizes.part("whole"))()
    assert whole.total.params == sum(parameter.numel() for parameter in model.parameters())
    vision, prefill, decode = (whole.part(stage.name).params for stage in whole.stages)
    assert decode == prefill
    assert vision + prefill == whole.total.params
    assert whole.result.total == whole.total
    assert not whole.result.uncosted


@pytest.mark.slow
@pytest.mark.parametrize("name", [sizes.name for sizes in model_sizes().values() if sizes.task == "language"])
def test_known_models_can_be_asked(name):
    sizes = find_sizes(name)
    whole = answer(sizes, video=VIDEO, prompt=64, new_tokens=256, dtype="bfloat16")
    assert whole.total.params == sizes.part("whole").params_built
    assert not whole.result.uncosted
    assert whole.result.engine == "meta"


@pytest.mark.parametrize("class_name", CONFIGS)
def test_logits_are_those_that_the_class_computes(class_name):
    """VideoLLaMA3's forward computes all of them, whatever generate() asks; the others the last one's."""
    last, every = answer(tiny(class_name)), answer(tiny(class_name), all_logits=True)
    tokens, text = last.facts["tokens"]["prefill"], CONFIGS[class_name]["text_config"]
    more = 0 if "VideoLlama3" in class_name else (tokens - 1) * text["hidden_size"] * text["vocab_size"]
    assert every.part("prefill").macs - last.part("prefill").macs == more
    said = "all tokens" if "VideoLlama3" in class_name else "the last token"
    assert any(note.startswith(f"logits: of {said}") for note in last.notes)


def test_dtypes():
    sizes = tiny(DENSE)
    cache = {dtype: answer(sizes, kv_dtype=dtype).facts["kv_cache"]["bytes_per_token"] for dtype in ("fp8", "bf16")}
    assert cache == {"fp8": 2 * 2 * 2 * 8, "bf16": 2 * 2 * 2 * 8 * 2}
    half, full = answer(sizes, dtype="bfloat16"), answer(sizes)
    assert half.total.macs == full.total.macs
    assert half.facts["kv_cache"]["dtype"] == "bfloat16"
    assert any("counted in float32" in note for note in full.notes)


@pytest.mark.parametrize(
    ("precision", "asked", "kept"),
    [("bf16", None, "bf16"), ("amp", None, "fp16"), ("tf32", None, "fp32"), ("bf16", "fp8", "fp8"), (None, None, None)],
)
def test_the_cache_is_kept_in_the_precision_that_runs(precision, asked, kept):
    job = ModelJob.of("qwen2.5-vl-7b", video="4x224x224", prompt=9, new_tokens=5, kv_dtype=asked)
    assert job.running_in(precision).request.kv_dtype == kept
    video = ModelJob.of("wan2.1-t2v-1.3b")
    assert video.running_in(precision) == video


def test_an_answer_of_one_token_needs_no_step():
    whole = answer(tiny(DENSE), new_tokens=1)
    assert whole.times["decode"] == 0
    assert whole.part("decode").macs == 0
    assert "token of decode" not in {row.words for row in whole.per_units}


def test_bytes_of_a_cache():
    assert KVCache((None, 10), 2, 16, "fp8", 3).kept(100) == 3 * 2 * (100 + 10) * 2 * 16
    assert KVCache((None,), 2, 16, "int4", 1).kept(10) == 2 * 10 * 2 * 16 // 2


def test_data_of_every_operation():
    sizes = tiny(DENSE)
    asked = AnswerRequest(video=Clip(4, 224, 224), prompt=9, new_tokens=5)
    followed = answered(sizes, asked, dataflow=True)
    assert followed.total == answered(sizes, asked).total
    assert all(stage.report.dataflow for stage in followed.stages[:2])
    assert followed.stage("decode").report.first.dataflow


# What is refused


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"prompt": None}, "the question's length is not given"),
        ({"new_tokens": None}, "the answer's length is not given"),
        ({"video": None}, "no frames of its own"),
    ],
)
def test_what_has_no_default_is_asked_for(asked, message):
    with pytest.raises(InputError, match=message):
        answer(tiny(DENSE), **asked)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="fp8"):
        answer(tiny(DENSE), kv_dtype="fp9")
    with pytest.raises(InputError, match="no video-language model"):
        answer(find_sizes("wan2.1-t2v-1.3b"))
