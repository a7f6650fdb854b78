"""Models of installed libraries by prefix: torchvision:, pytorchvideo:, timm: and transformers:.

What enters is a name such as "timm:resnet50"; what leaves is the model as that library builds it without weights, with
the input it expects. The libraries are optional and imported only when named.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ...core.errors import FlopcountError, InputError, UnknownNameError
from ...core.protocol import Clip
from ..recipe import Recipe
from .transformers_configurations import configuration_of
from .transformers_inputs import inputs_of

__all__ = ["HUB_MODELS", "LIBRARIES", "library_model", "ready_library", "ready_torchvision", "transformers_library"]

FRAMES = 16  # a video network that does not say how many it takes: torchvision counts all of its own at 16
DETECTED = 800  # pixels: detectors scale the shorter side of what they are given to it


@dataclass(frozen=True, slots=True)
class Found:
    """A library's model: how to build it, and what it takes without the batch."""

    build: Callable[[], nn.Module]
    inputs: Any
    clip: Clip | None = None


def library_model(
    library: str, name: str, clip: Clip | None, num_classes: int | None, options: dict[str, Any]
) -> Callable[[], nn.Module]:
    """A callable that builds the model; everything that can be missing or unknown is found out now.

    Arguments:
        library: one of LIBRARIES.
        name: as the library names it.
        clip: T×H×W of the input where the model takes one; of an image network H×W count.
        num_classes: of the last layer.
        options: further arguments of the library's own builder or configuration.

    Raises:
        InputError: the library is not installed, or broken, or cannot build the model with these options.
        UnknownNameError: no such model, with near names.
    """
    found = LIBRARIES[library](name, clip, num_classes, options)

    def build() -> nn.Module:
        try:
            module = found.build()
        except FlopcountError:
            raise
        except Exception as error:  # a library may raise anything over an option it does not like
            raise InputError(f"{library}:{name} raised {_said(error)}", [("given", _listed(options))]) from error
        module.recipe = Recipe(f"{library}:{name}", found.clip, 1, (), found.inputs)  # type: ignore[assignment]
        return module

    return build


def ready_library(library: str, module: str) -> ModuleType:
    """A module of an installed library, whether or not the installed torchvision fits the installed torch.

    Raises:
        InputError: it is not installed, or raised when it was imported.
    """
    ready_torchvision()
    return _imported(library, module)


def _imported(library: str, module: str | None = None) -> ModuleType:
    with _told(library):
        return importlib.import_module(module or library)


@contextmanager
def _told(library: str) -> Iterator[None]:
    """Says why a library cannot be had."""
    try:
        yield
    except Exception as error:  # a library that does not fit the installed torch may raise anything
        if isinstance(error, ModuleNotFoundError) and error.name is not None:
            text = "is not installed" if error.name == library else f"needs {error.name}, which is missing"
            raise InputError(f"{library} {text}", [("fix", f"pip install {error.name}")]) from error
        raise InputError(
            f"importing {library} raised {_said(error)}",
            [("fix", f"install a {library} that fits torch {torch.__version__}")],
        ) from error


