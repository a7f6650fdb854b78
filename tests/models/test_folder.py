"""Folders of diffusers and transformers: configurations as data, and what is refused."""

import importlib.util

import pytest
from folders import write, write_model, write_pipeline
from torch import nn
from typer.testing import CliRunner

from flopcount import InputError, UnknownNameError, count_generation, count_model
from flopcount.cli import app
from flopcount.facts.model_sizes import find_sizes
from flopcount.models.configuration_file import is_path, read_configuration
from flopcount.models.folder import part_of_folder, sizes_of_folder

needs = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("diffusers", "transformers"))), reason="needs diffusers and transformers"
)
SMALL_VIVIT = {
    "architectures": ["VivitForVideoClassification"],
    "model_type": "vivit",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_frames": 2,
    "image_size": 16,
    "tubelet_size": [2, 8, 8],
}
SMALL_WAN = {
    "_class_name": "WanTransformer3DModel",
    "_diffusers_version": "0.33.0",
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "num_layers": 1,
    "ffn_dim": 32,
    "text_dim": 16,
    "freq_dim": 8,
}


@pytest.mark.parametrize(
    ("name", "path"),
    [("./x", True), ("~/x", True), ("/x", True), ("x/y", True), ("..", True), ("WanTransformer3DModel", False)],
)
def test_what_has_a_slash_or_begins_with_a_dot_is_a_path(name, path):
    assert is_path(name) is path


# A pipeline


PIPELINES = [
    ("wan2.1-t2v-1.3b", "WanPipeline"),
    ("cogvideox-2b", "CogVideoXPipeline"),
    ("hunyuanvideo", "HunyuanVideoPipeline"),
    ("ltx-video", "LTXPipeline"),
    ("allegro", "AllegroPipeline"),
    ("mochi-1-preview", "MochiPipeline"),
    ("stable-video-diffusion-img2vid", "StableVideoDiffusionPipeline"),
]


@needs
@pytest.mark.parametrize(("name", "pipeline"), PIPELINES)
def test_a_folder_says_what_the_data_say_of_the_same_model(tmp_path, name, pipeline):
    read, known = sizes_of_folder(write_pipeline(tmp_path, name, pipeline)), find_sizes(name)
    assert read.defaults == known.defaults
    assert read.passes_per_step == known.passes_per_step
    assert set(read.parts) == set(known.parts)
    for role, part in known.parts.items():
        mine = read.part(role)
        assert (mine.library, mine.class_name, mine.tokens) == (part.library, part.class_name, part.tokens)
        assert (mine.latent, mine.latent_channels) == (part.latent, part.latent_channels)
        assert {key: mine.config[key] for key in part.config} == part.config
    assert read.other_defaults["scheduler"]["flow_shift"] == 3.0


@needs
def test_two_experts_and_their_boundary(tmp_path):
    read = sizes_of_folder(write_pipeline(tmp_path, "wan2.2-t2v-a14b", "WanPipeline", boundary_ratio=0.875))
    assert read.part("denoiser_2").class_name == "WanTransformer3DModel"
    assert read.experts == {"boundary": 0.875}


@needs
def test_a_component_that_is_absent_is_no_part(tmp_path):
    folder = write_pipeline(tmp_path, "wan2.1-t2v-1.3b", "WanPipeline", transformer_2=[None, None], image_encoder=[])
    assert set(sizes_of_folder(folder).parts) == {"text_encoder", "denoiser", "vae"}


@needs
def test_the_file_and_a_slash_at_the_end_name_the_same_folder(tmp_path, monkeypatch):
    folder = write_pipeline(tmp_path / "wan", "wan2.1-t2v-1.3b", "WanPipeline")
    parts = sizes_of_folder(folder).parts
    assert sizes_of_folder(f"{folder}/").parts == parts
    assert sizes_of_folder(folder / "model_index.json").parts == parts
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sizes_of_folder("~/wan").parts == parts
    monkeypatch.chdir(tmp_path)
    assert sizes_of_folder("./wan").parts == parts


@needs
def test_a_pipeline_is_not_one_model(tmp_path):
    folder = write_pipeline(tmp_path, "wan2.1-t2v-1.3b", "WanPipeline")
    with pytest.raises(InputError, match=r"several models\n.*/transformer, .*\n.*flopcount generate"):
        part_of_folder(folder, "diffusers")


