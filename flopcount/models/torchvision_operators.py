"""Torchvision's compiled operators, declared by schema if its compiled part does not fit the installed torch."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable

import torch

__all__ = ["declare_missing_operators", "ready_torchvision"]

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
    """Import torchvision; if its compiled operators do not fit this torch, declare them first.

    The import of model definitions only needs the operators' schemas. timm and pytorchvideo import torchvision too.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            return  # another fault, which the library's users report
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        declare_missing_operators("torchvision", _OPERATORS)


def declare_missing_operators(namespace: str, schemas: Iterable[str]) -> None:
    """Define missing operators by schema; they have no kernels."""
    library = torch.library.Library(namespace, "FRAGMENT")
    for schema in schemas:
        if not hasattr(getattr(torch.ops, namespace), schema.partition("(")[0]):
            library.define(schema)
    _declared.append(library)
