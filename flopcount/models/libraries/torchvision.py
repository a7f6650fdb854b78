"""Models of torchvision: images, clips, pairs of images for optical flow, and the backbones of detectors."""

from __future__ import annotations

from collections.abc import Iterable

from ...core.errors import InputError
from ...core.installation import Installation
from ...core.model_spec import ModelSpec
from ...core.protocol import Clip
from ..library import Library, LibraryModel, ready_library, require_model_name

__all__ = ["LIBRARY"]

FRAMES = 16  # the clip of a video network that does not say it; torchvision counts all of its own at 16
DETECTION_SIDE = 800  # pixels: detectors scale the shorter side of their input to it


def _model(spec: ModelSpec) -> LibraryModel:
    name, clip, num_classes, options = spec.name, spec.clip, spec.num_classes, dict(spec.options)
    models = ready_library(LIBRARY, "torchvision.models")
    name, dot, part = name.partition(".")
    require_model_name("torchvision", name, models.list_models(), "name a model as in torchvision.models.list_models()")
    builder = models.get_model_builder(name)
    kind = builder.__module__.split(".")[2]
    preset = models.get_model_weights(name).DEFAULT.transforms
    keywords = getattr(preset, "keywords", {})
    settings = {"weights": None, **({"weights_backbone": None} if kind == "segmentation" else {}), **options}
    if num_classes is not None:
        settings["num_classes"] = num_classes
    if kind == "detection" and not part:
        raise InputError(
            f"torchvision:{name} takes a list of images, and its detections decide what it computes",
            [("fix", f"count torchvision:{name}.backbone, or build it in a file of your own and give --input")],
        )
    if dot and (kind, part) != ("detection", "backbone"):
        raise InputError(f"torchvision:{name} has no part {part!r}", [("fix", "detectors have a .backbone")])
    if kind == "detection":
        settings["weights_backbone"] = None
        side = clip or Clip(1, DETECTION_SIDE, DETECTION_SIDE)
        return LibraryModel(lambda: models.get_model(name, **settings).backbone, ((3, side.height, side.width),))
    if kind == "video":
        own = Clip(FRAMES, *keywords["crop_size"])
        clip = clip or own
        if name.startswith("mvit") and clip.sizes != own.sizes:  # its builder sizes positions for one clip
            fix = f"give --clip {own.frames}x{own.height}x{own.width}, or choose one of `flopcount list`"
            raise InputError(f"torchvision:{name} takes no clip other than {own}", [("seen", str(clip)), ("fix", fix)])
        return LibraryModel(lambda: models.get_model(name, **settings), ((3, *clip.sizes),), clip)
    side = keywords.get("crop_size", keywords.get("resize_size", 520))
    height, width = (clip.height, clip.width) if clip else (side, side) if isinstance(side, int) else side[-2:]
    if name.startswith("vit_") and height == width:
        settings.setdefault("image_size", height)  # its builder sizes the positions
    images = 2 if kind == "optical_flow" else 1  # RAFT takes a pair
    return LibraryModel(lambda: models.get_model(name, **settings), ((3, height, width),) * images)


def _model_names() -> Iterable[str]:
    """Names of models; detectors as backbones, since the computation of a whole detector depends on its detections."""
    models = ready_library(LIBRARY, "torchvision.models")
    for name in models.list_models():
        kind = models.get_model_builder(name).__module__.split(".")[2]
        yield f"{name}.backbone" if kind == "detection" else name


LIBRARY = Library("torchvision", Installation("libraries", ("torchvision>=0.21",)), _model, _model_names)
