"""Questions about videos: a video-language model's vision tower, prefill and decoding over a growing cache."""

from .answer import answered

__all__ = ["answered"]
