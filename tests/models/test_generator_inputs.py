"""Latents and inputs of generators' parts: by their own rules, by what their classes do, and never by guessing."""

from types import SimpleNamespace

import pytest

from flopcount import InputError, UnknownNameError
from flopcount.core.protocol import Clip, Protocol
from flopcount.count import count
from flopcount.facts.model_sizes import ModelPart, find_sizes, model_sizes
from flopcount.models.generator_inputs import (
    AUTOENCODERS,
    DENOISERS,
    complete_config,
    denoiser_inputs,
    image_encoder_inputs,
    latent_channels,
    latent_clip,
    latent_factors,
    text_encoder_inputs,
    vae_half,
    vae_half_inputs,
)
from flopcount.models.part import part_builder
from flopcount.tracing.building import lightest

GENERATORS = [name for name, sizes in model_sizes().items() if sizes.task == "generation"]


@pytest.fixture(scope="module", autouse=True)
def diffusers():
    pytest.importorskip("transformers")
    from flopcount.models.torchvision_operators import ready_torchvision

    ready_torchvision()
    return pytest.importorskip("diffusers")


@pytest.mark.parametrize("name", GENERATORS)
def test_every_known_generator_has_inputs_and_latents_as_its_source_says(name):
    sizes = find_sizes(name)
    vae, denoiser, defaults = sizes.part("vae"), sizes.part("denoiser"), sizes.defaults
    assert latent_factors(vae) == vae.latent
    assert latent_channels(vae) == vae.latent_channels
    clip = Clip(defaults.frames, defaults.height, defaults.width)
    latents = latent_clip(denoiser, clip, vae)
    assert latents == latent_clip(vae, clip)
    (shape,) = {
        spec.shape for key, spec in denoiser_inputs(denoiser, latents).items() if key in ("hidden_states", "sample")
    }
    assert shape[0] == 1


def test_latents_by_each_rule():
    """First frame apart: 1 + 80/4 = 21, 1 + 160/8 = 21, 1 + 18/6 = 4. Allegro: 88/4, ceil(90/4), 1 + ceil(88/4)."""

    def latents(name, *clip):
        return latent_clip(find_sizes(name).part("denoiser"), Clip(*clip), find_sizes(name).part("vae")).sizes

    assert latents("wan2.1-t2v-14b", 81, 480, 832) == (21, 60, 104)
    assert latents("wan2.1-t2v-14b", 1, 16, 16) == (1, 2, 2)
    assert latents("wan2.2-ti2v-5b", 121, 704, 1280) == (31, 44, 80)
    assert latents("ltx-video", 161, 512, 704) == (21, 16, 22)
    assert latents("mochi-1-preview", 19, 480, 848) == (4, 60, 106)
    assert latents("hunyuanvideo", 129, 720, 1280) == (33, 90, 160)
    assert latents("stable-video-diffusion-img2vid", 14, 576, 1024) == (14, 72, 128)
    assert [latents("allegro", n, 720, 1280)[0] for n in (88, 90, 89)] == [22, 23, 23]


@pytest.mark.parametrize(
    ("name", "clip", "near"),
    [
        ("wan2.1-t2v-1.3b", Clip(80, 480, 832), "81x480x832"),
        ("wan2.1-t2v-1.3b", Clip(83, 481, 850), "81x480x848"),
        ("wan2.1-t2v-1.3b", Clip(81, 488, 832), "81x480x832"),  # latents do, patches do not
        ("wan2.2-ti2v-5b", Clip(121, 720, 1280), "121x704x1280"),
        ("ltx-video", Clip(160, 500, 704), "161x512x704"),
        ("mochi-1-preview", Clip(20, 480, 850), "19x480x848"),
        ("stable-video-diffusion-img2vid", Clip(13, 3, 1024), "13x8x1024"),
    ],
)
def test_what_does_not_divide_is_refused_with_the_nearest_clip(name, clip, near):
    sizes = find_sizes(name)
    with pytest.raises(InputError, match=f"does not divide a clip of {clip}") as error:
        latent_clip(sizes.part("denoiser"), clip, sizes.part("vae"))
    assert near in str(error.value)
    assert latent_clip(sizes.part("denoiser"), Clip.parse(near), sizes.part("vae"))