@needs
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"_class_name": None}, "does not say which pipeline"),
        ({"_class_name": "WanPipelin"}, "no pipeline of diffusers named 'WanPipelin'\n  near    WanPipeline"),
        ({"transformer": "x"}, ""),
        ({"vae": ["diffusers"]}, "vae is \\['diffusers'\\]"),
        ({"transformer": ["transformer_own", "MyTransformer"]}, "transformer is code of its own, which is not run"),
        ({"text_encoder_2": ["transformers", "T5EncoderModel"]}, "has a text_encoder_2, and .* no config.json"),
        ({"vae": ["transformers", "T5EncoderModel"]}, "says that vae is of transformers\n.*is of diffusers"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path, more, message):
    folder = write_pipeline(tmp_path, "wan2.1-t2v-1.3b", "WanPipeline", **more)
    if not message:
        assert "denoiser" not in sizes_of_folder(folder).parts
        return
    with pytest.raises(InputError, match=message):
        sizes_of_folder(folder)


# One model


@needs
def test_a_model_of_transformers_and_its_type_without_a_class(tmp_path):
    by_class = count_model(f"transformers:{write(tmp_path / 'a' / 'config.json', SMALL_VIVIT).parent}")
    without = {key: value for key, value in SMALL_VIVIT.items() if key != "architectures"}
    part = sizes_of_folder(write(tmp_path / "b" / "config.json", without)).parts
    assert next(iter(part.values())).class_name == "VivitModel"
    # (2/2)·(16/8)² tubelets of 3·2·8·8 values, one class token, 5 tokens of width 16, 400 classes
    tubelets, tokens, width = 4 * 3 * 2 * 8 * 8 * 16, 5, 16
    layer = 4 * tokens * width**2 + 2 * tokens * width * 32 + 2 * tokens**2 * width
    assert by_class.macs == tubelets + layer + width * 2  # two labels by default
    assert by_class.input.clip.code == "2x16x16"


@needs
def test_a_denoiser_takes_the_factors_of_the_vae_beside_it(tmp_path):
    write(tmp_path / "transformer" / "config.json", SMALL_WAN)
    alone = count_model(f"diffusers:{tmp_path}/transformer", video="5x32x32")
    assert alone.input.shapes[0] == (1, 16, 2, 4, 4)
    assert any("AutoencoderKLWan by default" in text for text in alone.assumed)
    write_model(tmp_path / "vae", find_sizes("wan2.2-ti2v-5b"), "vae")
    beside = count_model(f"diffusers:{tmp_path}/transformer/config.json", video="5x64x64")
    assert beside.input.shapes[0] == (1, 16, 2, 4, 4)
    assert not any("latents" in text for text in beside.assumed)


@needs
@pytest.mark.parametrize(("right", "wrong"), [("diffusers", "transformers"), ("transformers", "diffusers")])
def test_a_folder_of_the_other_library_says_which_prefix_is_right(tmp_path, right, wrong):
    write(tmp_path / "config.json", SMALL_WAN if right == "diffusers" else SMALL_VIVIT)
    with pytest.raises(InputError, match=f"is a model of {right}, not of {wrong}\n  fix     write {right}:{tmp_path}"):
        count_model(f"{wrong}:{tmp_path}", video="5x32x32")


@needs
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("{", "is not JSON"),
        ("[1]", "is not an object of JSON\n  seen    a list"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin1"), "is not JSON"),
        ("[" * 100_000, "nested too deep"),
        ("{}", "does not say which class it configures\n  seen    nothing"),
        ({"a": 1}, "seen    a\n"),
        ({"_class_name": 3}, "_class_name is 3"),
        ({"_class_name": ["my", "Net"]}, "code of its own"),
        ({"architectures": "VivitModel"}, 'architectures is "VivitModel"'),
        ({"architectures": ["A", "B"]}, "architectures is"),
        ({"model_type": None}, "does not say which class"),
        ({"model_type": "vivitt"}, "no model_type of .* named 'vivitt'\n  near    vivit"),
        ({"architectures": ["VivitModell"]}, "no class of transformers named 'VivitModell'\n  near    VivitModel"),
        (
            {
                "architectures": ["InternVLChatModel"],
                "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"},
            },
            "is for code of its own, which is not run\n  seen    auto_map: AutoModel = modeling_internvl_chat.Int",
        ),
        ({**SMALL_VIVIT, "hidden_size": "wide"}, "cannot be configured|cannot be built|raised"),
    ],
)
def test_a_malformed_configuration_is_refused(tmp_path, values, message):
    write(tmp_path / "config.json", values)
    with pytest.raises(InputError, match=message):
        count_model(f"transformers:{tmp_path}")


@needs
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {**SMALL_WAN, "_class_name": "WanTransformer3DModl"},
            "named 'WanTransformer3DModl'\n  near    WanTransformer3DModel",
        ),
        ({**SMALL_WAN, "num_layers": "many"}, "raised|cannot be built"),
        ({**SMALL_WAN, "num_layers": 10**9}, "no network that can be built\n  seen    more than 1,000 modules"),
        ({**SMALL_WAN, "patch_size": None}, "cannot be sized: TypeError"),
    ],
)
def test_a_malformed_configuration_of_diffusers_is_refused(tmp_path, monkeypatch, values, message):
    monkeypatch.setattr("flopcount.models.part._MOST_MODULES", 1000)
    write(tmp_path / "config.json", values)
    with pytest.raises(InputError, match=message):
        count_model(f"diffusers:{tmp_path}", video="5x32x32")


