"""TimeSformer, ViViT, VideoMAE and V-JEPA 2 from the library transformers, with a clip as input as in all the zoo.

Papers: TimeSformer https://arxiv.org/abs/2102.05095, ViViT https://arxiv.org/abs/2103.15691 (its model 1, joint
attention over tubelets), VideoMAE https://arxiv.org/abs/2203.12602 (the fine-tuned encoder), V-JEPA 2
https://arxiv.org/abs/2506.09985 (the frozen encoder with an attentive probe of one clip; its tables have probes of all
clips of a video together). Code wrapped:
https://github.com/huggingface/transformers, src/transformers/models/{timesformer,vivit,videomae,vjepa2}.

VideoMAE V2, https://arxiv.org/abs/2303.16727, and Unmasked Teacher, https://arxiv.org/abs/2303.16058, fine-tune
VideoMAE's network with other sizes: see `vit_giant_patch14_224` in https://github.com/OpenGVLab/VideoMAEv2,
models/modeling_finetune.py, and https://github.com/OpenGVLab/unmasked_teacher, single_modality/models, where a patch
is of one frame.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
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
    "umt_b16",
    "umt_l16",
    "videomae_b",
    "videomae_h",
    "videomae_l",
    "videomae_s",
    "videomaev2_g",
    "vivit_b_16x2",
    "vivit_h_16x2",
    "vivit_l_16x2",
    "vjepa2_vit_g",
    "vjepa2_vit_g_384",
    "vjepa2_vit_h",
    "vjepa2_vit_l",
]

_GIANT = Size(1408, 40, 16)
_GIANT_HIDDEN = 6144
ATTENTIONS = {"divided": "divided_space_time", "joint": "joint_space_time", "space_only": "space_only"}


class FromClip(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes) of a model that takes (B, T, 3, H, W) by this name."""

    def __init__(self, model: nn.Module, name: str = "pixel_values") -> None:
        super().__init__()
        self.model = model
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        scores: Tensor = self.model(**{self.name: x.transpose(1, 2)}).logits
        return scores


def _square(clip: Clip) -> int:
    if clip.height != clip.width:
        raise InputError(f"clip {clip} is not square", [("fix", "this network's positions form a square")])
    return clip.height


def _widths(size: Size) -> dict[str, int]:
    """A size in the terms of the library transformers."""
    return _trunk(size) | {"intermediate_size": 4 * size.dim}


def _trunk(size: Size) -> dict[str, int]:
    """The same without that of the MLPs."""
    return {"hidden_size": size.dim, "num_hidden_layers": size.depth, "num_attention_heads": size.heads}


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


def _videomae(clip: Clip, num_classes: int, size: Size = BASE, **settings: int) -> SizedNetwork:
    """VideoMAE's network; `settings` are those that differ from its own, in the terms of the library."""
    patch_grid(clip, settings.get("tubelet_size", 2), settings.get("patch_size", PATCH))
    library = transformers_library()
    config = library.VideoMAEConfig(
        num_frames=clip.frames, image_size=_square(clip), num_labels=num_classes, **_widths(size) | settings
    )
    with _quick_sines(library.VideoMAEForVideoClassification):  # positions are sines, which fit any clip
        return SizedNetwork(FromClip(library.VideoMAEForVideoClassification(config)))


@contextmanager
def _quick_sines(model: type[nn.Module]) -> Iterator[None]:
    """Let the library make its table of sines at once: number by number that takes up to half a minute."""
    module = sys.modules[model.__module__]
    with _ONE_AT_A_TIME:
        made: Any = getattr(module, _TABLE)
        setattr(module, _TABLE, sines)
        try:
            yield
        finally:
            setattr(module, _TABLE, made)


_TABLE = "get_sinusoid_encoding_table"
_ONE_AT_A_TIME = Lock()  # or a thread could take the quick table for the library's own, and leave it there


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


def videomaev2_g(clip: Clip, num_classes: int) -> SizedNetwork:
    """VideoMAE V2 ViT-g: patches of 14×14, and MLPs with 48/11 of the channels."""
    return _videomae(clip, num_classes, _GIANT, patch_size=14, intermediate_size=_GIANT_HIDDEN)


def _umt(clip: Clip, num_classes: int, size: Size) -> SizedNetwork:
    """VideoMAE's network over patches of one frame."""
    built = _videomae(clip, num_classes, size, tubelet_size=1)
    if clip.sizes == (8, 224, 224):
        return built
    return replace(built, departures=(f"positions of {clip} are sines, the released code has parameters for them",))


def umt_b16(clip: Clip, num_classes: int) -> SizedNetwork:
    """Unmasked Teacher ViT-B."""
    return _umt(clip, num_classes, BASE)


def umt_l16(clip: Clip, num_classes: int) -> SizedNetwork:
    """Unmasked Teacher ViT-L."""
    return _umt(clip, num_classes, LARGE)


def _vjepa2(clip: Clip, num_classes: int, size: Size, mlp_ratio: float = 4.0) -> SizedNetwork:
    """The encoder, which takes no gradient, and a probe that learns: three blocks, a query that attends, a layer."""
    patch_grid(clip, 2)
    library = transformers_library()
    config = library.VJEPA2Config(
        frames_per_clip=clip.frames,
        crop_size=_square(clip),
        num_labels=num_classes,
        mlp_ratio=mlp_ratio,
        **_trunk(size),
    )
    model = library.VJEPA2ForVideoClassification(config)
    model.vjepa2.predictor = nn.Identity()  # only pre-training runs it
    model.vjepa2.requires_grad_(False)
    return SizedNetwork(FromClip(model, "pixel_values_videos"))  # its positions are rotations, which fit any clip


def vjepa2_vit_l(clip: Clip, num_classes: int) -> SizedNetwork:
    """V-JEPA 2 ViT-L with an attentive probe."""
    return _vjepa2(clip, num_classes, LARGE)


def vjepa2_vit_h(clip: Clip, num_classes: int) -> SizedNetwork:
    """V-JEPA 2 ViT-H with an attentive probe."""
    return _vjepa2(clip, num_classes, HUGE)


def vjepa2_vit_g(clip: Clip, num_classes: int) -> SizedNetwork:
    """V-JEPA 2 ViT-g with an attentive probe."""
    return _vjepa2(clip, num_classes, replace(_GIANT, heads=22), _GIANT_HIDDEN / _GIANT.dim)


def vjepa2_vit_g_384(clip: Clip, num_classes: int) -> SizedNetwork:
    """V-JEPA 2 ViT-g for larger frames, with an attentive probe."""
    return vjepa2_vit_g(clip, num_classes)
