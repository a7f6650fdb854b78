"""ActionCLIP: CLIP's image encoder on every frame, a small transformer over frames, and the likeness to label texts.

Paper: https://arxiv.org/abs/2109.08472 (section 3; its table 6 has the networks with "Transf"). Code followed:
https://github.com/sallymmx/ActionCLIP, clip/model.py, modules/Visual_Prompt.py and test.py. Stochastic depth, which
only training uses, is left out.

The texts are encoded once for all videos: their features are given to the network, and no text encoder is counted. Each
class has as many texts as there are templates, and the scores are the mean over them of what test.py makes of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from .clip_vit import B16, B32, ClipBlock, ClipSize, FrameTokens, resized_encoder
from .mvit import new_parameter
from .sized_network import SizedNetwork

__all__ = ["ActionCLIP", "actionclip_b16", "actionclip_b32"]

TEMPLATES = 16  # of sentences about a class, in utils/Text_Prompt.py
MOST_FRAMES = 77  # the table of their places is as long as a text of CLIP
BLOCKS = 6


class ActionCLIP(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes); built for one clip, which positions are sized to.

    Arguments:
        clip: what it is built for.
        num_classes: 400 (Kinetics) in the paper.
        size: which image encoder of CLIP.
    """

    text_features: Tensor

    def __init__(self, clip: Clip, num_classes: int, size: ClipSize) -> None:
        super().__init__()
        dim, shared = size.size.dim, size.shared
        self.tokens = FrameTokens(clip, size)
        self.norm_pre = nn.LayerNorm(dim)
        self.blocks = nn.Sequential(*(ClipBlock(dim, size.size.heads) for _ in range(size.size.depth)))
        self.norm_post = nn.LayerNorm(dim)
        self.proj = nn.Linear(dim, shared, bias=False)
        self.times = new_parameter(MOST_FRAMES, shared)
        self.over_time = nn.Sequential(*(ClipBlock(shared, shared // 64) for _ in range(BLOCKS)))
        features = nn.functional.normalize(torch.randn(TEMPLATES * num_classes, shared), dim=-1)
        self.register_buffer("text_features", features)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes): a hundred times the cosine of video and text, averaged over the templates."""
        batch, _, frames = x.shape[:3]
        x = self.blocks(self.norm_pre(self.tokens(x).flatten(0, 1)))
        of_frames = self.proj(self.norm_post(x[:, 0])).unflatten(0, (batch, frames))
        video = (of_frames + self.over_time(of_frames + self.times[:frames])).mean(1)
        video = video / video.norm(dim=-1, keepdim=True)
        likeness = 100.0 * video @ self.text_features.T
        scores: Tensor = likeness.unflatten(1, (TEMPLATES, -1)).softmax(-1).mean(1)
        return scores


def _action_clip(clip: Clip, num_classes: int, size: ClipSize) -> SizedNetwork:
    if clip.frames > MOST_FRAMES:
        raise InputError(
            f"clip {clip} has {clip.frames} frames",
            [
                ("in", "the places of frames in time"),
                ("fix", f"give at most {MOST_FRAMES}, as CLIP's texts have words"),
            ],
        )
    return SizedNetwork(ActionCLIP(clip, num_classes, size), resized_encoder(clip))


def actionclip_b32(clip: Clip, num_classes: int) -> SizedNetwork:
    """ActionCLIP on CLIP's ViT-B/32."""
    return _action_clip(clip, num_classes, B32)


def actionclip_b16(clip: Clip, num_classes: int) -> SizedNetwork:
    """ActionCLIP on CLIP's ViT-B/16."""
    return _action_clip(clip, num_classes, B16)
