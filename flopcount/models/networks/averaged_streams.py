"""Two streams, one on RGB and one on optical flow, trained separately and averaged."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["STREAMS", "AveragedStreams"]

STREAMS = {"rgb": 3, "flow": 2}
"""The channels of each stream's input; flow has a horizontal and a vertical part."""


class AveragedStreams(nn.Module):
    """Clip (B, 3, T, H, W) and its flow (B, 2, T, H, W) -> scores (B, num_classes), averaged over the streams."""

    def __init__(self, rgb: nn.Module, flow: nn.Module) -> None:
        super().__init__()
        self.rgb = rgb
        self.flow = flow

    def forward(self, rgb: Tensor, flow: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        scores: Tensor = (self.rgb(rgb) + self.flow(flow)) / 2
        return scores