@needs
def test_a_billion_layers_are_refused_before_they_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("flopcount.models.part._MOST_MODULES", 1000)
    write(tmp_path / "config.json", {**SMALL_VIVIT, "num_hidden_layers": 10**9})
    with pytest.raises(InputError, match="more than 1,000 modules"):
        count_model(f"transformers:{tmp_path}")
    assert not nn.modules.module._global_module_registration_hooks


WRONG = [
    ("denoiser", {"patch_size": None}),
    ("denoiser", {"patch_size": [0, 0, 0]}),
    ("denoiser", {"in_channels": "16"}),
    ("vae", {"scale_factor_spatial": 0}),
    ("vae", {"scale_factor_temporal": "4"}),
    ("vae", {"temperal_downsample": 5}),
]


@needs
@pytest.mark.parametrize(("part", "values"), WRONG)
def test_a_value_of_another_kind_is_the_error_of_the_folder(tmp_path, part, values):
    folder = write_pipeline(tmp_path / "wan", "wan2.1-t2v-1.3b", "WanPipeline")
    write_model(folder / {"denoiser": "transformer"}.get(part, part), find_sizes("wan2.1-t2v-1.3b"), part, **values)
    with pytest.raises(InputError, match=r"wan(/vae)? cannot be counted|cannot be built"):
        count_generation(str(folder), video="5x64x64", steps=2)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    write(tmp_path / "config.json", " " * 5_000_000 + "{}")
    with pytest.raises(InputError, match="too large for a configuration\n  seen    5,000,002 bytes"):
        read_configuration(tmp_path)


def test_an_empty_folder_says_what_is_in_it(tmp_path):
    (tmp_path / "README.md").touch()
    with pytest.raises(InputError, match=r"has no config.json\n  seen    README.md"):
        read_configuration(tmp_path)


def test_a_folder_that_is_not_there_offers_its_neighbours(tmp_path):
    (tmp_path / "transformer").mkdir()
    with pytest.raises(UnknownNameError, match=f"near    {tmp_path}/transformer\n.*nothing is downloaded"):
        sizes_of_folder(tmp_path / "transfomer")


@needs
def test_an_identifier_of_a_hub_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match="nothing is downloaded"):
        count_model("transformers:google/vivit-b-16x2")


@needs
def test_kernels_that_a_configuration_names_are_not_fetched(tmp_path):
    plain = count_model(f"transformers:{write(tmp_path / 'a' / 'config.json', SMALL_VIVIT).parent}")
    named = {**SMALL_VIVIT, "attn_implementation": "kernels-community/flash-attn"}
    assert count_model(f"transformers:{write(tmp_path / 'b' / 'config.json', named).parent}").macs == plain.macs


@needs
def test_the_command_takes_a_folder(tmp_path):
    write(tmp_path / "config.json", SMALL_WAN)
    shown = CliRunner().invoke(app, ["model", f"diffusers:{tmp_path}/config.json", "--video", "5x32x32"])
    assert shown.exit_code == 0
    assert "5×32×32" in shown.output
    assert "clip 2×4×4" not in shown.output


@needs
def test_a_folder_of_another_task_is_to_be_counted_by_a_name_that_works(tmp_path):
    write(tmp_path / "config.json", SMALL_VIVIT)
    with pytest.raises(InputError) as caught:
        count_generation(str(tmp_path), video="2x16x16")
    assert ("fix", f"count it: flopcount model transformers:{tmp_path}") in caught.value.details
    assert count_model(f"transformers:{tmp_path}").macs


@pytest.mark.parametrize("option", [{"guidance": False}, {"steps": 0}, {"reuse": 0}, {"guidance": True}])
def test_an_option_of_a_generator_is_refused_for_a_question_whatever_it_says(option):
    with pytest.raises(InputError, match=f"--{next(iter(option))} is for a generator"):
        count_generation("qwen2.5-vl-3b", video="2x112x112", prompt=1, new_tokens=2, **option)


@pytest.mark.parametrize("fps", [0, -1.0, float("nan"), float("inf"), 1e-300, 1e300])
def test_frames_per_second_beyond_all_videos_are_refused(fps):
    with pytest.raises(InputError, match="fps is"):
        count_generation("qwen2.5-vl-3b", video="2x112x112", prompt=1, new_tokens=2, fps=fps)


def test_a_folder_without_a_library_is_told_how_to_name_one(tmp_path):
    with pytest.raises(InputError, match="is a folder, and no library is named") as caught:
        count_model(str(tmp_path))
    assert any(f"diffusers:{tmp_path}" in text for label, text in caught.value.details if label == "fix")