def test_a_denoiser_alone_has_the_factors_of_the_vae_it_was_released_with():
    for name, denoiser in DENOISERS.items():
        part = ModelPart("denoiser", "diffusers", name, {})
        vae = ModelPart("vae", "diffusers", denoiser.autoencoder, {})
        clip = Clip(49, 480, 704)
        assert latent_clip(part, clip) == latent_clip(part, clip, vae), name


def test_a_configuration_is_completed_by_the_class():
    part = ModelPart("denoiser", "diffusers", "CogVideoXTransformer3DModel", {"num_layers": 3})
    config = complete_config(part)
    assert (config["num_layers"], config["attention_head_dim"], config["ofs_embed_dim"]) == (3, 64, None)


def test_inputs_of_denoisers_are_those_of_their_pipelines():
    wan = find_sizes("wan2.2-ti2v-5b").part("denoiser")
    assert denoiser_inputs(wan, Clip(31, 44, 80))["timestep"].shape == (1,)
    assert denoiser_inputs(wan, Clip(31, 44, 80), batch=2, step_per_token=True)["timestep"].shape == (2, 31 * 22 * 40)
    image = find_sizes("wan2.1-i2v-14b").part("denoiser")
    inputs = denoiser_inputs(image, Clip(21, 60, 104), image_tokens=257)
    assert inputs["hidden_states"].shape == (1, 36, 21, 60, 104)
    assert inputs["encoder_hidden_states_image"].shape == (1, 257, 1280)
    cog = ModelPart("denoiser", "diffusers", "CogVideoXTransformer3DModel",
                    {"patch_size_t": 2, "use_rotary_positional_embeddings": True, "ofs_embed_dim": 512})  # fmt: skip
    inputs = denoiser_inputs(cog, Clip(21, 96, 170), dtype="bfloat16")
    assert inputs["hidden_states"].shape == (1, 22, 16, 96, 170)  # 21 filled up to 22
    assert inputs["hidden_states"].dtype == "bfloat16"
    assert [(angles.shape, angles.dtype) for angles in inputs["image_rotary_emb"]] == [
        ((11 * 48 * 85, 64), "float32")
    ] * 2
    assert inputs["ofs"].shape == (1,)
    ltx = denoiser_inputs(find_sizes("ltx-video").part("denoiser"), Clip(21, 16, 22), factors=(8, 32), fps=25)
    assert ltx["hidden_states"].shape == (1, 21 * 16 * 22, 128)
    assert ltx["rope_interpolation_scale"].value == (8 / 25, 32, 32)
    svd = denoiser_inputs(find_sizes("stable-video-diffusion-img2vid").part("denoiser"), Clip(14, 72, 128))
    assert (svd["sample"].shape, svd["added_time_ids"].shape) == ((1, 14, 8, 72, 128), (1, 3))
    allegro = denoiser_inputs(find_sizes("allegro").part("denoiser"), Clip(22, 90, 160))
    assert allegro["encoder_hidden_states"].shape == (1, 1, 512, 4096)
    assert [table[0].shape for table in allegro["image_rotary_emb"][0]] == [(22, 32), (45, 32), (80, 32)]


def test_inputs_of_encoders():
    umt5 = find_sizes("wan2.1-t2v-14b").part("text_encoder")
    assert set(text_encoder_inputs(umt5, 512)) == {"input_ids", "attention_mask"}
    assert set(text_encoder_inputs(umt5, 512, mask=False)) == {"input_ids"}
    llama = find_sizes("hunyuanvideo").part("text_encoder")
    assert text_encoder_inputs(llama, 351)["output_hidden_states"].value is True
    clip = find_sizes("wan2.1-i2v-14b").part("image_encoder")
    assert image_encoder_inputs(clip, batch=2)["pixel_values"].shape == (2, 3, 224, 224)


