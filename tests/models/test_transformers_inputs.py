"""The inputs of a model of transformers, and what a default configuration lacks: rules on made-up configurations."""

import importlib.util
from types import SimpleNamespace as Config

import pytest
from torch import nn

from flopcount import InputError, UnknownNameError, count_model
from flopcount.models.libraries.transformers.configurations import completed, few_experts, shallow, shallowest
from flopcount.models.libraries.transformers.fields import field_of, picture_of, sound_of, takes
from flopcount.models.libraries.transformers.inputs import inputs_of
from flopcount.models.libraries.transformers.placeholders import placeholder_tokens, plain_token

library = pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs transformers")


def part(**fields):
    return Config(model_type="part", **fields)


def model_class(signature, main="input_ids", **attributes):
    """A class whose forward pass has this signature."""
    names: dict = {}
    exec(f"def forward(self, {signature}): pass", names)
    name = attributes.pop("name", "NetForText")
    return type(name, (nn.Module,), {"main_input_name": main, "forward": names["forward"], **attributes})


def given(signature, config, module=None, batch=1, **attributes):
    kind = model_class(signature, **attributes)
    inputs, _ = inputs_of(kind, config, None)
    return inputs(module if module is not None else kind(), batch)


def shape(value):
    return tuple(getattr(value, "shape", value))


# Fields


def test_a_field_is_looked_for_in_the_part_it_is_about_first():
    config = Config(text_config=part(width=1), vision_config=part(width=2, inner=part(depth=3)), size=None)
    assert field_of(config, ("width",)) == 1
    assert field_of(config, ("width",), "image") == 2
    assert field_of(config, ("depth", "width"), "image") == 2
    assert field_of(config, ("size", "nothing")) is None


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        (Config(), (3, 224, 224)),
        (Config(image_size=32, num_channels=1), (1, 32, 32)),
        (Config(image_size=(16, 24)), (3, 16, 24)),
        (Config(vision_config=part(image_size={"height": 8, "width": 9})), (3, 8, 9)),
        (Config(scaled_images_ratios=[0.25, 0.5, 1], patch_size=384, part=part(image_size=384)), (3, 1536, 1536)),
    ],
)
def test_pictures_have_the_size_the_configuration_says(config, sizes):
    assert picture_of(config) == sizes


@pytest.mark.parametrize(
    ("name", "config", "layers", "sizes"),
    [
        ("input_values", Config(num_mel_bins=80), [nn.Conv1d(1, 8, 3)], (16_000,)),  # wav2vec 2
        ("input_values", Config(num_mel_bins=128, max_length=1024), [nn.Conv2d(1, 8, 16)], (1024, 128)),  # AST
        ("input_values", Config(audio_config=part(channels=1)), [nn.Conv1d(1, 8, 3)], (1, 16_000)),  # a codec
        ("input_features", Config(num_mel_bins=80, max_source_positions=1500), [nn.Conv1d(80, 8, 3)], (80, 3000)),
        ("input_features", Config(input_feat_per_channel=80), [nn.Conv1d(80, 8, 5)], (1024, 80)),  # Speech2Text
        ("input_features", Config(encoder_config=part(num_mel_bins=128)), [nn.Conv2d(1, 8, 3)], (1024, 128)),
        ("input_features", Config(audio_config=part(num_mel_bins=128, n_window=50)), [nn.Conv2d(1, 8, 3)], (128, 1000)),
    ],
)
def test_sound_is_a_waveform_or_a_spectrogram_as_the_layers_take_it(name, config, layers, sizes):
    assert sound_of(config, nn.Sequential(*layers), name) == sizes


def test_stacked_bins_are_as_wide_as_the_layer_that_takes_them():
    module = nn.ModuleDict({"encoder": nn.ModuleDict({"input_linear": nn.Linear(320, 8)})})
    assert sound_of(Config(encoder_config=part(num_mel_bins=80)), module, "input_features") == (1024, 320)


def test_a_model_takes_what_it_has_a_part_for():
    assert takes(Config(), Config(vision_config=part()), "image")
    assert not takes(Config(input_modalities=("image", "text")), Config(vision_config=None), "image")  # as in Gemma 4
    assert takes(Config(input_modalities=("image", "text")), Config(), "image")
    assert not takes(Config(), Config(vision_config=part()), "audio")


# Inputs


def test_text_is_plain_tokens_with_an_end():
    config = Config(vocab_size=50, eos_token_id=2, pad_token_id=0, bos_token_id=1, max_position_embeddings=10)
    ids = given("input_ids=None", config, batch=3)["input_ids"]
    assert ids.shape == (3, 10)
    assert set(ids[:, :-1].flatten().tolist()) == {3}
    assert ids[:, -1].tolist() == [2, 2, 2]
    assert plain_token(Config(image_token_id=0, extra_token_ids=[1, 2], text_config=part(pad_token_id=3))) == 4


