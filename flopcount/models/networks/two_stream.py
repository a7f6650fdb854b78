"""Two-stream network (Simonyan & Zisserman 2014, "Two-Stream Convolutional Networks for Action Recognition in Videos").

Paper: https://arxiv.org/abs/1406.2199 (figure 1). Both streams are CNN-M-2048 of https://arxiv.org/abs/1405.3531 (table
1, which has the paddings), released as https://gist.github.com/ksimonyan/78047f3591446d1d7b91. They are trained
separately, and their softmax scores are averaged at test time.
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from ...core.errors import InputError, UnknownNameError
from ...core.protocol import Clip
from .optical_flow_tvl1 import TVL1
from .sized_network import SizedNetwork
from .sizing import sizes_after

__all__ = ["CNNM2048", "TwoStream", "two_stream"]

FLOWS = 10  # L, section 3.1: flow of 10 consecutive frames, 20 channels
FC6_INPUTS = 512 * 6 * 6
STREAMS = ("both", "spatial", "temporal")
FLOW_SOURCES = ("given", "tvl1")


class CNNM2048(nn.Module):
    """Images (B, C, H, W) -> class scores (B, num_classes); 224×224 in the paper, fc6 sees every position.

    Arguments:
        channels: 3 for a frame, 2L for a stack of flow.
        clip: the clip to whose H and W fc6 is sized.
        num_classes: 101 (UCF-101) in the paper.
        second_norm: normalise after conv2; the temporal stream does not, to save memory (figure 1).
    """

    def __init__(self, channels: int, clip: Clip, num_classes: int, *, second_norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 96, 7, stride=2)
        self.norm1 = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(96, 256, 5, stride=2, padding=1)
        self.norm2 = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2) if second_norm else nn.Identity()
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(256, 512, 3, padding=1)
        self.conv4 = nn.Conv2d(512, 512, 3, padding=1)
        self.conv5 = nn.Conv2d(512, 512, 3, padding=1)
        self.pool5 = nn.MaxPool2d(2)
        self.fc6 = nn.Linear(512 * self._positions(clip), 4096)
        self.fc7 = nn.Linear(4096, 2048)
        self.fc8 = nn.Linear(2048, num_classes)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.5)

    def _positions(self, clip: Clip) -> int:
        layers = {name: part for name, part in self.named_children() if name.startswith(("conv", "pool"))}
        return prod(sizes_after(layers, (clip.height, clip.width), clip))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) before the softmax."""
        x = self.pool1(self.norm1(self.relu(self.conv1(x))))
        x = self.pool2(self.norm2(self.relu(self.conv2(x))))
        x = self.relu(self.conv3(x))
        x = self.relu(self.conv4(x))
        x = self.pool5(self.relu(self.conv5(x)))
        x = self.dropout(self.relu(self.fc6(x.flatten(1))))
        x = self.dropout(self.relu(self.fc7(x)))
        scores: Tensor = self.fc8(x)
        return scores


class TwoStream(nn.Module):
    """One or both streams; the input depends on `stream` and `flow`.

    flow "given": a frame (B, 3, H, W), a stack of flow (B, 2L, H, W), or both in this order.
    flow "tvl1": a clip (B, 3, L+1, H, W) with values in 0..1; the frame is its first.
    Scores (B, num_classes): of one stream before the softmax, or the average of both after it.
    """

    def __init__(self, clip: Clip, num_classes: int, *, stream: str = "both", flow: str = "given") -> None:
        super().__init__()
        self.flow = TVL1(clip) if flow == "tvl1" else None
        has_spatial, has_temporal = stream != "temporal", stream != "spatial"
        channels = 2 * (clip.frames - 1)
        self.spatial = CNNM2048(3, clip, num_classes, second_norm=True) if has_spatial else None
        self.temporal = CNNM2048(channels, clip, num_classes, second_norm=False) if has_temporal else None

    def forward(self, *inputs: Tensor) -> Tensor:
        """Scores (B, num_classes)."""
        frame, stack = inputs[0], inputs[-1]
        if self.flow is not None:
            frame, stack = inputs[0][:, :, 0], _stacked(self.flow(inputs[0]))
        scores: list[Tensor] = []
        if self.spatial is not None:
            scores.append(self.spatial(frame))
        if self.temporal is not None:
            scores.append(self.temporal(stack))
        if len(scores) == 1:
            return scores[0]
        return (scores[0].softmax(1) + scores[1].softmax(1)) / 2


def _stacked(flow: Tensor) -> Tensor:
    """(B, 2, L, H, W) -> (B, 2L, H, W): x and y of each field in turn, less its mean vector (section 3.1)."""
    return (flow - flow.mean((3, 4), keepdim=True)).transpose(1, 2).flatten(1, 2)


def two_stream(clip: Clip, num_classes: int, *, stream: str = "both", flow: str = "given") -> SizedNetwork:
    """The streams for a clip of L + 1 frames, which have L fields of flow between them."""
    for option, value, choices in (("stream", stream, STREAMS), ("flow", flow, FLOW_SOURCES)):
        if value not in choices:
            raise UnknownNameError(f"{option} of two_stream", str(value), choices, f"choose {', '.join(choices)}")
    if stream == "spatial" and flow == "tvl1":
        raise InputError("the spatial stream takes no flow", [("fix", "leave flow out, or choose stream=both")])
    if stream != "spatial" and clip.frames < 2:
        raise InputError(f"flow needs two frames, the clip is {clip}", [("fix", "give --clip 11x224x224")])
    model = TwoStream(clip, num_classes, stream=stream, flow=flow)
    departures = []
    if stream != "spatial" and clip.frames - 1 != FLOWS:
        departures.append(f"{clip.frames - 1} fields of flow for {clip}, the paper stacks {FLOWS}")
    stream_network = model.spatial or model.temporal
    if stream_network is not None and stream_network.fc6.in_features != FC6_INPUTS:
        departures.append(
            f"fc6 sized for {clip}: {stream_network.fc6.in_features} inputs, the paper's has {FC6_INPUTS}"
        )
    frame, stack = (3, clip.height, clip.width), (2 * (clip.frames - 1), clip.height, clip.width)
    inputs: dict[str, tuple[tuple[int, ...], ...]] = {
        "both": (frame, stack),
        "spatial": (frame,),
        "temporal": (stack,),
    }
    apart = ("spatial", "temporal") if stream == "both" else ()
    return SizedNetwork(model, tuple(departures), inputs[stream] if flow == "given" else None, apart)
