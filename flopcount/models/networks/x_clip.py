"""X-CLIP from the library transformers: frames exchange messages, and a video makes the texts of classes its own.

Paper: https://arxiv.org/abs/2208.02816 (section 3; table 1 and the README have the networks). Code wrapped:
https://github.com/huggingface/transformers, src/transformers/models/x_clip; its layers are those of
https://github.com/microsoft/VideoX, X-CLIP/models. Stochastic depth, which only training uses, is left out.

A video meets one text per class. The original encodes the texts once (`use_cache`) for all videos: here their features
are given to the network, and the text encoder is counted only where the option asks for it. What depends on the video
is always counted: the encoder of frames with their messages, the transformer over frames, and the generator that
attends from every text to the patches.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.protocol import Clip
from ..libraries.transformers import transformers_library
from .clip_vit import B16, B32, L14, ClipSize, resized_encoder
from .sized_network import SizedNetwork
from .vit import patch_grid

__all__ = ["XClip", "xclip_b16", "xclip_b32", "xclip_l14", "xclip_l14_336"]

TEXT_LENGTH = 77  # tokens of a text, padded


class XClip(nn.Module):
    """Clip (B, 3, T, H, W) -> class scores (B, num_classes), by the parts of a library's model.

    Arguments:
        model: an XCLIPModel.
        num_classes: 400 (Kinetics) in the paper; each has one text.
        text_encoder: whether the texts are encoded with every clip; the encoder is frozen, as where it ran before.
    """

    text_features: Tensor
    input_ids: Tensor

    def __init__(self, model: Any, num_classes: int, *, text_encoder: bool) -> None:
        super().__init__()
        self.vision_model = model.vision_model
        self.visual_projection = model.visual_projection
        self.mit = model.mit
        self.prompts_visual_layernorm = model.prompts_visual_layernorm
        self.prompts_visual_projection = model.prompts_visual_projection
        self.prompts_generator = model.prompts_generator
        self.logit_scale = model.logit_scale
        self.text_model = model.text_model.requires_grad_(False) if text_encoder else None
        self.text_projection = model.text_projection.requires_grad_(False) if text_encoder else None
        if text_encoder:
            self.register_buffer("input_ids", torch.zeros(num_classes, TEXT_LENGTH, dtype=torch.long))
        else:
            self.register_buffer("text_features", torch.randn(num_classes, model.projection_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes): cosines of video and texts, scaled."""
        batch, _, frames = x.shape[:3]
        seen = self.vision_model(pixel_values=x.transpose(1, 2).flatten(0, 1))
        of_frames = self.visual_projection(seen.pooler_output).unflatten(0, (batch, frames))
        video = self.mit(of_frames).pooler_output
        patches = self.prompts_visual_layernorm(seen.last_hidden_state[:, 1:]) @ self.prompts_visual_projection
        patches = patches.unflatten(0, (batch, frames)).mean(1)
        texts = self._texts().unsqueeze(0).expand(batch, -1, -1)
        texts = texts + self.prompts_generator(texts, patches)
        video = video / video.norm(dim=-1, keepdim=True)
        texts = texts / texts.norm(dim=-1, keepdim=True)
        scores: Tensor = torch.einsum("bd,bkd->bk", video, self.logit_scale.exp() * texts)
        return scores

    def _texts(self) -> Tensor:
        if self.text_model is None or self.text_projection is None:
            return self.text_features
        features: Tensor = self.text_projection(self.text_model(input_ids=self.input_ids).pooler_output)
        return features


def _x_clip(clip: Clip, num_classes: int, size: ClipSize, *, side: int = 224, text_encoder: bool) -> SizedNetwork:
    patch_grid(clip, 1, size.patch)
    if clip.height != clip.width:
        raise InputError(f"clip {clip} is not square", [("fix", "this network's positions form a square")])
    library = transformers_library()
    width = {"hidden_size": size.shared, "intermediate_size": 4 * size.shared, "num_attention_heads": size.shared // 64}
    config = library.XCLIPConfig(
        text_config={**width, "num_hidden_layers": 12, "max_position_embeddings": TEXT_LENGTH},
        vision_config={
            "hidden_size": size.size.dim,
            "intermediate_size": 4 * size.size.dim,
            "num_hidden_layers": size.size.depth,
            "num_attention_heads": size.size.heads,
            "patch_size": size.patch,
            "image_size": clip.height,
            "num_frames": clip.frames,
            **{f"mit_{key}": value for key, value in width.items()},
        },
        projection_dim=size.shared,
        prompt_num_attention_heads=size.shared // 64,
    )
    model = XClip(library.XCLIPModel(config), num_classes, text_encoder=text_encoder)
    return SizedNetwork(model, resized_encoder(clip, side))


def xclip_b32(clip: Clip, num_classes: int, *, text_encoder: bool = False) -> SizedNetwork:
    """X-CLIP-B/32, on 8 or 16 frames."""
    return _x_clip(clip, num_classes, B32, text_encoder=text_encoder)


def xclip_b16(clip: Clip, num_classes: int, *, text_encoder: bool = False) -> SizedNetwork:
    """X-CLIP-B/16, on 8 or 16 frames, and on 32 for classes that it has not seen."""
    return _x_clip(clip, num_classes, B16, text_encoder=text_encoder)


def xclip_l14(clip: Clip, num_classes: int, *, text_encoder: bool = False) -> SizedNetwork:
    """X-CLIP-L/14, on 8 frames."""
    return _x_clip(clip, num_classes, L14, text_encoder=text_encoder)


def xclip_l14_336(clip: Clip, num_classes: int, *, text_encoder: bool = False) -> SizedNetwork:
    """X-CLIP-L/14 on 16 frames of 336×336."""
    return _x_clip(clip, num_classes, L14, side=336, text_encoder=text_encoder)