def _said(error: Exception) -> str:
    """An exception's kind and what it says: the first line, and the second where the first only leads up to it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    return f"{type(error).__name__}: {' '.join(lines[: 1 + lines[0].endswith(':')])}"


def _listed(options: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items()) or "no options"


def _known(library: str, name: str, names: Iterable[str], fix: str) -> None:
    names = list(names)
    if name not in names:
        raise UnknownNameError(f"{library} model", name, names, fix)


# torchvision

_ROI = "SymInt pooled_height, SymInt pooled_width"
_GRID = "SymInt batch_size, SymInt channels, SymInt height, SymInt width"
_DEFORM = (
    "Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, SymInt pad_h, "
    "SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask"
)
_BOXES = "Tensor rois, float spatial_scale"
_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    f"roi_align(Tensor input, {_BOXES}, {_ROI}, int sampling_ratio, bool aligned) -> Tensor",
    f"roi_pool(Tensor input, {_BOXES}, {_ROI}) -> (Tensor, Tensor)",
    f"ps_roi_align(Tensor input, {_BOXES}, {_ROI}, int sampling_ratio) -> (Tensor, Tensor)",
    f"ps_roi_pool(Tensor input, {_BOXES}, {_ROI}) -> (Tensor, Tensor)",
    f"deform_conv2d(Tensor input, {_DEFORM}) -> Tensor",
    f"_roi_align_backward(Tensor grad, {_BOXES}, {_ROI}, {_GRID}, int sampling_ratio, bool aligned) -> Tensor",
    f"_roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, float spatial_scale, {_ROI}, {_GRID}) -> Tensor",
    f"_ps_roi_align_backward(Tensor grad, Tensor rois, Tensor channel_mapping, float spatial_scale, {_ROI}, "
    f"int sampling_ratio, {_GRID}) -> Tensor",
    f"_ps_roi_pool_backward(Tensor grad, Tensor rois, Tensor channel_mapping, float spatial_scale, {_ROI}, {_GRID}) "
    "-> Tensor",
    f"_deform_conv2d_backward(Tensor grad, Tensor input, {_DEFORM}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
"""Schemas as torchvision 0.28 registers them in C++: https://github.com/pytorch/vision/tree/v0.28.0/torchvision/csrc/ops"""

_declared: list[torch.library.Library] = []  # the operators live as long as the object that defined them


