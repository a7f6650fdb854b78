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

__all__ = ["FromClip", "timesformer_b", "videomae_b", "vivit_b_16x2"]

ATTENTIONS = {"divided": "divided_space_time", "joint": "joint_space_time", "space_only": "space_only"}
PATCH = 16


class FromClip(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes) of a model that takes (B, T, 3, H, W)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Scores before the softmax."""
        scores: Tensor = self.model(pixel_values=x.transpose(1, 2)).logits
        return scores


def _require_patches(clip: Clip, frames: int) -> None:
    """Positions are patches of 16×16 pixels over `frames` frames; a clip must be made of whole ones."""
    if clip.frames % frames or clip.height % PATCH or clip.width % PATCH:
        raise InputError(
            f"clip {clip} is not made of whole {times((frames, PATCH, PATCH))} patches",
            [("in", "the patch embedding"), ("fix", f"give frames in steps of {frames}, sides in steps of {PATCH}")],
        )


def _square(clip: Clip) -> int:
    if clip.height != clip.width:
        raise InputError(f"clip {clip} is not square", [("fix", "this network's positions are those of a square")])
    return clip.height


def timesformer_b(clip: Clip, num_classes: int, *, attention: str = "divided") -> Built:
    """TimeSformer-B with divided, joint or space-only attention (section 3, figure 1 of the paper)."""
    if attention not in ATTENTIONS:
        raise UnknownNameError("attention", attention, ATTENTIONS, f"choose {', '.join(ATTENTIONS)}")
    _require_patches(clip, 1)
    settings: dict[str, Any] = {"num_frames": clip.frames, "image_size": _square(clip), "num_labels": num_classes}
    library = transformers_library()
    config = library.TimesformerConfig(attention_type=ATTENTIONS[attention], **settings)
    departures = _sized(clip, Clip(8, 224, 224), "8 times, 14×14 places")
    if attention != "divided":
        departures += (f"{attention} attention, the paper's best is divided",)
    return Built(FromClip(library.TimesformerForVideoClassification(config)), departures)


def vivit_b_16x2(clip: Clip, num_classes: int) -> Built:
    """ViViT-B/16x2, model 1: joint space-time attention over tubelets of 2×16×16."""
    _require_patches(clip, 2)
    library = transformers_library()
    config = library.VivitConfig(num_frames=clip.frames, image_size=_square(clip), num_labels=num_classes)
    model = FromClip(library.VivitForVideoClassification(config))
    return Built(model, _sized(clip, Clip(32, 224, 224), "16 times, 14×14 places"))


def videomae_b(clip: Clip, num_classes: int) -> Built:
    """VideoMAE ViT-B: joint space-time attention over tubelets of 2×16×16, mean of the tokens."""
    _require_patches(clip, 2)
    library = transformers_library()
    config = library.VideoMAEConfig(num_frames=clip.frames, image_size=_square(clip), num_labels=num_classes)
    return Built(FromClip(library.VideoMAEForVideoClassification(config)))  # its positions are sines, for any clip


def _sized(clip: Clip, paper: Clip, positions: str) -> tuple[str, ...]:
    """Learned positions are sized to the clip, and that is a departure where it is not the paper's."""
    return () if clip == paper else (f"position embeddings sized for {clip}, the paper's has {positions}",)
