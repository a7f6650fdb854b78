"""The precision in which a network runs, and how wide each tensor of a count is then.

A count is made in one dtype, usually float32; what another precision moves follows from the data: which storage is
cast, where, and how often. Integers, masks and float64 stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from ..core.dataflow import Role, Storage
from ..core.errors import InputError, UnknownNameError
from ..core.ops import CostedOp, Kind, TensorSpec
from ..core.result import Result
from ..facts.devices import Device

__all__ = [
    *(
        "PRECISIONS",
        "Cast",
        "Precision",
        "cast_of",
        "counted_dtype",
        "is_resized",
        "peaks_of",
        "precision_of",
        "weights_of",
        "width_of",
    ),
]


class Cast(Enum):
    """What autocast does with the inputs of an operator."""

    LOWER = "to half precision"
    FLOAT32 = "to float32"
    WIDEST = "to the widest of them"


@dataclass(frozen=True, slots=True)
class Precision:
    """A way to run a network.

    Arguments:
        name: as in `--dtype`.
        contraction: the datasheet peak of linear layers and matrix products.
        convolution: that of convolutions; torch runs those of float32 in TF32 where the device can.
        attention: that of fused attention, which stays in half precision where weights are narrower.
        width: bytes of a number of an activation.
        weight: bytes of a number of a parameter, as the kernel of a contraction reads it from memory.
        autocast: whether parameters are in float32 and autocast casts.
        quantized: bytes of a number of the weights of linear layers, where they are narrower than the others.
        as_counted: whether the count itself is in this dtype, so that every tensor is as wide as it was counted.
    """

    name: str
    contraction: str
    convolution: str
    attention: str
    width: float
    autocast: bool = False
    quantized: float | None = None
    as_counted: bool = False


PRECISIONS: dict[str, Precision] = {
    precision.name: precision
    for precision in (
        Precision("fp32", "fp32", "tf32", "fp32", 4),
        Precision("tf32", "tf32", "tf32", "tf32", 4),
        Precision("amp", "fp16", "fp16", "fp16", 2, autocast=True),
        Precision("amp_bf16", "bf16", "bf16", "bf16", 2, autocast=True),
        Precision("bf16", "bf16", "bf16", "bf16", 2),
        Precision("fp16", "fp16", "fp16", "fp16", 2),
        Precision("fp8", "fp8", "bf16", "bf16", 2, quantized=1),
        Precision("int8", "int8", "int8", "fp16", 2, quantized=1),
        Precision("w4a16", "fp16", "fp16", "fp16", 2, quantized=0.5),
    )
}
"""Precisions by name."""

_OF_DTYPE = {"float16": "fp16", "half": "fp16", "bfloat16": "bf16"}


def precision_of(name: str | None, dtype: str = "float32") -> Precision:
    """The precision of this name; by default that of a count in `dtype`.

    Raises:
        InputError: float64 is asked for, or the count is in it: nobody measured its time.
        UnknownNameError: there is no such precision.
    """
    if (dtype if name is None else name) == "float64":
        raise InputError("no time of float64", [("fix", f"choose a dtype: {', '.join(PRECISIONS)}")])
    if name is not None:
        name = str(name).removeprefix("torch.")  # a caller may give torch.bfloat16 itself
    name = _OF_DTYPE.get(dtype, "fp32") if name is None else _OF_DTYPE.get(name, name)
    name = "fp32" if name == "float32" else name
    if name not in PRECISIONS:
        raise UnknownNameError("dtype", name, PRECISIONS, f"choose {', '.join(PRECISIONS)}")
    precision = PRECISIONS[name]
    return replace(precision, as_counted=True) if _OF_DTYPE.get(dtype) == name else precision


_LOWER = (Kind.CONV, Kind.LINEAR, Kind.MATMUL, Kind.ATTENTION, Kind.RECURRENT)
_FLOAT32_KINDS = (Kind.SOFTMAX, Kind.CUMULATIVE)
_FLOAT32_NAMES = """layer_norm group_norm native_layer_norm native_group_norm rms_norm exp expm1 log log10 log2 log1p
pow rsqrt reciprocal cosh sinh tan acos asin norm linalg_vector_norm renorm prod sum cumsum cumprod dist cdist
cosine_similarity nll_loss cross_entropy mse_loss l1_loss smooth_l1_loss binary_cross_entropy_with_logits softplus
erfinv"""
_FLOAT32 = frozenset(f"aten.{name}" for name in _FLOAT32_NAMES.split())
"""Operators that autocast runs in float32 on a GPU: ATen/autocast_mode.h, AT_FORALL_FP32."""


def cast_of(costed: CostedOp) -> Cast:
    """What autocast on a GPU does with the inputs of an operator; gradients are as narrow as what they are of."""
    if costed.kind in _LOWER:
        return Cast.LOWER
    if costed.kind in _FLOAT32_KINDS or costed.name in _FLOAT32:
        return Cast.FLOAT32
    return Cast.WIDEST


_RESIZED = ("float32", "float16", "bfloat16")


def width_of(storage: Storage, precision: Precision) -> float:
    """Bytes of a number that exists before the forward pass: a parameter, a buffer or an input."""
    if storage.dtype not in _RESIZED or precision.as_counted:
        return TensorSpec((1,), storage.dtype).itemsize
    return 4 if precision.autocast else precision.width


def counted_dtype(result: Result) -> str:
    """The dtype that a result was counted in: of its input, or of its parameters where the input is whole numbers."""
    if TensorSpec((1,), result.input.dtype or "int64").is_floating or result.dataflow is None:
        return result.input.dtype or "float32"
    weights = (s.dtype for s in result.dataflow.storages if s.role in (Role.PARAMETER, Role.FROZEN))
    return next((dtype for dtype in weights if TensorSpec((1,), dtype).is_floating), "float32")


def is_resized(dtype: str) -> bool:
    """Whether numbers of a dtype are as wide as the precision says."""
    return dtype in _RESIZED


def weights_of(storages: Sequence[Storage]) -> list[bool]:
    """Whether each storage holds a parameter."""
    return [storage.role in (Role.PARAMETER, Role.FROZEN) for storage in storages]


def peaks_of(device: Device, precision: Precision) -> dict[str, float]:
    """FLOP/s by the name of a peak, for those that the precision uses.

    TF32 is float32 where the device has none, and a device whose vector rate is unknown is taken at its rate for
    contractions.

    Raises:
        InputError: a peak or the bandwidth is not in the device's row.
    """
    wanted = {precision.contraction, precision.convolution, precision.attention}
    peaks = {name: device.peak(name) for name in {*wanted, "fp32"}}
    if "tf32" in peaks and peaks["tf32"] is None:
        peaks["tf32"] = peaks["fp32"]
    if peaks["fp32"] is None:
        peaks["fp32"] = peaks[precision.contraction]
    missing = [f"the {name} peak" for name in sorted(wanted) if peaks[name] is None]
    missing += ["the memory bandwidth"] if device.bandwidth is None else []
    if missing:
        are = "are" if len(missing) > 1 else "is"
        known = ", ".join(device.peaks) or "none"
        raise InputError(
            f"no time of {precision.name} on {device.name}: {' and '.join(missing)} of it {are} not known",
            [
                ("known", f"peaks for {known}; bandwidth {'unknown' if device.bandwidth is None else 'known'}"),
                ("fix", "choose another dtype or device: see `flopcount devices`"),
            ],
        )
    return {name: peak for name, peak in peaks.items() if peak is not None}
