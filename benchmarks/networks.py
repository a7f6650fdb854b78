"""The four networks of the benchmark: readable torch.nn, and for each its input and its exact MACs by hand.

They stand for what video papers are made of: plain 3D convolutions (C3D, the one of flopcount's own zoo), residual 3D
convolutions (R3D-18), two pathways of many small layers (SlowFast), attention over thousands of tokens (ViViT).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import formulas
import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["NETWORKS", "R3D18", "Network", "SlowFast", "VideoTransformer"]


class R3D18(nn.Module):
    """ResNet-18 of 3×3×3 convolutions, shaped as torchvision's `r3d_18`.

    Paper: Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions", https://arxiv.org/abs/1711.11248 (R3D).
    """

    def __init__(self, num_classes: int = 400) -> None:
        super().__init__()
        self.stem = conv_bn(3, 64, (3, 7, 7), (1, 2, 2))
        self.layers = nn.Sequential(
            Basic(64, 64, 1), Basic(64, 64, 1),
            Basic(64, 128, 2), Basic(128, 128, 1),
            Basic(128, 256, 2), Basic(256, 256, 1),
            Basic(256, 512, 2), Basic(512, 512, 1),
        )  # fmt: skip
        self.pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Clip (B, 3, T, H, W) -> scores (B, num_classes)."""
        x = self.layers(F.relu(self.stem(x)))
        return self.fc(self.pool(x).flatten(1))


class Basic(nn.Module):
    """Two 3×3×3 convolutions beside a shortcut."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv_bn(width_in, width, (3, 3, 3), (stride,) * 3)
        self.conv2 = conv_bn(width, width, (3, 3, 3))
        changes = stride != 1 or width_in != width
        self.shortcut = conv_bn(width_in, width, (1, 1, 1), (stride,) * 3) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The block with its residual."""
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.shortcut(x))


class SlowFast(nn.Module):
    """SlowFast 8×8 on ResNet-50 (alpha 4, beta 1/8), with lateral connections from the fast to the slow pathway.

    Paper: Feichtenhofer et al. 2019, "SlowFast Networks for Video Recognition", https://arxiv.org/abs/1812.03982
    (table 1). The lateral kernel is 7 frames as in the released network; the paper says 5.
    """

    alpha = 4
    depths = (3, 4, 6, 3)

    def __init__(self, num_classes: int = 400) -> None:
        super().__init__()
        self.slow_stem = stem(3, 64, frames=1)
        self.fast_stem = stem(3, 8, frames=5)
        slow, fast, laterals = [], [], []
        slow_in, fast_in = 64, 8
        for stage, depth in enumerate(self.depths):
            width, stride = 64 * 2**stage, 1 if stage == 0 else 2
            laterals.append(conv_bn(fast_in, 2 * fast_in, (7, 1, 1), (self.alpha, 1, 1)))
            slow.append(stage_of(depth, slow_in + 2 * fast_in, width, 1 if stage < 2 else 3, stride))
            fast.append(stage_of(depth, fast_in, width // 8, 3, stride))
            slow_in, fast_in = 4 * width, width // 2
        self.laterals, self.slow, self.fast = nn.ModuleList(laterals), nn.ModuleList(slow), nn.ModuleList(fast)
        self.fc = nn.Linear(slow_in + fast_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Clip (B, 3, T, H, W) -> scores; the slow pathway sees every alpha-th frame."""
        slow, fast = self.slow_stem(x[:, :, :: self.alpha]), self.fast_stem(x)
        for lateral, slow_stage, fast_stage in zip(self.laterals, self.slow, self.fast, strict=True):
            slow = torch.cat([slow, F.relu(lateral(fast))], 1)
            slow, fast = slow_stage(slow), fast_stage(fast)
        pooled = [F.adaptive_avg_pool3d(path, 1).flatten(1) for path in (slow, fast)]
        return self.fc(torch.cat(pooled, 1))


class Bottleneck(nn.Module):
    """T×1×1, 1×3×3, 1×1×1 convolutions beside a shortcut; the middle one strides."""

    def __init__(self, width_in: int, width: int, frames: int, stride: int) -> None:
        super().__init__()
        self.a = conv_bn(width_in, width, (frames, 1, 1))
        self.b = conv_bn(width, width, (1, 3, 3), (1, stride, stride))
        self.c = conv_bn(width, 4 * width, (1, 1, 1))
        changes = stride != 1 or width_in != 4 * width
        self.shortcut = conv_bn(width_in, 4 * width, (1, 1, 1), (1, stride, stride)) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The block with its residual."""
        return F.relu(self.c(F.relu(self.b(F.relu(self.a(x))))) + self.shortcut(x))


def stage_of(depth: int, width_in: int, width: int, frames: int, stride: int) -> nn.Sequential:
    rest = [Bottleneck(4 * width, width, frames, 1) for _ in range(depth - 1)]
    return nn.Sequential(Bottleneck(width_in, width, frames, stride), *rest)


def stem(width_in: int, width: int, frames: int) -> nn.Sequential:
    pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
    return nn.Sequential(conv_bn(width_in, width, (frames, 7, 7), (1, 2, 2)), nn.ReLU(), pool)


def conv_bn(width_in: int, width: int, kernel: tuple[int, ...], stride: tuple[int, ...] = (1, 1, 1)) -> nn.Sequential:
    """A convolution that keeps sizes where its stride is 1, and its normalisation."""
    padding = tuple(k // 2 for k in kernel)
    return nn.Sequential(nn.Conv3d(width_in, width, kernel, stride, padding, bias=False), nn.BatchNorm3d(width))


class VideoTransformer(nn.Module):
    """ViViT-B/16×2 with joint space-time attention (its model 1): 12 layers over all tubelets of the clip.

    Paper: Arnab et al. 2021, "ViViT: A Video Vision Transformer", https://arxiv.org/abs/2103.15691.
    """

    def __init__(self, clip: tuple[int, int, int] = (32, 224, 224), width: int = 768, num_classes: int = 400) -> None:
        super().__init__()
        tubelet = (2, 16, 16)
        tokens = 1
        for size, step in zip(clip, tubelet, strict=True):
            tokens *= size // step
        self.embed = nn.Conv3d(3, width, tubelet, tubelet)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, tokens + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads=12) for _ in range(12)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Clip (B, 3, T, H, W) -> scores from the class token."""
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


class Block(nn.Module):
    """Attention and MLP, each normalised first and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, N, D) -> the same shape."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


@dataclass(frozen=True)
class Network:
    """What is measured: how it is built, on which input, and its MACs by hand."""

    title: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    macs: int


def zoo_c3d() -> nn.Module:
    from flopcount import create_model

    return create_model("c3d")


NETWORKS = {
    "c3d": Network("C3D 16×112×112", zoo_c3d, (1, 3, 16, 112, 112), formulas.c3d()),
    "r3d18": Network("R3D-18 16×112×112", R3D18, (1, 3, 16, 112, 112), formulas.r3d18()),
    "slowfast": Network("SlowFast R50 32×256×256", SlowFast, (1, 3, 32, 256, 256), formulas.slowfast()),
    "vivit": Network("ViViT-B 32×224×224", VideoTransformer, (1, 3, 32, 224, 224), formulas.video_transformer()),
}
