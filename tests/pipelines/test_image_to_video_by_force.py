"""A video that starts from an image, asked for as a folder, equals the whole loop of the real pipeline."""

import json
from types import SimpleNamespace

import pytest
import torch
from tiny_generators import T5, UMT5, WAN, WAN_VAE, Words, built, macs_of_call, part, stages

from flopcount import count_generation


@pytest.fixture(scope="module", autouse=True)
def diffusers():
    pytest.importorskip("transformers")
    from flopcount.models.torchvision_operators import ready_torchvision

    ready_torchvision()
    return pytest.importorskip("diffusers")


@pytest.fixture
def image():
    from torchvision.transforms.functional import to_pil_image

    return to_pil_image(torch.zeros(3, 32, 64))


TEXT = part("text_encoder", "transformers", "T5EncoderModel", T5)
COGVIDEOX = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "in_channels": 8,
    "out_channels": 4,
    "time_embed_dim": 2,
    "text_embed_dim": 32,
    "num_layers": 2,
    "sample_width": 8,
    "sample_height": 4,
    "sample_frames": 9,
    "max_text_seq_length": 8,
    "use_rotary_positional_embeddings": True,
}
COGVIDEOX_1_5 = {**COGVIDEOX, "patch_size_t": 2, "patch_bias": False, "ofs_embed_dim": 2}
COGVIDEOX_VAE = part(
    "vae",
    "diffusers",
    "AutoencoderKLCogVideoX",
    {
        "block_out_channels": (8, 8, 8, 8),
        "latent_channels": 4,
        "layers_per_block": 1,
        "norm_num_groups": 2,
        "down_block_types": ("CogVideoXDownBlock3D",) * 4,
        "up_block_types": ("CogVideoXUpBlock3D",) * 4,
    },
)
LTX = part(
    "transformer",
    "diffusers",
    "LTXVideoTransformer3DModel",
    {
        "in_channels": 8,
        "out_channels": 8,
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "cross_attention_dim": 32,
        "num_layers": 2,
        "caption_channels": 32,
    },
)
LTX_VAE = part(
    "vae",
    "diffusers",
    "AutoencoderKLLTXVideo",
    {
        "latent_channels": 8,
        "block_out_channels": (8, 8, 8, 8),
        "decoder_block_out_channels": (8, 8, 8, 8),
        "layers_per_block": (1, 1, 1, 1, 1),
        "decoder_layers_per_block": (1, 1, 1, 1, 1),
        "patch_size": 1,
        "patch_size_t": 1,
        "spatio_temporal_scaling": (True, True, False, False),
        "decoder_spatio_temporal_scaling": (True, True, False, False),
        "timestep_conditioning": True,
    },
)
HUNYUAN = {
    "out_channels": 4,
    "num_attention_heads": 2,
    "attention_head_dim": 10,
    "num_layers": 1,
    "num_single_layers": 1,
    "num_refiner_layers": 1,
    "text_embed_dim": 16,
    "pooled_projection_dim": 8,
    "rope_axes_dim": (2, 4, 4),
}
HUNYUAN_VAE = part(
    "vae",
    "diffusers",
    "AutoencoderKLHunyuanVideo",
    {
        "latent_channels": 4,
        "down_block_types": ("HunyuanVideoDownBlock3D",) * 4,
        "up_block_types": ("HunyuanVideoUpBlock3D",) * 4,
        "block_out_channels": (8, 8, 8, 8),
        "layers_per_block": 1,
        "norm_num_groups": 4,
    },
)
MODEL_TYPES = {"T5EncoderModel": "t5", "UMT5EncoderModel": "umt5"}


def folder(path, pipeline, parts, **more):
    """A folder as diffusers saves a pipeline."""
    index = {"_class_name": pipeline, **more}
    for name, each in parts.items():
        index[name] = [each.library, each.class_name]
        own = {"_class_name": each.class_name}
        if each.library == "transformers":
            own = {"architectures": [each.class_name], "model_type": MODEL_TYPES[each.class_name]}
        (path / name).mkdir()
        (path / name / "config.json").write_text(json.dumps({**each.config, **own}))
    (path / "model_index.json").write_text(json.dumps(index))
    return str(path)


def same(job, real, denoiser="transformer"):
    """The VAE encodes one frame and decodes all; the denoiser's passes and the whole call are as many MACs."""
    found = stages(job)
    assert 0 < found["encode"] < found["vae"]
    assert found["encode"] + found["vae"] == real["vae"]
    assert found["denoise"] == real[denoiser]
    assert job.macs == real[""]


