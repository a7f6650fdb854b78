"""Models of images and text by class name: default parts that do not fit are made to, and the result says how."""

import importlib
import importlib.util
from types import SimpleNamespace as Config

import pytest
import torch
from torch import nn

from flopcount import FlopcountError, UnknownNameError, count_model
from flopcount.core.parsing import parse_settings
from flopcount.models.libraries.transformers.agreement import _features, _heads, _rotary, _shuffled, _windows
from flopcount.models.libraries.transformers.configurations import require_option

library = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs transformers")
QWEN = {
    "text_config.hidden_size": 64,
    "text_config.intermediate_size": 96,
    "text_config.num_hidden_layers": 2,
    "text_config.num_attention_heads": 4,
    "text_config.num_key_value_heads": 2,
    "text_config.vocab_size": 151_700,
    "text_config.rope_parameters.mrope_section": [2, 3, 3],
    "vision_config.depth": 1,
    "vision_config.hidden_size": 32,
    "vision_config.intermediate_size": 48,
    "vision_config.num_heads": 2,
    "vision_config.fullatt_block_indexes": [0],
}


def part(**fields):
    return Config(model_type="part", **fields)


# Rules, on made-up configurations


@pytest.mark.parametrize(("heads", "nearest"), [(14, 16), (12, None), (13, 12), (17, 18), (1000, 1152)])
def test_heads_that_do_not_divide_a_width(heads, nearest):
    config = Config(vision_config=part(hidden_size=1152, num_attention_heads=heads))
    assert _heads(config) == ({} if nearest is None else {"vision_config.num_attention_heads": nearest})


def test_a_width_of_heads_of_its_own_needs_no_divisor():
    assert _heads(Config(text_config=part(hidden_size=100, num_attention_heads=3, head_dim=64))) == {}


@pytest.mark.parametrize(
    ("sections", "frequencies", "scaled"),
    [
        ([8, 12, 12], 64, [16, 24, 24]),
        ([8, 12, 12], 11, [3, 4, 4]),
        ([16, 24, 24], 64, None),
        ([1, 1, 1], 8, [4, 2, 2]),
    ],
)
def test_sections_of_rotary_positions_sum_to_the_frequencies(sections, frequencies, scaled):
    module = nn.Identity()
    module.mrope_section, module.inv_freq = sections, torch.ones(frequencies)
    found = _rotary(module, Config(text_config=part(rope_parameters={"rope_type": "default"})))
    assert found == ({} if scaled is None else {"text_config.rope_parameters.mrope_section": scaled})
    assert all(sum(values) == frequencies for values in found.values())


def test_a_layer_behind_shuffled_pixels():
    vision = part(pixel_shuffle_ratio=0.5, hidden_size=768, intermediate_size=5632)
    assert _shuffled(Config(vision_config=vision)) == {"vision_config.intermediate_size": 768 * 4}


def test_a_window_that_has_no_size():
    text = part(layer_types=["full_attention", "sliding_attention"], sliding_window=None)
    assert _windows(Config(text_config=text)) == {"text_config.sliding_window": 4096}
    assert _windows(Config(text_config=part(layer_types=["full_attention"], sliding_window=None))) == {}


def test_a_model_without_an_encoder_of_images_has_no_features_to_fit():
    assert _features(nn.Identity, nn.Identity(), Config(text_config=part(hidden_size=3))) == {}


# Options within options


def test_dots_in_settings():
    assert parse_settings(["text_config.hidden_size=3584", "a.b.c=[1, 2]"]) == {
        "text_config.hidden_size": 3584,
        "a.b.c": [1, 2],
    }
    for wrong in ("a.=1", ".a=1", "a..b=1", "a-b=1"):
        with pytest.raises(FlopcountError, match="is not key=value"):
            parse_settings([wrong])


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("text_confg.width", "text_config"),
        ("text_config.widht", "text_config.width"),
        ("text_config.rope.tpye", "text_config.rope.type"),
    ],
)
def test_near_names_at_each_level(path, near):
    config = Config(text_config=part(width=3, rope={"type": "default"}))
    with pytest.raises(UnknownNameError, match=f"near    {near}"):
        require_option(config, path, "a model")
    require_option(config, near, "a model")
    require_option(config, "text_config.rope.mrope_section", "a model")  # no class declares the keys of a dictionary


# Models


def qwen(tokens, patches, *, width=64, inner=96, layers=2, vision=32, vision_inner=48, words=151_700):
    """MACs of a small Qwen2.5-VL on one image: tower, merger, text with grouped keys, logits of every token."""
    heads, groups, per_head = 4, 2, width // 4
    pixels = 3 * 2 * 14 * 14
    block = 4 * patches * vision**2 + 2 * patches**2 * vision + 3 * patches * vision * vision_inner
    merged = patches // 4
    merger = merged * ((4 * vision) ** 2 + 4 * vision * width)
    attention = 2 * tokens * width * heads * per_head + 2 * tokens * width * groups * per_head
    layer = attention + 2 * tokens**2 * width + 3 * tokens * width * inner
    return patches * pixels * vision + block + merger + layers * layer + tokens * width * words


@library
def test_a_small_qwen_costs_what_a_hand_counts():
    report = count_model("transformers:Qwen2_5_VLForConditionalGeneration", options=QWEN)
    patches = 16 * 16
    tokens = patches // 4 + 128
    assert report.departures == ("vision_config.out_hidden_size=64, for its parts to fit together",)
    assert report.macs == qwen(tokens, patches)
    assert report.input.batch == 1


@library
@pytest.mark.parametrize("name", ["SmolVLMForConditionalGeneration", "Glm4vForConditionalGeneration"])
def test_what_a_default_had_to_become_is_said(name):
    report = count_model(f"transformers:{name}")
    assert report.departures
    assert all("for its parts to fit together" in text for text in report.departures)
    assert report.engine == "meta"


@library
def test_what_the_caller_says_is_not_changed():
    report = count_model(
        "transformers:Glm4vForConditionalGeneration",
        options={"text_config.rope_parameters.mrope_section": [20, 22, 22]},
    )
    assert not any("mrope_section" in text for text in report.departures)


@library
def test_a_mistyped_option_of_a_part():
    with pytest.raises(UnknownNameError, match=r"near    text_config\.hidden_size"):
        count_model("transformers:Qwen2_5_VLForConditionalGeneration", options={"text_config.hiden_size": 8})


def names():
    mappings = importlib.import_module("transformers.models.auto.modeling_auto")
    mapped = (
        mappings.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        mappings.MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES,
    )
    return sorted({name for mapping in mapped for name in mapping.values()})


@library
@pytest.mark.audit
def test_every_name_of_the_library(golden):
    """Each with its parameters and MACs, or why it is refused, in the versions of constraints.txt."""
    rows = []
    for name in names():
        try:
            report = count_model(f"transformers:{name}", max_params=2_000_000_000)
            rows.append(f"{name}: {report.params:,} parameters, {report.macs:,} MACs")
        except FlopcountError as error:
            rows.append(f"{name}: {error.message}")
    golden("image_text_to_text.txt", "\n".join(rows) + "\n")
