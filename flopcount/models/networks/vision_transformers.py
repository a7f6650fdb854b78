"""TimeSformer, ViViT and VideoMAE from the library transformers, with a clip as input like every network of the zoo.

Papers: TimeSformer https://arxiv.org/abs/2102.05095, ViViT https://arxiv.org/abs/2103.15691 (its model 1, joint
attention over tubelets), VideoMAE https://arxiv.org/abs/2203.12602 (the fine-tuned encoder). Code wrapped:
https://github.com/huggingface/transformers, src/transformers/models/{timesformer,vivit,videomae}.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from ...core.errors import InputError, UnknownNameError
from ...core.protocol import Clip
from ..libraries.transformers import transformers_library
from .sized_network import SizedNetwork
from .vit import BASE, HUGE, LARGE, PATCH, SMALL, Size, patch_grid, resized_positions

__all__ = [
    "FromClip",
    "sines",
    "timesformer_b",
    "timesformer_hr",
    "timesformer_l",
    "timesformer_vit_l",
    "videomae_b",
    "videomae_h",
    "videomae_l",
    "videomae_s",
    "vivit_b_16x2",
    "vivit_h_16x2",
    "vivit_l_16x2",
]

ATTENTIONS = {"divided": "divided_space_time", "joint": "joint_space_time", "space_only": "space_only"}


class FromClip(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes) of a model that takes (B, T, 3, H, W)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        scores: Tensor = self.model(pixel_values=x.transpose(1, 2)).logits
        return scores


def _square(clip: Clip) -> int:
    if clip.height != clip.width:
        raise InputError(f"clip {clip} is not square", [("fix", "this network's positions form a square")])
    return clip.height


def _widths(size: Size) -> dict[str, int]:
    """A size in the terms of the library transformers."""
    return {
        "hidden_size": size.dim,
        "num_hidden_layers": size.depth,
        "num_attention_heads": size.heads,
        "intermediate_size": 4 * size.dim,
    }


def _timesformer(clip: Clip, num_classes: int, attention: str, paper: Clip, size: Size = BASE) -> SizedNetwork:
    if attention not in ATTENTIONS:
        raise UnknownNameError("attention", attention, ATTENTIONS, f"choose {', '.join(ATTENTIONS)}")
    patch_grid(clip, 1)
    settings: dict[str, Any] = {"num_frames": clip.frames, "image_size": _square(clip), "num_labels": num_classes}
    library = transformers_library()
    config = library.TimesformerConfig(attention_type=ATTENTIONS[attention], **settings, **_widths(size))
    departures = resized_positions(clip, paper)
    if attention != "divided":
        departures += (f"{attention} attention, the paper's best is divided",)
    return SizedNetwork(FromClip(library.TimesformerForVideoClassification(config)), departures)


def timesformer_b(clip: Clip, num_classes: int, *, attention: str = "divided") -> SizedNetwork:
    """TimeSformer-B with divided, joint or space-only attention (section 3, figure 1 of the paper)."""
    return _timesformer(clip, num_classes, attention, Clip(8, 224, 224))


def timesformer_hr(clip: Clip, num_classes: int, *, attention: str = "divided") -> SizedNetwork:
    """TimeSformer-HR: the same on 16 larger frames."""
    return _timesformer(clip, num_classes, attention, Clip(16, 448, 448))


def timesformer_l(clip: Clip, num_classes: int, *, attention: str = "divided") -> SizedNetwork:
    """TimeSformer-L: the same on 96 frames; its L means long."""
    return _timesformer(clip, num_classes, attention, Clip(96, 224, 224))


def timesformer_vit_l(clip: Clip, num_classes: int, *, attention: str = "divided") -> SizedNetwork:
    """TimeSformer-L on a ViT-L, with which VideoMAE's table 7 compares."""
    return _timesformer(clip, num_classes, attention, Clip(96, 224, 224), size=LARGE)


def _vivit(clip: Clip, num_classes: int, patch: int = PATCH, size: Size = BASE) -> SizedNetwork:
    if patch < 1:
        raise InputError(f"patches of {patch}×{patch}", [("fix", f"the paper's have {PATCH}×{PATCH}")])
    patch_grid(clip, 2, patch)
    library = transformers_library()
    settings: dict[str, Any] = {"num_frames": clip.frames, "image_size": _square(clip), "num_labels": num_classes}
    config = library.VivitConfig(tubelet_size=[2, patch, patch], **settings, **_widths(size))
    departures = resized_positions(clip, Clip(32, 224, 224))
    if patch != PATCH:
        departures += (f"patches of {patch}×{patch}, the paper's name says {PATCH}×{PATCH}",)
    return SizedNetwork(FromClip(library.VivitForVideoClassification(config)), departures)


def vivit_b_16x2(clip: Clip, num_classes: int) -> SizedNetwork:
    """ViViT-B/16x2, model 1: joint space-time attention over tubelets of 2×16×16."""
    return _vivit(clip, num_classes)


def vivit_l_16x2(clip: Clip, num_classes: int) -> SizedNetwork:
    """ViViT-L/16x2, model 1."""
    return _vivit(clip, num_classes, size=LARGE)


def vivit_h_16x2(clip: Clip, num_classes: int, *, patch: int = PATCH) -> SizedNetwork:
    """ViViT-H/16x2, model 1; the printed cost is about that of patches of 14×14, which ViT-H itself has."""
    return _vivit(clip, num_classes, patch, size=HUGE)


def _videomae(clip: Clip, num_classes: int, size: Size = BASE) -> SizedNetwork:
    patch_grid(clip, 2)
    library = transformers_library()
    config = library.VideoMAEConfig(
        num_frames=clip.frames, image_size=_square(clip), num_labels=num_classes, **_widths(size)
    )
    with _quick_sines(library.VideoMAEForVideoClassification):  # positions are sines, which fit any clip
        return SizedNetwork(FromClip(library.VideoMAEForVideoClassification(config)))


@contextmanager
def _quick_sines(model: type[nn.Module]) -> Iterator[None]:
    """Let the library make its table of sines at once: number by number that takes up to half a minute."""
    module = sys.modules[model.__module__]
    made: Any = getattr(module, _TABLE)
    setattr(module, _TABLE, sines)
    try:
        yield
    finally:
        setattr(module, _TABLE, made)


_TABLE = "get_sinusoid_encoding_table"


def sines(positions: int, width: int) -> Tensor:
    """The position encodings of VideoMAE, (1, positions, width), the same numbers as the library's own table has."""
    columns = numpy.arange(width)
    table = numpy.arange(positions)[:, None] / numpy.power(10000, 2 * (columns // 2) / width)
    table[:, 0::2], table[:, 1::2] = numpy.sin(table[:, 0::2]), numpy.cos(table[:, 1::2])
    return torch.FloatTensor(table).unsqueeze(0)


def videomae_s(clip: Clip, num_classes: int) -> SizedNetwork:
    """VideoMAE ViT-S."""
    return _videomae(clip, num_classes, size=SMALL)


def videomae_b(clip: Clip, num_classes: int) -> SizedNetwork:
    """VideoMAE ViT-B: joint space-time attention over tubelets of 2×16×16, mean of the tokens."""
    return _videomae(clip, num_classes)


def videomae_l(clip: Clip, num_classes: int) -> SizedNetwork:
    """VideoMAE ViT-L."""
    return _videomae(clip, num_classes, size=LARGE)


def videomae_h(clip: Clip, num_classes: int) -> SizedNetwork:
    """VideoMAE ViT-H."""
    return _videomae(clip, num_classes, size=HUGE)
