"""Inputs of the parts of video generators: denoisers, the halves of VAEs, text and image encoders."""

from .registry import (
    AUTOENCODERS,
    DENOISERS,
    autoencoder_of,
    complete_config,
    denoiser_inputs,
    denoiser_of,
    latent_channels,
    latent_clip,
    latent_factors,
    vae_half,
    vae_half_inputs,
)
from .text import image_encoder_inputs, text_encoder_inputs

__all__ = [
    "AUTOENCODERS",
    "DENOISERS",
    "autoencoder_of",
    "complete_config",
    "denoiser_inputs",
    "denoiser_of",
    "image_encoder_inputs",
    "latent_channels",
    "latent_clip",
    "latent_factors",
    "text_encoder_inputs",
    "vae_half",
    "vae_half_inputs",
]