def test_a_decoder_gets_tokens_where_there_is_an_encoder():
    signature = "input_ids=None, decoder_input_ids=None"
    assert set(given(signature, Config(is_encoder_decoder=True))) == {"input_ids", "decoder_input_ids"}
    assert set(given(signature, Config(is_encoder_decoder=False))) == {"input_ids"}


def test_a_picture_as_tokens_is_as_long_as_it_can_be():
    kinds = {"name": "NetForImageClassification"}
    assert given("input_ids=None", Config(n_positions=1024), **kinds)["input_ids"].shape == (1, 1024)
    assert given("input_ids=None", Config(n_positions=1024))["input_ids"].shape == (1, 128)


def test_sound_as_tokens_has_one_per_codebook():
    delayed = given("input_ids=None, decoder_input_ids=None", Config(is_encoder_decoder=True, delay_pattern=[0, 1, 2]))
    assert delayed["decoder_input_ids"].shape == (1, 128, 3)
    assert given("input_ids", Config(num_codebooks=4, audio_channels=1), batch=2)["input_ids"].shape == (8, 128)
    assert given("input_ids", Config(num_codebooks=4, codec_config=part()))["input_ids"].shape == (1, 128, 5)


def test_an_input_of_any_kind_is_what_the_model_is_for():
    pixels = given("inputs=None, pixel_values=None", Config(image_size=56), main="inputs")
    assert pixels == {"pixel_values": (1, 3, 56, 56)}
    assert set(given("inputs=None, input_ids=None", Config(), main="inputs")) == {"input_ids"}


@pytest.mark.parametrize(
    ("signature", "config", "layers", "shapes"),
    [
        ("pixel_values", Config(image_size=32), [nn.Conv2d(3, 8, 4)], {"pixel_values": (2, 3, 32, 32)}),
        ("pixel_values", Config(image_size=32, num_frames=4), [], {"pixel_values": (2, 4, 3, 32, 32)}),
        (
            "pixel_values, image_grid_thw=None",  # 2 pictures of 16×16 patches of 2×4×4 colours, one below the other
            Config(vision_config=part(patch_size=4, temporal_patch_size=2)),
            [],
            {"pixel_values": (2 * 256, 96), "image_grid_thw": (2, 3)},
        ),
        (
            "pixel_values, pixel_attention_mask=None, spatial_shapes=None",
            Config(patch_size=4, num_patches=64),
            [],
            {"pixel_values": (2, 64, 48), "pixel_attention_mask": (2, 64), "spatial_shapes": (2, 2)},
        ),
        ("pixel_values", Config(image_size=32, patch_size=4), [nn.Linear(48, 8)], {"pixel_values": (2, 64, 48)}),
        ("pixel_values", Config(patch_size=4), [nn.LayerNorm(48)], {"pixel_values": (2 * 256, 48)}),
    ],
)
def test_pictures_are_pixels_clips_or_patches(signature, config, layers, shapes):
    found = given(signature, config, nn.Sequential(*layers), batch=2, main="pixel_values")
    assert {name: shape(value) for name, value in found.items()} == shapes


