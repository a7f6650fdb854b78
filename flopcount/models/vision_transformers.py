"""TimeSformer, ViViT and VideoMAE as transformers builds them, taking a clip like every network of the zoo.

Papers: TimeSformer https://arxiv.org/abs/2102.05095, ViViT https://arxiv.org/abs/2103.15691 (its model 1, joint
attention over tubelets), VideoMAE https://arxiv.org/abs/2203.12602 (the fine-tuned encoder). Code wrapped:
https://github.com/huggingface/transformers, src/transformers/models/{timesformer,vivit,videomae}.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..clip import Clip
from ..errors import InputError, UnknownNameError
from ..units import times
from .built import Built
from .libraries import transformers_library

__all__ = [
    "FromClip",
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
PATCH = 16
SMALL = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
HUGE = {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16, "intermediate_size": 5120}
"""ViT-S, L and H; ViT-B is what transformers builds by itself."""


class FromClip(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes) of a model that takes (B, T, 3, H, W)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        scores: Tensor = self.model(pixel_values=x.transpose(1, 2)).logits
        return scores


def _require_patches(clip: Clip, frames: int, side: int = PATCH) -> None:
    """Positions are square patches over `frames` frames; a clip must be made of whole ones."""
    if clip.frames % frames or clip.height % side or clip.width % side:
        raise InputError(
            f"clip {clip} is not made of whole {times((frames, side, side))} patches",
            [("in", "the patch embedding"), ("fix", f"give frames in steps of {frames}, sides in steps of {side}")],
        )


def _square(clip: Clip) -> int:
    if clip.height != clip.width:
        raise InputError(f"clip {clip} is not square", [("fix", "this network's positions are those of a square")])
    return clip.height


def _timesformer(clip: Clip, num_classes: int, attention: str, paper: Clip, **size: int) -> Built:
    if attention not in ATTENTIONS:
        raise UnknownNameError("attention", attention, ATTENTIONS, f"choose {', '.join(ATTENTIONS)}")
    _require_patches(clip, 1)
    settings: dict[str, Any] = {"num_frames": clip.frames, "image_size": _square(clip), "num_labels": num_classes}
    library = transformers_library()
    config = library.TimesformerConfig(attention_type=ATTENTIONS[attention], **settings, **size)
    side = paper.height // PATCH
    departures = _sized(clip, paper, f"{paper.frames} times, {side}×{side} places")
    if attention != "divided":
        departures += (f"{attention} attention, the paper's best is divided",)
    return Built(FromClip(library.TimesformerForVideoClassification(config)), departures)


def timesformer_b(clip: Clip, num_classes: int, *, attention: str = "divided") -> Built:
    """TimeSformer-B with divided, joint or space-only attention (section 3, figure 1 of the paper)."""
    return _timesformer(clip, num_classes, attention, Clip(8, 224, 224))


def timesformer_hr(clip: Clip, num_classes: int, *, attention: str = "divided") -> Built:
    """TimeSformer-HR: the same on 16 larger frames."""
    return _timesformer(clip, num_classes, attention, Clip(16, 448, 448))


def timesformer_l(clip: Clip, num_classes: int, *, attention: str = "divided") -> Built:
    """TimeSformer-L: the same on 96 frames; its L stands for long."""
    return _timesformer(clip, num_classes, attention, Clip(96, 224, 224))


def timesformer_vit_l(clip: Clip, num_classes: int, *, attention: str = "divided") -> Built:
    """TimeSformer-L made of a ViT-L, which VideoMAE's table 7 compares with."""
    return _timesformer(clip, num_classes, attention, Clip(96, 224, 224), **LARGE)


def _vivit(clip: Clip, num_classes: int, patch: int = PATCH, **size: int) -> Built:
    if patch < 1:
        raise InputError(f"patches of {patch}×{patch}", [("fix", f"the paper's have {PATCH}×{PATCH}")])
    _require_patches(clip, 2, patch)
    library = transformers_library()
    settings: dict[str, Any] = {"num_frames": clip.frames, "image_size": _square(clip), "num_labels": num_classes}
    config = library.VivitConfig(tubelet_size=[2, patch, patch], **settings, **size)
    departures = _sized(clip, Clip(32, 224, 224), "16 times, 14×14 places")
    if patch != PATCH:
        departures += (f"patches of {patch}×{patch}, the paper's name says {PATCH}×{PATCH}",)
    return Built(FromClip(library.VivitForVideoClassification(config)), departures)


def vivit_b_16x2(clip: Clip, num_classes: int) -> Built:
    """ViViT-B/16x2, model 1: joint space-time attention over tubelets of 2×16×16."""
    return _vivit(clip, num_classes)


def vivit_l_16x2(clip: Clip, num_classes: int) -> Built:
    """ViViT-L/16x2, model 1."""
    return _vivit(clip, num_classes, **LARGE)


def vivit_h_16x2(clip: Clip, num_classes: int, *, patch: int = PATCH) -> Built:
    """ViViT-H/16x2, model 1; the paper prints about the cost of patches of 14×14, which ViT-H itself has."""
    return _vivit(clip, num_classes, patch, **HUGE)


def _videomae(clip: Clip, num_classes: int, **size: int) -> Built:
    _require_patches(clip, 2)
    library = transformers_library()
    config = library.VideoMAEConfig(num_frames=clip.frames, image_size=_square(clip), num_labels=num_classes, **size)
    return Built(FromClip(library.VideoMAEForVideoClassification(config)))  # its positions are sines, for any clip


def videomae_s(clip: Clip, num_classes: int) -> Built:
    """VideoMAE ViT-S."""
    return _videomae(clip, num_classes, **SMALL)


def videomae_b(clip: Clip, num_classes: int) -> Built:
    """VideoMAE ViT-B: joint space-time attention over tubelets of 2×16×16, mean of the tokens."""
    return _videomae(clip, num_classes)


def videomae_l(clip: Clip, num_classes: int) -> Built:
    """VideoMAE ViT-L."""
    return _videomae(clip, num_classes, **LARGE)


def videomae_h(clip: Clip, num_classes: int) -> Built:
    """VideoMAE ViT-H."""
    return _videomae(clip, num_classes, **HUGE)


def _sized(clip: Clip, paper: Clip, positions: str) -> tuple[str, ...]:
    """Learned positions are sized to the clip, and that is a departure where it is not the paper's."""
    return () if clip == paper else (f"position embeddings sized for {clip}, the paper's has {positions}",)
