"""A generated video equals the whole loop of a real pipeline of diffusers, run on small networks with real tensors."""

import pytest
import torch
from tiny_generators import T5, Words, built, macs_of_call, part, sizes, stages

from flopcount.pipelines.generation import generated_video
from flopcount.pipelines.requests import VideoRequest


@pytest.fixture(scope="module", autouse=True)
def diffusers():
    pytest.importorskip("transformers")
    from flopcount.models.torchvision_operators import ready_torchvision

    ready_torchvision()
    return pytest.importorskip("diffusers")


@pytest.mark.slow
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("frames", [5, 9])
def test_cogvideox(diffusers, rotary, frames):
    from diffusers import CogVideoXDDIMScheduler, CogVideoXPipeline

    denoiser = part(
        "denoiser",
        "diffusers",
        "CogVideoXTransformer3DModel",
        {
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "in_channels": 4,
            "out_channels": 4,
            "time_embed_dim": 2,
            "text_embed_dim": 32,
            "num_layers": 2,
            "sample_width": 4,
            "sample_height": 4,
            "sample_frames": frames,
            "patch_size": 2,
            "temporal_compression_ratio": 4,
            "max_text_seq_length": 8,
            "use_rotary_positional_embeddings": rotary,
        },
    )
    vae = part(
        "vae",
        "diffusers",
        "AutoencoderKLCogVideoX",
        {
            "block_out_channels": (8, 8, 8, 8),
            "latent_channels": 4,
            "layers_per_block": 1,
            "norm_num_groups": 2,
            "temporal_compression_ratio": 4,
            "down_block_types": ("CogVideoXDownBlock3D",) * 4,
            "up_block_types": ("CogVideoXUpBlock3D",) * 4,
        },
    )
    text = part("text_encoder", "transformers", "T5EncoderModel", T5)
    pipeline = CogVideoXPipeline(
        tokenizer=Words(8),
        text_encoder=built(text),
        vae=built(vae),
        transformer=built(denoiser),
        scheduler=CogVideoXDDIMScheduler(),
    )
    real = macs_of_call(
        pipeline,
        prompt="cat runs",
        negative_prompt="",
        height=32,
        width=32,
        num_frames=frames,
        num_inference_steps=3,
        max_sequence_length=8,
        output_type="pt",
    )
    job = generated_video(sizes("tiny", [text, denoiser, vae], (frames, 32, 32), 3), VideoRequest())
    assert stages(job) == {"text": real["text_encoder"], "denoise": real["transformer"], "vae": real["vae"]}
    assert job.times == {"text": 2, "denoise": 3, "vae": 1}
    assert job.macs == real[""]


def test_ltx(diffusers):
    from diffusers import FlowMatchEulerDiscreteScheduler, LTXPipeline

    denoiser = part(
        "denoiser",
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
    vae = part(
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
        },
    )
    text = part("text_encoder", "transformers", "T5EncoderModel", T5)
    pipeline = LTXPipeline(
        tokenizer=Words(8),
        text_encoder=built(text),
        vae=built(vae),
        transformer=built(denoiser),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )
    real = macs_of_call(
        pipeline,
        prompt="cat runs",
        negative_prompt="",
        height=32,
        width=32,
        num_frames=9,
        num_inference_steps=3,
        max_sequence_length=8,
        output_type="pt",
    )
    job = generated_video(sizes("tiny", [text, denoiser, vae], (9, 32, 32), 3), VideoRequest())
    assert stages(job) == {"text": real["text_encoder"], "denoise": real["transformer"], "vae": real["vae"]}
    assert job.macs == real[""]