@pytest.mark.slow
@pytest.mark.parametrize("config", [COGVIDEOX, COGVIDEOX_1_5], ids=["1.0", "1.5"])
def test_cogvideox(config, image, tmp_path):
    from diffusers import CogVideoXDDIMScheduler, CogVideoXImageToVideoPipeline

    denoiser = part("transformer", "diffusers", "CogVideoXTransformer3DModel", config)
    pipeline = CogVideoXImageToVideoPipeline(
        tokenizer=Words(8),
        text_encoder=built(TEXT),
        vae=built(COGVIDEOX_VAE),
        transformer=built(denoiser),
        scheduler=CogVideoXDDIMScheduler(),
    )
    asked = {"image": image, "prompt": "cat runs", "num_inference_steps": 3, "max_sequence_length": 8}
    real = macs_of_call(pipeline, height=32, width=64, num_frames=9, output_type="pt", **asked)
    parts = {"text_encoder": TEXT, "transformer": denoiser, "vae": COGVIDEOX_VAE}
    path = folder(tmp_path, "CogVideoXImageToVideoPipeline", parts)
    same(count_generation(path, video=(9, 32, 64), steps=3, text_tokens=8), real)


@pytest.mark.slow
def test_ltx_has_a_step_for_each_token(image, tmp_path):
    """The VAE of 0.9.7 also takes the last step's noise (timestep_conditioning)."""
    from diffusers import FlowMatchEulerDiscreteScheduler, LTXImageToVideoPipeline

    pipeline = LTXImageToVideoPipeline(
        tokenizer=Words(8),
        text_encoder=built(TEXT),
        vae=built(LTX_VAE),
        transformer=built(LTX),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )
    asked = {"image": image, "prompt": "cat runs", "num_inference_steps": 3, "max_sequence_length": 8}
    real = macs_of_call(pipeline, height=32, width=64, num_frames=9, output_type="pt", **asked)
    parts = {"text_encoder": TEXT, "transformer": LTX, "vae": LTX_VAE}
    path = folder(tmp_path, "LTXImageToVideoPipeline", parts)
    same(count_generation(path, video=(9, 32, 64), steps=3, text_tokens=8), real)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "channels"), [("latent_concat", 9), ("token_replace", 4)])
def test_hunyuan_video(mode, channels, image, tmp_path):
    """After the text: its encoder is a model of language and vision, which the job does not have whole."""
    from diffusers import FlowMatchEulerDiscreteScheduler, HunyuanVideoImageToVideoPipeline

    config = {**HUNYUAN, "in_channels": channels, "guidance_embeds": channels == 4, "image_condition_type": mode}
    denoiser = part("transformer", "diffusers", "HunyuanVideoTransformer3DModel", config)
    nothing = dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "image_processor"))
    scheduler = FlowMatchEulerDiscreteScheduler(shift=7.0)
    pipeline = HunyuanVideoImageToVideoPipeline(
        transformer=built(denoiser), vae=built(HUNYUAN_VAE), scheduler=scheduler, **nothing
    )
    text = {"prompt_embeds": torch.rand(1, 8, 16), "pooled_prompt_embeds": torch.rand(1, 8)}
    text["prompt_attention_mask"] = torch.ones(1, 8)
    asked = {"image": image, "num_inference_steps": 3, **text}
    real = macs_of_call(pipeline, height=16, width=32, num_frames=21, output_type="pt", **asked)
    path = folder(tmp_path, "HunyuanVideoImageToVideoPipeline", {"transformer": denoiser, "vae": HUNYUAN_VAE})
    same(count_generation(path, video=(21, 16, 32), steps=3, text_tokens=8), real)


@pytest.mark.slow
def test_wan_2_2_has_the_image_as_its_first_frame(image, tmp_path, monkeypatch):
    from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline
    from diffusers.pipelines.wan import pipeline_wan_i2v

    mender = SimpleNamespace(fix_text=lambda text: text)
    monkeypatch.setattr(pipeline_wan_i2v, "ftfy", mender, raising=False)
    pipeline = WanImageToVideoPipeline(
        tokenizer=Words(8),
        text_encoder=built(UMT5),
        vae=built(WAN_VAE),
        transformer=built(WAN),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        expand_timesteps=True,
    )
    asked = {"image": image, "prompt": "cat", "num_inference_steps": 2, "max_sequence_length": 8}
    real = macs_of_call(pipeline, height=32, width=64, num_frames=9, output_type="pt", **asked)
    parts = {"text_encoder": UMT5, "transformer": WAN, "vae": WAN_VAE}
    path = folder(tmp_path, "WanImageToVideoPipeline", parts, expand_timesteps=True)
    same(count_generation(path, video=(9, 32, 64), steps=2, text_tokens=8), real)


def test_what_another_pipeline_does_besides_is_named(tmp_path):
    parts = {"text_encoder": TEXT, "transformer": LTX, "vae": LTX_VAE}
    job = count_generation(folder(tmp_path, "LTXConditionPipeline", parts), video=(9, 32, 64), steps=3)
    assert "counted is a video made from text; what LTXConditionPipeline does besides is not in the job" in job.notes
