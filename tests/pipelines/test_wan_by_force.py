"""A video of Wan equals the whole loop of its real pipeline, run on small networks with real tensors."""

from types import SimpleNamespace

import pytest
import torch
from tiny_generators import UMT5, WAN, WAN_VAE, Words, built, macs_of_call, part, sizes, stages

from flopcount.pipelines.generation import generated_video
from flopcount.pipelines.requests import VideoRequest


@pytest.fixture(scope="module", autouse=True)
def diffusers():
    pytest.importorskip("transformers")
    from flopcount.models.torchvision_operators import ready_torchvision

    ready_torchvision()
    return pytest.importorskip("diffusers")


def wan(diffusers, **more):
    from diffusers import UniPCMultistepScheduler, WanPipeline

    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    return WanPipeline(tokenizer=Words(8), text_encoder=built(UMT5), vae=built(WAN_VAE), scheduler=scheduler, **more)


@pytest.mark.slow
@pytest.mark.parametrize("guidance", [True, False])
@pytest.mark.parametrize("frames", [5, 9])
def test_wan(diffusers, guidance, frames):
    real = macs_of_call(
        wan(diffusers, transformer=built(WAN)),
        prompt="cat runs",
        negative_prompt="cat",
        height=32,
        width=48,
        num_frames=frames,
        num_inference_steps=3,
        guidance_scale=5.0 if guidance else 1.0,
        max_sequence_length=8,
        output_type="pt",
    )
    job = generated_video(sizes("tiny", [UMT5, WAN, WAN_VAE], (frames, 32, 48), 3), VideoRequest(guidance=guidance))
    assert stages(job) == {"text": real["text_encoder"], "denoise": real["transformer"], "vae": real["vae"]}
    assert job.macs == real[""]
    assert real["transformer"] > 0


@pytest.mark.slow
def test_two_experts_of_wan(diffusers):
    other = part("denoiser_2", "diffusers", "WanTransformer3DModel", {**WAN.config, "ffn_dim": 28})
    pipeline = wan(diffusers, transformer=built(WAN), transformer_2=built(other), boundary_ratio=0.875)
    real = macs_of_call(
        pipeline,
        prompt="cat",
        negative_prompt="",
        height=16,
        width=16,
        num_frames=5,
        num_inference_steps=9,
        max_sequence_length=8,
        output_type="pt",
    )
    experts = {"boundary": 0.875, "shift": 3.0}
    job = generated_video(sizes("tiny", [UMT5, WAN, other, WAN_VAE], (5, 16, 16), 9, experts=experts), VideoRequest())
    found = stages(job)
    assert (found["denoise_high"], found["denoise_low"]) == (real["transformer"], real["transformer_2"])
    assert job.macs == real[""]


def test_a_step_per_token_of_wan(diffusers):
    pipeline = wan(diffusers, transformer=built(WAN), expand_timesteps=True)
    real = macs_of_call(
        pipeline,
        prompt="cat",
        negative_prompt="",
        height=32,
        width=32,
        num_frames=5,
        num_inference_steps=2,
        max_sequence_length=8,
        output_type="pt",
    )
    model = sizes("tiny", [UMT5, WAN, WAN_VAE], (5, 32, 32), 2, step_per_token=True)
    assert generated_video(model, VideoRequest()).macs == real[""]


@pytest.mark.slow
def test_wan_from_an_image(diffusers, monkeypatch):
    from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline
    from diffusers.pipelines.wan import pipeline_wan_i2v
    from torchvision.transforms.functional import to_pil_image
    from transformers import CLIPImageProcessor

    mender = SimpleNamespace(fix_text=lambda text: text)  # of text; the pipeline needs it, and the package may lack
    monkeypatch.setattr(pipeline_wan_i2v, "ftfy", mender, raising=False)
    clip = part(
        "image_encoder",
        "transformers",
        "CLIPVisionModel",
        {
            "hidden_size": 12,
            "intermediate_size": 20,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
    )
    config = {**WAN.config, "in_channels": 12, "added_kv_proj_dim": 24, "image_dim": 12}  # 4 + 4 + a mask of 4
    denoiser = part("denoiser", "diffusers", "WanTransformer3DModel", config)
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    size = {"height": 28, "width": 28}
    pipeline = WanImageToVideoPipeline(
        tokenizer=Words(8),
        text_encoder=built(UMT5),
        vae=built(WAN_VAE),
        scheduler=scheduler,
        transformer=built(denoiser),
        image_encoder=built(clip),
        image_processor=CLIPImageProcessor(size=size, crop_size=size),
    )
    real = macs_of_call(
        pipeline,
        image=to_pil_image(torch.zeros(3, 32, 32)),
        prompt="cat",
        negative_prompt="",
        height=32,
        width=32,
        num_frames=5,
        num_inference_steps=2,
        max_sequence_length=8,
        output_type="pt",
    )
    job = generated_video(sizes("tiny", [UMT5, clip, denoiser, WAN_VAE], (5, 32, 32), 2), VideoRequest())
    found = stages(job)
    assert list(found) == ["text", "image", "encode", "denoise", "vae"]
    assert found["image"] == real["image_encoder"]
    assert found["denoise"] == real["transformer"]
    assert found["encode"] + found["vae"] == real["vae"]
    assert job.macs == real[""]
    assert job.params == sum(
        p.numel()
        for m in (pipeline.text_encoder, pipeline.vae, pipeline.transformer, pipeline.image_encoder)
        for p in m.parameters()
    )