@pytest.mark.slow
def test_hunyuan_video_has_its_guidance_as_an_input(diffusers):
    from diffusers import FlowMatchEulerDiscreteScheduler, HunyuanVideoPipeline

    denoiser = part(
        "denoiser",
        "diffusers",
        "HunyuanVideoTransformer3DModel",
        {
            "in_channels": 4,
            "out_channels": 4,
            "num_attention_heads": 2,
            "attention_head_dim": 10,
            "num_layers": 1,
            "num_single_layers": 1,
            "num_refiner_layers": 1,
            "patch_size": 2,
            "patch_size_t": 1,
            "guidance_embeds": True,
            "text_embed_dim": 16,
            "pooled_projection_dim": 8,
            "rope_axes_dim": (2, 4, 4),
        },
    )
    vae = part(
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
    llama = part(
        "text_encoder",
        "transformers",
        "LlamaModel",
        {
            "vocab_size": 16,
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 4,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 64,
        },
        tokens=12,
    )
    clip = part(
        "text_encoder_2",
        "transformers",
        "CLIPTextModel",
        {
            "vocab_size": 16,
            "hidden_size": 8,
            "intermediate_size": 12,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "projection_dim": 8,
            "max_position_embeddings": 77,
            "bos_token_id": 0,
            "eos_token_id": 2,
        },
        tokens=77,
    )
    pipeline = HunyuanVideoPipeline(
        text_encoder=built(llama),
        tokenizer=Words(64),
        transformer=built(denoiser),
        vae=built(vae),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder_2=built(clip),
        tokenizer_2=Words(77),
    )
    real = macs_of_call(
        pipeline,
        prompt="cat runs",
        prompt_template={"template": "{}", "crop_start": 4},
        height=16,
        width=32,
        num_frames=21,
        num_inference_steps=3,
        max_sequence_length=8,
        output_type="pt",
    )
    job = generated_video(sizes("tiny", [llama, clip, denoiser, vae], (21, 16, 32), 3, guidance=False), VideoRequest())
    assert stages(job) == {
        "text": real["text_encoder"],
        "text_2": real["text_encoder_2"],
        "denoise": real["transformer"],
        "vae": real["vae"],
    }
    assert job.macs == real[""]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # the scheduler's, of NumPy 2
def test_stable_video_diffusion(diffusers):
    from diffusers import EulerDiscreteScheduler, StableVideoDiffusionPipeline
    from transformers import CLIPImageProcessor

    denoiser = part(
        "denoiser",
        "diffusers",
        "UNetSpatioTemporalConditionModel",
        {
            "block_out_channels": (32, 64),
            "layers_per_block": 2,
            "in_channels": 8,
            "out_channels": 4,
            "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            "cross_attention_dim": 32,
            "num_attention_heads": 8,
            "projection_class_embeddings_input_dim": 96,
            "addition_time_embed_dim": 32,
        },
    )
    vae = part(
        "vae",
        "diffusers",
        "AutoencoderKLTemporalDecoder",
        {
            "block_out_channels": (32, 64),
            "down_block_types": ("DownEncoderBlock2D",) * 2,
            "latent_channels": 4,
        },
    )
    clip = part(
        "image_encoder",
        "transformers",
        "CLIPVisionModelWithProjection",
        {
            "hidden_size": 32,
            "projection_dim": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": 32,
            "intermediate_size": 37,
            "patch_size": 8,
        },
    )
    pipeline = StableVideoDiffusionPipeline(
        unet=built(denoiser),
        image_encoder=built(clip),
        vae=built(vae),
        scheduler=EulerDiscreteScheduler(prediction_type="v_prediction", interpolation_type="linear"),
        feature_extractor=CLIPImageProcessor(crop_size=32, size=32),
    )
    real = macs_of_call(
        pipeline,
        image=torch.rand(1, 3, 32, 32),
        height=32,
        width=32,
        num_frames=3,
        num_inference_steps=2,
        output_type="pt",
        min_guidance_scale=1.0,
        max_guidance_scale=2.5,
    )
    job = generated_video(sizes("tiny", [clip, denoiser, vae], (3, 32, 32), 2, text_tokens=1), VideoRequest())
    found = stages(job)
    assert found["image"] == real["image_encoder"]
    assert found["denoise"] == real["unet"]
    assert found["encode"] + found["vae"] == real["vae"]
    assert job.macs == real[""]


@pytest.mark.slow
def test_allegro(diffusers):
    """Up to the latents: its VAE does nothing below its tiles, and is held against real tensors by itself."""
    from diffusers import AllegroPipeline, DDIMScheduler

    denoiser = part(
        "denoiser",
        "diffusers",
        "AllegroTransformer3DModel",
        {
            "num_attention_heads": 2,
            "attention_head_dim": 12,
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 2,
            "cross_attention_dim": 24,
            "sample_width": 8,
            "sample_height": 8,
            "sample_frames": 8,
            "caption_channels": 32,
        },
    )
    vae = part(
        "vae",
        "diffusers",
        "AutoencoderKLAllegro",
        {"block_out_channels": (8, 8, 8, 8), "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 2},
    )
    text = part("text_encoder", "transformers", "T5EncoderModel", T5)
    pipeline = AllegroPipeline(
        tokenizer=Words(8),
        text_encoder=built(text),
        vae=built(vae),
        transformer=built(denoiser),
        scheduler=DDIMScheduler(),
    )
    real = macs_of_call(
        pipeline,
        prompt="cat runs",
        negative_prompt="",
        height=32,
        width=32,
        num_frames=10,
        num_inference_steps=3,
        max_sequence_length=8,
        clean_caption=False,
        output_type="latent",
    )
    job = generated_video(sizes("tiny", [text, denoiser], (10, 32, 32), 3), VideoRequest())
    assert stages(job) == {"text": real["text_encoder"], "denoise": real["transformer"]}
    assert job.macs == real[""]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning")  # the network asks for float32
def test_mochi(diffusers):
    """The prompt fills all its tokens; its pipeline would leave padding out of the attention."""
    from diffusers import FlowMatchEulerDiscreteScheduler, MochiPipeline

    denoiser = part(
        "denoiser",
        "diffusers",
        "MochiTransformer3DModel",
        {
            "num_attention_heads": 2,
            "attention_head_dim": 8,
            "num_layers": 2,
            "pooled_projection_dim": 16,
            "in_channels": 4,
            "text_embed_dim": 32,
            "time_embed_dim": 4,
            "max_sequence_length": 4,
        },
    )
    vae = part(
        "vae",
        "diffusers",
        "AutoencoderKLMochi",
        {
            "latent_channels": 4,
            "encoder_block_out_channels": (32, 32, 32, 32),
            "decoder_block_out_channels": (32, 32, 32, 32),
            "layers_per_block": (1, 1, 1, 1, 1),
            "latents_mean": None,
            "latents_std": None,
        },
    )
    text = part("text_encoder", "transformers", "T5EncoderModel", T5)
    pipeline = MochiPipeline(
        tokenizer=Words(4),
        text_encoder=built(text),
        vae=built(vae),
        transformer=built(denoiser),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )
    words = "cat runs cat runs"
    real = macs_of_call(
        pipeline,
        prompt=words,
        negative_prompt=words,
        height=32,
        width=32,
        num_frames=7,
        num_inference_steps=2,
        max_sequence_length=4,
        output_type="pt",
    )
    job = generated_video(sizes("tiny", [text, denoiser, vae], (7, 32, 32), 2, text_tokens=4), VideoRequest())
    assert stages(job) == {"text": real["text_encoder"], "denoise": real["transformer"], "vae": real["vae"]}
    assert job.macs == real[""]
