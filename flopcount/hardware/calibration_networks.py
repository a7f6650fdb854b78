"""The small whole networks of a calibration: of the zoo, at small clips, and of torch's layers alone.

Several families of video and image networks, so that what is left out of a fit is unlike what is in it. They are
small, since nobody waits long for a calibration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from ..core.model_spec import ModelSpec
from ..models.by_name import input_of
from ..models.loading import find_model
from ..tracing.arguments import Input

__all__ = ["NETWORKS", "CalibrationNetwork"]


@dataclass(frozen=True, slots=True)
class CalibrationNetwork:
    """A network by name and family, what builds it with its input, and whether a quick calibration has it."""

    name: str
    family: str
    build: Callable[[], tuple[nn.Module, Input]]
    quick: bool = True


class _Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of x."""
        return x + self.layers(x)  # type: ignore[no-any-return]


class _Attention(nn.Module):
    """Self-attention of (B, N, C) in `heads`."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C)."""
        batch, tokens, channels = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, tokens, channels))  # type: ignore[no-any-return]


class _Along(nn.Module):
    """A layer for (B, N, C) along the time or within the frames of (B, T, N, C)."""

    def __init__(self, axis: str, layer: nn.Module) -> None:
        super().__init__()
        self.axis, self.layer = axis, layer

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, N, C)."""
        if self.axis == "time":
            x = x.transpose(1, 2)
        mixed: Tensor = self.layer(x.flatten(0, 1)).reshape(x.shape)
        return mixed.transpose(1, 2) if self.axis == "time" else mixed


class _Transposed(nn.Module):
    """A layer over the tokens of (B, N, C) instead of its channels."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C)."""
        return self.layers(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


class _Tokens(nn.Module):
    """Images (B, C, H, W) -> tokens (B, H·W, C); maps of clips (B, C, T, H, W) -> (B, T, H·W, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Channels last."""
        return x.flatten(-2).movedim(1, -1)


class _Permuted(nn.Module):
    """A norm of channels for (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W)."""
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)]


def _plain() -> nn.Module:
    layers, inputs = [], 3
    for outputs in (64, 128, 256, 256):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 7 * 7, 1024), nn.ReLU(), nn.Linear(1024, 1000))


def _stages(block: Callable[[int], nn.Module], widths: tuple[int, ...], blocks: int) -> nn.Module:
    layers = [*_conv(3, widths[0], 7, 2), nn.MaxPool2d(3, 2, 1)]
    for before, width in zip((widths[0], *widths), widths, strict=False):
        layers += [] if before == width else _conv(before, width, 1, 2)
        layers += [block(width) for _ in range(blocks)]
    return nn.Sequential(*layers, *_head(widths[-1]))


def _basic(width: int) -> nn.Module:
    return _Residual(*_conv(width, width), *_conv(width, width)[:-1])


def _grouped(width: int) -> nn.Module:
    return _Residual(*_conv(width, width, 1), *_conv(width, width, groups=32), *_conv(width, width, 1)[:-1])


def _inverted(width: int) -> nn.Module:
    wide = 6 * width
    return _Residual(*_conv(width, wide, 1), *_conv(wide, wide, groups=wide), *_conv(wide, width, 1)[:-1])


def _convnext() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 96, 4, 4)]
    for width in (96, 192, 384):
        for _ in range(2):
            depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
            wide = nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)
            layers.append(_Residual(depthwise, _Permuted(width), *wide))
        layers += [_Permuted(width), nn.Conv2d(width, 2 * width, 2, 2)] if width < 384 else []
    return nn.Sequential(*layers, *_head(384))


def _mlp(channels: int, wide: int) -> list[nn.Module]:
    return [nn.Linear(channels, wide), nn.GELU(), nn.Linear(wide, channels)]


