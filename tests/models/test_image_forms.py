"""Empty fields of defaults, and forms in which encoders take images: each rule by hand, on made-up configurations."""

import importlib.util
from types import SimpleNamespace as Config

import pytest
from torch import nn

from flopcount import count_model
from flopcount.models.libraries.transformers.agreement import _tiles, _windows
from flopcount.models.libraries.transformers.forms import other_forms
from flopcount.models.libraries.transformers.gaps import filled
from flopcount.models.libraries.transformers.placeholders import start_token

library = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs transformers")


def part(**fields):
    return Config(model_type="part", **fields)


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (Config(video_token_index=None, text_config=part(vocab_size=10)), {"video_token_index": 9}),
        (Config(image_token_id=None, vocab_size=10), {"image_token_id": 9}),
        (Config(image_token_id=3, vocab_size=10), {}),
        (Config(vision_feature_layer=[-2, -4], deepstack_layer_map=None), {"deepstack_layer_map": [[-2, 0], [-4, 1]]}),
        (Config(text_config=part(indexer_head_dim=None, head_dim=96)), {"text_config.indexer_head_dim": 96}),
        (Config(vision_config=part(model_args=None, architecture="mobilenet")), {}),
    ],
)
def test_empty_fields(config, options):
    assert filled(config) == options


def test_a_map_of_words_has_each_once():
    words = filled(Config(vocabulary_map=None, vocab_size=100))["vocabulary_map"]
    assert words["<image>"] == 99
    assert sorted(words.values()) == [96, 97, 98, 99]


def test_an_encoder_is_as_wide_as_what_is_before_it():
    vision = part(sam_config=part(downsample_channels=[512, 896]), encoder_config=part(hidden_size=4096))
    assert filled(Config(vision_config=vision)) == {"vision_config.encoder_config.hidden_size": 896}


def test_tiles_are_of_the_size_that_the_tower_takes():
    config = Config(image_grid_pinpoints=[[336, 672], [1008, 336]], vision_config=part(image_size=224))
    assert _tiles(config) == {"image_grid_pinpoints": [[224, 448], [672, 224]]}
    config.vision_config.image_size = 336
    assert _tiles(config) == {}


def test_heads_of_windows_mean_that_a_window_is_asked_for():
    text = part(layer_types=["full_attention"], sliding_window=None, num_sliding_attention_heads=4)
    assert _windows(Config(text_config=text)) == {"text_config.sliding_window": 4096}


def test_forms_of_an_image_hold_as_many_numbers():
    config = Config(vision_config=part(patch_size=4, image_size=32, spatial_merge_size=2, temporal_patch_size=2))
    flat, merged, over_time = other_forms(config, (2 * 256, 3, 4, 4), 2)
    assert flat == (512, 48)
    assert merged == (512, 8, 8, 3)
    assert over_time == (512, 2, 4, 4, 3)
    tile, row, _ = other_forms(config, (2, 3, 32, 32), 2)
    assert tile == (2, 1, 3, 32, 32)
    assert row == (1, 3, 4, 512 * 4)


class Finding(nn.Module):
    def get_rope_index(self, ids):
        return ids.index(self.config.vision_start_token_id)


class Told(nn.Module):
    def get_rope_index(self, ids, mm_token_type_ids):
        return self.config.vision_start_token_id


def test_a_start_is_needed_where_positions_are_found_by_it():
    config = Config(vision_start_token_id=5)
    assert start_token(Finding(), config, "vision") == 5
    assert start_token(Finding(), config, "audio") is None
    assert start_token(Told(), config, "vision") is None


@library
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ChameleonForConditionalGeneration", "vocabulary_map="),
        ("PerceptionLMForConditionalGeneration", "vision_config.architecture='vit_pe_core_large_patch14_336'"),
        ("HunYuanVLForConditionalGeneration", "text_config.rope_parameters.mrope_section=[16, 16, 16, 16]"),
        ("InstructBlipVideoForConditionalGeneration", "video_token_index="),
    ],
)
def test_names_that_were_refused_count_and_say_how(name, said):
    report = count_model(f"transformers:{name}")
    assert report.engine == "meta"
    assert any(text.startswith(said) for text in report.departures)


@library
@pytest.mark.slow
def test_an_image_is_seen_and_not_left_out():
    """MiniCPM-V takes its patches in one row: without their number it would cost as much as the text alone."""
    report = count_model("transformers:MiniCPMV4_6ForConditionalGeneration")
    assert any(".vision" in layer.path and layer.cost.macs for layer in report.modules)