def test_unknown_classes_and_halves_are_named_with_near_ones():
    with pytest.raises(UnknownNameError, match="WanTransformer3DModel"):
        denoiser_inputs(
            SimpleNamespace(name="x", library="diffusers", class_name="WanTransformer2D", config={}), Clip(1, 2, 2)
        )
    with pytest.raises(UnknownNameError, match="AutoencoderKLWan"):
        latent_factors(ModelPart("vae", "diffusers", "AutoencoderWan", {}))
    with pytest.raises(UnknownNameError, match="decode"):
        vae_half(find_sizes("ltx-video").part("vae"), None, "decoder")


def count_half(part, half, clip, batch=1):
    inputs = vae_half_inputs(part, half, clip, batch=batch)
    return lightest(part_builder(part), lambda vae: count(vae_half(part, vae, half), inputs, Protocol(batch=batch)))


def test_halves_of_wans_vae_are_the_right_values():
    vae, clip = find_sizes("wan2.1-t2v-14b").part("vae"), Clip(81, 480, 832)
    decoded, encoded = count_half(vae, "decode", clip), count_half(vae, "encode", clip)
    assert decoded.macs == 137_676_102_819_840
    assert encoded.macs == 81_874_851_102_720
    assert decoded.tree[0].type == "AutoencoderKLWan"
    assert {info.path.split(".")[0] for info in decoded.tree} >= {"encoder", "decoder"}


SMALL = {
    "AutoencoderKLWan": ({"base_dim": 4, "z_dim": 4, "num_res_blocks": 1}, Clip(5, 32, 48)),
    "AutoencoderKLCogVideoX": ({"block_out_channels": (8,) * 4, "latent_channels": 4, "layers_per_block": 1,
                                "norm_num_groups": 2}, Clip(9, 32, 32)),
    "AutoencoderKLHunyuanVideo": ({"block_out_channels": (8,) * 4, "latent_channels": 4, "layers_per_block": 1,
                                   "norm_num_groups": 4}, Clip(21, 16, 32)),
    "AutoencoderKLHunyuanVideo15": ({"block_out_channels": (32,) * 5, "latent_channels": 4, "layers_per_block": 1},
                                    Clip(5, 32, 64)),
    "AutoencoderKLMochi": ({"encoder_block_out_channels": (32,) * 4, "decoder_block_out_channels": (32,) * 4,
                            "layers_per_block": (1,) * 5, "latent_channels": 4}, Clip(7, 32, 32)),
    "AutoencoderKLTemporalDecoder": ({"block_out_channels": (32, 32), "latent_channels": 4,
                                      "down_block_types": ("DownEncoderBlock2D",) * 2}, Clip(3, 16, 16)),
    "AutoencoderKLLTXVideo": ({"block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4,
                               "layers_per_block": (1,) * 5, "decoder_layers_per_block": (1,) * 5,
                               "latent_channels": 8, "timestep_conditioning": True}, Clip(9, 32, 64)),
    "AutoencoderKLAllegro": ({"block_out_channels": (8,) * 4, "latent_channels": 4, "layers_per_block": 1,
                              "norm_num_groups": 2, "sample_size": 128}, Clip(24, 136, 128)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", AUTOENCODERS)
def test_a_half_counts_what_it_runs_with_real_tensors(name):
    """torch's own counter sees every convolution and product of a real run; it counts two FLOPs for a MAC.

    It does not see the CPU's fused attention, so that attention is two products here.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    config, clip = SMALL[name]
    part = ModelPart("vae", "diffusers", name, config)
    for half in ("decode", "encode"):
        module = vae_half(part, part_builder(part)(), half)
        inputs = {
            key: torch.rand(value.shape) if hasattr(value, "shape") else value.value
            for key, value in vae_half_inputs(part, half, clip).items()
        }
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            module(**inputs)
        assert 2 * count_half(part, half, clip).macs == counter.get_total_flops() > 0
