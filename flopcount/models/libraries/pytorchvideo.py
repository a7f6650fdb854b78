"""Models of pytorchvideo's hub, at the clips of its model zoo."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...core.errors import InputError
from ...core.installation import Installation
from ...core.model_spec import ModelSpec
from ...core.protocol import Clip
from ..library import Library, LibraryModel, ready_library, require_model_name

__all__ = ["LIBRARY"]

_HUB_CLIPS = {
    "c2d_r50": (8, 256),
    "i3d_r50": (8, 256),
    "slow_r50": (8, 256),
    "slow_r50_detection": (4, 256),
    "slowfast_r50": (32, 256),
    "slowfast_r50_detection": (32, 256),
    "slowfast_r101": (32, 256),
    "slowfast_16x8_r101_50_50": (64, 256),
    "csn_r101": (32, 256),
    "r2plus1d_r50": (16, 256),
    "x3d_xs": (4, 182),
    "x3d_s": (13, 182),
    "x3d_m": (16, 256),
    "x3d_l": (16, 356),
    "mvit_base_16": (1, 224),
    "mvit_base_16x4": (16, 224),
    "mvit_base_32x3": (32, 224),
    "efficient_x3d_xs": (4, 182),
    "efficient_x3d_s": (13, 182),
}
"""Name -> frames and side of its clip: https://github.com/facebookresearch/pytorchvideo/blob/main/docs/source/model_zoo.md"""

_SLOW_EVERY = 4  # SlowFast's alpha: the slow pathway sees every fourth frame


def _model(spec: ModelSpec) -> LibraryModel:
    name, clip, num_classes, options = spec.name, spec.clip, spec.num_classes, dict(spec.options)
    hub = ready_library(LIBRARY, "pytorchvideo.models.hub")
    require_model_name("pytorchvideo", name, _model_names(), "see pytorchvideo.models.hub")
    frames, side = _HUB_CLIPS[name]
    clip = clip or Clip(frames, side, side)
    settings = {"pretrained": False, **options}
    if num_classes is not None:
        settings["head_num_classes" if name.startswith("mvit") else "model_num_class"] = num_classes
    fast = (3, *clip.sizes)
    inputs: Any = (fast,)
    if name.startswith("slowfast"):
        inputs = ([(3, clip.frames // _SLOW_EVERY, clip.height, clip.width), fast],)
    elif name == "mvit_base_16":
        inputs = ((3, clip.height, clip.width),)
    if name.endswith("_detection"):
        raise InputError(
            f"pytorchvideo:{name} takes boxes besides its clip",
            [("fix", "build it in a file of your own and give its inputs with --input")],
        )
    return LibraryModel(lambda: getattr(hub, name)(**settings), inputs, clip)


def _model_names() -> Iterable[str]:
    hub = ready_library(LIBRARY, "pytorchvideo.models.hub")
    return [name for name in _HUB_CLIPS if hasattr(hub, name)]


LIBRARY = Library("pytorchvideo", Installation("libraries", ("pytorchvideo>=0.1.5",)), _model, _model_names)