class Listens(nn.Module):
    """Text and sound: 8 frames of 4 bins make 2 features."""

    input_modalities = ("audio", "text")
    main_input_name = "input_ids"

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 6)

    def get_audio_features(self, input_features, input_features_mask, **kwargs):
        pooled = self.linear(input_features)[:, ::4]
        return Config(pooler_output=pooled[:, : int(input_features_mask.sum(-1)[0]) // 4])

    def forward(self, input_ids=None, input_features=None, input_features_mask=None, attention_mask=None):
        pass


SPOKEN = Config(audio_token_id=7, audio_config=part(num_mel_bins=4, max_length=8), vocab_size=50)


def test_a_placeholder_stands_for_every_feature_of_the_encoder():
    """2 tokens of the sound before 128 of text, for each sample of the batch."""
    inputs, _ = inputs_of(Listens, SPOKEN, None)
    found = inputs(Listens(), 3)
    assert found["input_features"] == (3, 8, 4)
    assert found["input_features_mask"].shape == (3, 8)
    assert found["input_ids"].shape == found["attention_mask"].shape == (3, 2 + 128)
    assert (found["input_ids"] == 7).sum(1).tolist() == [2, 2, 2]
    assert list(placeholder_tokens(Listens(), SPOKEN, {"input_ids": 0}, 1)) == []


def test_an_encoder_that_looks_at_the_text_tells_how_many_it_wants():
    class Strict(Listens):
        def get_audio_features(self, input_features, **kwargs):
            raise ValueError("Audio features and audio tokens do not match, tokens: 0, features: 5")

    assert list(placeholder_tokens(Strict(), SPOKEN, {"input_features": (1, 8, 4)}, 1)) == [(7, 5)]


def test_features_that_nobody_counts_are_no_silent_zero():
    class Mute(nn.Module):
        pass

    class Merges(nn.Module):
        def _merge_input_ids_with_audio_features(self):
            pass

    asked = (SPOKEN, {"input_features": (1, 8, 4)}, 1)
    with pytest.raises(InputError, match="Mute does not say how many tokens its audio takes"):
        list(placeholder_tokens(Mute(), *asked))
    assert list(placeholder_tokens(Merges(), *asked)) == [(7, 1)]
    filled = Config(audio_soft_tokens_per_image=188, **vars(SPOKEN))
    assert list(placeholder_tokens(Mute(), filled, *asked[1:])) == [(7, 188)]


# Configurations


class Derived(Config):
    attribute_map = {"num_hidden_layers": "encoder_layers"}  # noqa: RUF012

    num_layers = property(lambda self: 40)


def test_a_shallow_configuration_leaves_alone_what_follows_from_others():
    config = Derived(num_hidden_layers=30, encoder_layers=30, decoder_layers=6, text_config=part(n_layer=4))
    assert shallow(config, 8) == {"encoder_layers": 8}
    assert shallowest(config) == {"decoder_layers": 1, "encoder_layers": 1, "text_config.n_layer": 1}
    assert few_experts(Config(num_experts=128, n_routed_experts=8, num_local_experts=None)) == {"num_experts": 8}


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (Config(head_dim=None, hidden_size=64, num_attention_heads=4), {"head_dim": 16}),
        (Config(vocab_size=None, pad_token_id=None), {"vocab_size": 32, "pad_token_id": 0}),
        (Config(vocab_size=9, pad_token_id=None), {}),
        (Config(layer_types=None, num_hidden_layers=2), {"layer_types": ["full_attention"] * 2}),
        (Config(default_language=None, languages=["en_XX"]), {"default_language": "en_XX"}),
        (Config(default_language=None, languages=[]), {}),
        (Config(out_indices=[12], num_hidden_layers=12), {"out_indices": [2, 5, 8, 11]}),
        (Config(out_indices=[1, 2, 3, 4], num_hidden_layers=12), {}),
        (  # 4×4 tokens of 16×16 patches of 8 pixels
            Config(mm_tokens_per_image=16, vision_config=part(image_size=16, patch_size=8)),
            {"vision_config.image_size": 128},
        ),
        (Config(mm_tokens_per_image=16, vision_config=part(image_size=32, patch_size=8)), {}),
        (
            Config(pixel_shuffle_factor=4, vision_config=part(image_size=224, patch_size=16)),
            {"vision_config.image_size": 512},
        ),
        (
            Config(vision_config=part(out_hidden_size=3), text_config=part(hidden_size=4)),
            {"vision_config.out_hidden_size": 4},
        ),
        (Config(image_token_id=50, text_config=part(vocab_size=50)), {"text_config.vocab_size": 51}),
        (Config(hidden_size=64), {}),
    ],
)
def test_what_a_default_lacks_is_completed_per_cause(config, options):
    assert completed(model_class("x"), config) == options


# The library itself


@library
@pytest.mark.filterwarnings("ignore")
def test_text_and_picture_by_hand():
    """256 soft tokens (Gemma 3) of 64×64 patches beside 128 tokens of text; every part runs."""
    options = {
        **{"text_config.num_hidden_layers": 1, "vision_config.num_hidden_layers": 1, "vision_config.image_size": 1024},
        **{"text_config.hidden_size": 64, "text_config.intermediate_size": 96, "text_config.vocab_size": 262_208},
        **{"text_config.num_attention_heads": 2, "text_config.num_key_value_heads": 1, "text_config.head_dim": 32},
        **{"vision_config.hidden_size": 48, "vision_config.intermediate_size": 80},
        **{"vision_config.num_attention_heads": 4},
    }
    report = count_model("transformers:Gemma3ForConditionalGeneration", options=options, strict=True)
    assert report.input.shapes[0] == (1, 256 + 128)
    patches, tokens, wide, seen = (1024 // 16) ** 2, 384, 64, 48
    vision = patches * (3 * 16 * 16 * seen + 4 * seen**2 + 2 * patches * seen + 2 * seen * 80)
    text = tokens * (2 * wide * 64 + 2 * wide * 32 + 2 * tokens * 64 + 3 * wide * 96 + wide * 262_208)
    head = (
        patches * (2 * seen**2 + 2 * seen) + 2 * seen**2 + 2 * seen * 80
    )  # one query over all patches, which runs too
    assert report.macs == vision + head + 256 * seen * wide + text


@library
@pytest.mark.filterwarnings("ignore")
def test_a_field_of_a_part_can_be_set_and_a_wrong_one_is_told():
    name = "transformers:CLIPForImageClassification"
    shallower = count_model(name, options={"vision_config.num_hidden_layers": 1})
    assert 0 < 9 * shallower.macs < count_model(name).macs
    with pytest.raises(UnknownNameError, match=r"'vision_config\.patchsize'\n  near    vision_config.patch_size"):
        count_model(name, options={"vision_config.patchsize": 1})
    with pytest.raises(InputError, match=r"cannot be configured: .*'hidden_size'.*\n  given   hidden_size='wide'"):
        count_model("transformers:BertForMaskedLM", options={"hidden_size": "wide"})