def ready_torchvision() -> None:
    """Import torchvision; where its compiled operators do not fit this torch, declare them first.

    Model definitions need the operators' schemas alone, to be imported. timm and pytorchvideo import torchvision too.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            return  # another fault, told by whoever needs it
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        declare_missing_operators("torchvision", _OPERATORS)


def declare_missing_operators(namespace: str, schemas: Iterable[str]) -> None:
    """Define operators by schema where nobody has; they have no kernels."""
    library = torch.library.Library(namespace, "FRAGMENT")
    for schema in schemas:
        if not hasattr(getattr(torch.ops, namespace), schema.partition("(")[0]):
            library.define(schema)
    _declared.append(library)


def _torchvision(name: str, clip: Clip | None, num_classes: int | None, options: dict[str, Any]) -> Found:
    models = ready_library("torchvision", "torchvision.models")
    name, dot, part = name.partition(".")
    _known("torchvision", name, models.list_models(), "name a model as in torchvision.models.list_models()")
    builder = models.get_model_builder(name)
    kind = builder.__module__.split(".")[2]
    preset = models.get_model_weights(name).DEFAULT.transforms
    keywords = getattr(preset, "keywords", {})
    settings = {"weights": None, **({"weights_backbone": None} if kind == "segmentation" else {}), **options}
    if num_classes is not None:
        settings["num_classes"] = num_classes
    if kind == "detection" and not part:
        raise InputError(
            f"torchvision:{name} takes a list of images, and what it finds decides what it computes",
            [("fix", f"count torchvision:{name}.backbone, or build it in a file of your own and give --input")],
        )
    if dot and (kind, part) != ("detection", "backbone"):
        raise InputError(f"torchvision:{name} has no part {part!r}", [("fix", "detectors have a .backbone")])
    if kind == "detection":
        settings["weights_backbone"] = None
        side = clip or Clip(1, DETECTED, DETECTED)
        return Found(lambda: models.get_model(name, **settings).backbone, ((3, side.height, side.width),))
    if kind == "video":
        own = Clip(FRAMES, *keywords["crop_size"])
        clip = clip or own
        if name.startswith("mvit") and clip.sizes != own.sizes:  # its positions are sized by its builder, for one clip
            fix = f"give --clip {own.frames}x{own.height}x{own.width}, or choose one of `flopcount list`"
            raise InputError(f"torchvision:{name} takes no clip but {own}", [("seen", str(clip)), ("fix", fix)])
        return Found(lambda: models.get_model(name, **settings), ((3, *clip.sizes),), clip)
    side = keywords.get("crop_size", keywords.get("resize_size", 520))
    height, width = (clip.height, clip.width) if clip else (side, side) if isinstance(side, int) else side[-2:]
    if name.startswith("vit_") and height == width:
        settings.setdefault("image_size", height)  # its positions are sized by its builder
    images = 2 if kind == "optical_flow" else 1  # RAFT takes a pair
    return Found(lambda: models.get_model(name, **settings), ((3, height, width),) * images)


# pytorchvideo: the clips of its model zoo, https://github.com/facebookresearch/pytorchvideo/blob/main/docs/source/model_zoo.md

HUB_MODELS = {
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
_SLOW_EVERY = 4  # SlowFast's alpha: the slow pathway sees every fourth frame


def _pytorchvideo(name: str, clip: Clip | None, num_classes: int | None, options: dict[str, Any]) -> Found:
    hub = ready_library("pytorchvideo", "pytorchvideo.models.hub")
    _known("pytorchvideo", name, [known for known in HUB_MODELS if hasattr(hub, known)], "see pytorchvideo.models.hub")
    frames, side = HUB_MODELS[name]
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
            f"pytorchvideo:{name} takes boxes beside its clip",
            [("fix", "build it in a file of your own and give its inputs with --input")],
        )
    return Found(lambda: getattr(hub, name)(**settings), inputs, clip)


# timm


def _timm(name: str, clip: Clip | None, num_classes: int | None, options: dict[str, Any]) -> Found:
    timm = ready_library("timm", "timm")
    _known("timm", name, timm.list_models(), "name a model as in timm.list_models()")
    settings = {"pretrained": False, **options}
    if num_classes is not None:
        settings["num_classes"] = num_classes
    shape = tuple(timm.models.get_pretrained_cfg(name).input_size)
    if clip is not None and (clip.height, clip.width) != shape[1:]:
        shape = (shape[0], clip.height, clip.width)
        settings.setdefault("img_size", shape[1:])  # transformers are built for a size, convolutions take any

    def build() -> nn.Module:
        module: nn.Module
        try:
            module = timm.create_model(name, **settings)
        except TypeError:
            if "img_size" not in settings or "img_size" in options:
                raise
            module = timm.create_model(name, **{key: value for key, value in settings.items() if key != "img_size"})
        return module

    return Found(build, (shape,))


# transformers


def transformers_library() -> ModuleType:
    """The library `transformers`, ready for its vision models.

    Raises:
        InputError: it is not installed, or does not fit.
    """
    return ready_library("transformers", "transformers")


_MODEL_ENDINGS = ("Model", "Backbone", "Decoder", "LMHead")


def _transformers(name: str, clip: Clip | None, num_classes: int | None, options: dict[str, Any]) -> Found:
    transformers = transformers_library()
    classes = [known for known in dir(transformers) if "For" in known or known.endswith(_MODEL_ENDINGS)]
    _known("transformers", name, classes, "name a model class such as VivitForVideoClassification")
    with _told("transformers"):  # its modules are imported when first asked for
        model_class = getattr(transformers, name)
    if getattr(model_class, "config_class", None) is None:
        raise InputError(f"transformers:{name} is no model with a configuration", [("seen", str(model_class))])
    try:
        config = model_class.config_class()
    except Exception as error:
        raise InputError(f"transformers:{name} has no default configuration: {_said(error)}") from error
    for key in options:
        part, _, field = key.rpartition(".")
        owner = attrgetter(part)(config) if part and hasattr(config, part.partition(".")[0]) else config
        if not hasattr(owner, field):
            before = key.removesuffix(field)
            known = [f"{before}{field}" for field in vars(owner) if not field.startswith("_")]
            raise UnknownNameError(f"option of transformers:{name}", key, known, "name a field of its configuration")
    try:
        config = configuration_of(model_class, options)
    except Exception as error:  # it validates its fields, and raises what it likes
        text = f"transformers:{name} cannot be configured: {_said(error)}"
        raise InputError(text, [("given", _listed(options))]) from error
    if num_classes is not None:
        config.num_labels = num_classes
    inputs, given = inputs_of(model_class, config, clip)
    return Found(lambda: model_class(config), inputs, given)


LIBRARIES: dict[str, Callable[[str, Clip | None, int | None, dict[str, Any]], Found]] = {
    "torchvision": _torchvision,
    "pytorchvideo": _pytorchvideo,
    "timm": _timm,
    "transformers": _transformers,
}
"""Prefix -> how that library's models are found."""
