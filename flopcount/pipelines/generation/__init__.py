"""Generated videos as jobs: text, denoising steps, and the VAE that makes frames of latents."""

from .generated_video import generated_video

__all__ = ["generated_video"]