def _mixer(channels: int = 256, tokens: int = 196) -> nn.Module:
    blocks = []
    for _ in range(6):
        blocks.append(_Residual(nn.LayerNorm(channels), _Transposed(*_mlp(tokens, 128))))
        blocks.append(_Residual(nn.LayerNorm(channels), *_mlp(channels, 4 * channels)))
    return nn.Sequential(nn.Conv2d(3, channels, 16, 16), _Tokens(), *blocks, nn.Linear(channels, 1000))


def _vit(channels: int = 256, depth: int = 6) -> nn.Module:
    blocks = []
    for _ in range(depth):
        blocks.append(_Residual(nn.LayerNorm(channels), _Attention(channels, 4)))
        blocks.append(_Residual(nn.LayerNorm(channels), *_mlp(channels, 4 * channels)))
    return nn.Sequential(nn.Conv2d(3, channels, 16, 16), _Tokens(), *blocks, nn.Linear(channels, 1000))


def _divided(channels: int = 192) -> nn.Module:
    blocks = []
    for _ in range(4):
        for axis in ("time", "space"):
            blocks.append(_Residual(nn.LayerNorm(channels), _Along(axis, _Attention(channels, 3))))
        blocks.append(_Residual(nn.LayerNorm(channels), *_mlp(channels, 4 * channels)))
    patches = nn.Conv3d(3, channels, (1, 16, 16), (1, 16, 16))
    return nn.Sequential(patches, _Tokens(), *blocks, nn.Linear(channels, 400))


def _own(
    name: str, family: str, build: Callable[[], nn.Module], shape: tuple[int, ...], *, quick: bool = True
) -> CalibrationNetwork:
    return CalibrationNetwork(name, family, lambda: (build().eval(), shape), quick)


def _of_zoo(name: str, family: str, clip: str, *, quick: bool = True) -> CalibrationNetwork:
    spec = ModelSpec.of(name, clip=clip)

    def build() -> tuple[nn.Module, Input]:
        module = find_model(spec)()
        return module, input_of(module, spec)

    return CalibrationNetwork(f"{name} {clip}", family, build, quick)


NETWORKS = (
    _own("plain CNN", "plain", _plain, (1, 3, 112, 112)),
    _own("residual CNN", "residual", partial(_stages, _basic, (64, 128, 256), 2), (2, 3, 128, 128)),
    _of_zoo("tsn_r50", "residual", "2x96x96", quick=False),
    _own("grouped CNN", "grouped", partial(_stages, _grouped, (128, 256), 2), (1, 3, 160, 160)),
    _own("depthwise CNN", "depthwise", partial(_stages, _inverted, (24, 48, 96), 2), (2, 3, 160, 160)),
    _own("ConvNeXt-like", "ConvNeXt", _convnext, (1, 3, 160, 160)),
    _own("MLP-Mixer-like", "mixer", _mixer, (2, 3, 224, 224)),
    _own("small ViT", "ViT", _vit, (2, 3, 224, 224)),
    _of_zoo("videomae_s", "ViT", "4x112x112", quick=False),
    _own("divided attention", "divided attention", _divided, (1, 3, 8, 112, 112)),
    _of_zoo("swin3d_t", "window attention", "8x64x64", quick=False),
    _of_zoo("toy_3d_cnn", "plain 3D", "20x64x64"),
    _of_zoo("c3d", "plain 3D", "16x64x64", quick=False),
    _of_zoo("mc3_18", "residual 3D", "8x56x56", quick=False),
    _of_zoo("r2plus1d_18", "factorised 3D", "8x56x56"),
    _of_zoo("i3d", "inception 3D", "16x64x64"),
    _of_zoo("slowfast_r50_4x16", "two pathways", "32x64x64", quick=False),
    _of_zoo("i3d_nl_r50", "non-local", "4x64x64"),
    _of_zoo("x3d_xs", "depthwise 3D", "4x112x112"),
    _of_zoo("cnn_lstm", "recurrent", "4x113x113"),
)
"""All of them; a quick calibration leaves out those that take long to build or to run."""
