"""How a network runs: on which device, in which precision, compiled or not, and in which layout."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from ..facts.devices import Device, find_device
from .precision import Precision, peaks_of, precision_of

__all__ = ["LAYOUTS", "Conditions", "mode_word", "require_switch", "way_to_run"]

LAYOUTS = ("nchw", "nhwc")


def require_switch(compile: bool) -> None:
    """Refuse a `compile` such as "no", which compares as neither True nor False.

    Raises:
        InputError: it is neither.
    """
    if not isinstance(compile, bool):
        raise InputError(f"compile is {compile!r}", [("fix", "give True or False")])


def mode_word(compiled: bool) -> str:
    """What torch does with a network: "eager", or "compiled"."""
    return "compiled" if compiled else "eager"


def way_to_run(dtype: str, compiled: bool, layout: str) -> str:
    """In words: "amp, eager, nchw"."""
    return f"{dtype}, {mode_word(compiled)}, {layout}"


@dataclass(frozen=True, slots=True)
class Conditions(OneLine):
    """A device and a way to run on it.

    Arguments:
        device: one device as torch shows it.
        precision: the dtype, or autocast.
        compiled: whether torch.compile fuses.
        layout: "nchw", or "nhwc" for channels last.
        training: a training step instead of a forward pass.
    """

    device: Device
    precision: Precision
    compiled: bool = False
    layout: str = "nchw"
    training: bool = False

    @classmethod
    def of(
        cls,
        on: str | Device,
        dtype: str | None = None,
        compile: bool = False,
        layout: str = "nchw",
        *,
        counted: str = "float32",
        training: bool = False,
    ) -> Conditions:
        """Parsed; `counted` is the dtype of the count, which is the default.

        Raises:
            InputError, UnknownNameError: no such device, dtype or layout; or `compile` is neither True nor False.
        """
        if layout not in LAYOUTS:
            raise UnknownNameError("layout", layout, LAYOUTS, f"choose {' or '.join(LAYOUTS)}")
        require_switch(compile)
        device = on if isinstance(on, Device) else find_device(on)
        return cls(device.one_torch_device, precision_of(dtype, counted), compile, layout, training)

    @property
    def cpu(self) -> bool:
        """Whether it is a CPU."""
        return self.device.kind == "cpu"

    def require_peaks(self) -> None:
        """Refuse a precision that the datasheet says too little for, before long work.

        Raises:
            InputError: a peak or the bandwidth is not known.
        """
        peaks_of(self.device, self.precision)

    def __str__(self) -> str:
        way = way_to_run(self.precision.name, self.compiled, self.layout)
        return f"{self.device.name}, {way}" + ", training" * self.training

    def _headline(self) -> str:
        return str(self)
