"""What happens to a decoded frame before a network sees it: resized and normalised; a crop is a view, and free."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Preprocess"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet; any others cost the same
_WHITE = 255


class Preprocess(nn.Module):
    """Frames (B, 3, H, W) of bytes -> what networks take: floats (B, 3, h, w), resized and normalised.

    Arguments:
        size: height and width that come out; None leaves them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, size: tuple[int, int] | None) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Bilinear, on values in 0..1."""
        x = frames.float() / _WHITE
        if self.size is not None:
            x = functional.interpolate(x, self.size, mode="bilinear", align_corners=False)
        return (x - self.mean) / self.std
