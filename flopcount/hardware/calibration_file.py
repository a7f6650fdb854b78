"""A calibration as data: what was measured on a machine, and the constants that follow; read from its file and written.

Nothing here imports torch, so that `--on here` is refused or understood before anything is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from .._version import __version__
from ..core.errors import InputError
from ..core.one_line import OneLine
from ..facts.devices import PEAK_DTYPES, Device
from .conditions import LAYOUTS, way_to_run
from .constants import Basis, ConstantSet, Errors, Table, constants_table
from .kernels import Family
from .machine import Machine
from .precision import PRECISIONS
from .time_model import CONSTANTS, Constants

__all__ = ["HERE", "SCHEMA", "BenchmarkRow", "Calibration", "NetworkRow", "read_calibration"]

HERE = "here"
"""The name of the calibrated device."""

SCHEMA = "flopcount-calibration/1"
T = TypeVar("T")
_FIX = ("fix", "run `flopcount calibrate` again")


@dataclass(frozen=True, slots=True)
class BenchmarkRow(OneLine):
    """A micro-benchmark: seconds of one pass, its FLOPs (2 per MAC), and the bytes that it moves."""

    name: str
    seconds: float
    flops: float
    bytes: float


@dataclass(frozen=True, slots=True)
class NetworkRow(OneLine):
    """A network: seconds of one pass (median and quartiles), and those predicted by constants without its family."""

    name: str
    family: str
    shapes: tuple[tuple[int, ...], ...]
    macs: int
    measured_s: float
    low_s: float
    high_s: float
    predicted_s: float


@dataclass(frozen=True, slots=True)
class CalibratedSet(ConstantSet):
    """Constants of a calibration; `measured_on` says in words where and when."""

    measured_on: str = ""

    @property
    def words(self) -> str:
        """What was measured."""
        way = way_to_run(self.dtype, self.compiled, self.layout)
        return f"{self.errors.count} small networks of {self.errors.families} families on {self.measured_on} ({way})"


@dataclass(frozen=True, slots=True)
class Calibration(OneLine):
    """What a machine reaches, and the constants that predict its times as fractions of that.

    Arguments:
        machine: what was measured, by its own name.
        dtype: the precision, as in `--dtype`.
        compiled: whether torch.compile ran the networks.
        layout: "nchw" or "nhwc".
        peaks: the fastest contraction of each dtype, in FLOP/s.
        bandwidth: the fastest copy, in bytes read and written per second.
        memory: bytes of the device, or None.
        constants: what times are predicted by.
        prior: the same by micro-benchmarks alone.
        errors: of networks whose family was left out.
        benchmarks: what the prior rests on.
        networks: what the constants rest on.
        unseen: families of kernel that no network had, by their names.
        made_by: the version of flopcount.
    """

    machine: Machine
    dtype: str
    compiled: bool
    layout: str
    peaks: Mapping[str, float] = field(hash=False)
    bandwidth: float
    memory: float | None
    constants: Constants
    prior: Constants
    errors: Errors
    benchmarks: tuple[BenchmarkRow, ...]
    networks: tuple[NetworkRow, ...]
    unseen: tuple[str, ...] = ()
    made_by: str = f"flopcount {__version__}"

    @property
    def mode(self) -> str:
        """How the networks ran, in words."""
        return way_to_run(self.dtype, self.compiled, self.layout)

    @property
    def device(self) -> Device:
        """The machine as a device, whose datasheet is what was measured; nobody knows its power."""
        half = any(dtype in self.peaks for dtype in ("fp16", "bf16"))
        return Device(
            name=HERE,
            maker="",
            kind=self.machine.kind,
            year=int(self.machine.day[:4]),
            peaks=dict(self.peaks),
            memory=self.memory,
            bandwidth=self.bandwidth,
            tdp=None,
            sustained=None,
            torch_devices=1,
            source=f"measured by flopcount calibrate on {self.machine.day}",
            notes=f"{self.machine}; peaks and bandwidth are the fastest contraction and copy that were measured",
            unusual="",
            time_fp32="fp32" in self.peaks,
            time_fp16=half,
            energy=False,
        )

    @property
    def table(self) -> Table:
        """The constants as a table with this one set: nothing else stands in for the machine."""
        committed = constants_table()
        row = CalibratedSet(
            device=HERE,
            dtype=self.dtype,
            compiled=self.compiled,
            layout=self.layout,
            training=False,
            torch="pt" + "".join(filter(str.isdigit, self.machine.torch.partition("+")[0])),
            constants=self.constants,
            errors=self.errors,
            source="flopcount calibrate",
            basis=Basis.CALIBRATED,
            measured_on=f"{self.machine}, {self.machine.day}",
        )
        widened = {family: committed.widened[family] for family in self.unseen if family in committed.widened}
        return Table((row,), (), committed.roofline, committed.transfers, widened)

    def mismatches(self, machine: Machine) -> Iterator[str]:
        """In what this was made otherwise than something ran: the device, its threads, torch."""
        then, now = self.machine, machine
        if then.name != now.name:
            yield f"the calibration is of {then.name}, and this ran on {now.name}"
        if now.kind == "cpu" and then.threads != now.threads:
            threads = f"{then.threads} thread{'s' * (then.threads > 1)}"
            fix = f"give --threads {then.threads}, or calibrate again"
            yield f"the calibration is of {threads}, and this ran with {now.threads}: {fix}"
        if then.torch != now.torch:
            yield f"the calibration is of torch {then.torch}, and this ran with {now.torch}"

    def data(self) -> dict[str, Any]:
        """Plain data, as the file has them."""
        return {
            "schema": SCHEMA,
            "made_by": self.made_by,
            "device": {
                "name": HERE,
                **{_NAMES.get(name, name): value for name, value in asdict(self.machine).items()},
                "peaks": dict(self.peaks),
                "bandwidth": self.bandwidth,
                "memory": self.memory,
            },
            "conditions": {"dtype": self.dtype, "compiled": self.compiled, "layout": self.layout},
            "constants": self.constants.named(),
            "prior": self.prior.named(),
            "errors": asdict(self.errors),
            "benchmarks": [asdict(row) for row in self.benchmarks],
            "networks": [asdict(row) | {"shapes": [list(shape) for shape in row.shapes]} for row in self.networks],
            "unseen": list(self.unseen),
        }

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(self.data(), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Calibration:
        """From plain data.

        Raises:
            KeyError, TypeError, ValueError, InputError: they are no calibration.
        """
        device, conditions = data["device"], data["conditions"]
        networks = (NetworkRow(**{**row, "shapes": tuple(map(tuple, row["shapes"]))}) for row in data["networks"])
        unseen = tuple(Family(name).value for name in data["unseen"])
        peaks = {dtype: _positive(device["peaks"][dtype]) for dtype in PEAK_DTYPES if dtype in device["peaks"]}
        return cls(
            _machine(device),
            _one_of(PRECISIONS, conditions["dtype"]),
            _one_of((False, True), conditions["compiled"]),
            _one_of(LAYOUTS, conditions["layout"]),
            peaks,
            _positive(device["bandwidth"]),
            None if device["memory"] is None else _positive(device["memory"]),
            _constants(data["constants"]),
            _constants(data["prior"]),
            _errors(data["errors"]),
            tuple(BenchmarkRow(**row) for row in data["benchmarks"]),
            tuple(networks),
            unseen,
            str(data["made_by"]),
        )


_NAMES = {"name": "machine"}  # "name" is what --on calls it


_SMALLEST, _LARGEST = 1e-30, 1e30
"""No size of a machine lies beyond, in units of the file; sums of what does would not be numbers."""


def _machine(named: Mapping[str, Any]) -> Machine:
    kind = _one_of(("cpu", "gpu"), named["kind"])
    texts = {name: named[_NAMES.get(name, name)] for name in ("name", "torch", "day")}
    for name, text in texts.items():
        if not isinstance(text, str) or not text:
            raise ValueError(f"{_NAMES.get(name, name)} is {text!r}, no text")
    if not any(map(str.isdigit, texts["torch"].partition("+")[0])):
        raise ValueError(f"torch is {texts['torch']!r}, no version")
    date.fromisoformat(texts["day"])
    return Machine(kind=kind, threads=_whole("threads", named["threads"], 1), **texts)


def _errors(named: Mapping[str, Any]) -> Errors:
    errors = Errors(**named)
    _whole("count", errors.count, 0)
    _whole("families", errors.families, 0)
    for name in ("median", "mean", "rank", "low", "high"):
        value = getattr(errors, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _FARTHEST:
            raise ValueError(f"{name} is {value!r}")
    return errors


_FARTHEST = 50.0  # e to the power of it is beyond any ratio of two times


def _one_of(names: Iterable[T], value: Any) -> T:
    for name in names:
        if type(name) is type(value) and name == value:
            return name
    raise ValueError(f"{value!r} is none of {', '.join(map(str, names))}")


def _whole(name: str, value: Any, least: int) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}")
    return value


def _positive(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _SMALLEST < value < _LARGEST:
        raise ValueError(f"{value!r} is not above 0, or beyond what any machine has")
    return float(value)


def _constants(named: Mapping[str, float]) -> Constants:
    """Constants by name.

    Raises:
        InputError: they are those of another time model.
    """
    if set(named) != set(CONSTANTS):
        raise InputError("its constants are those of another version of flopcount", [_FIX])
    return Constants(tuple(_positive(named[name]) for name in CONSTANTS))


def read_calibration(path: Path) -> Calibration:
    """A calibration from its file.

    Raises:
        InputError: there is no such file, or it is no calibration, or one of another version.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"this machine is not calibrated: there is no {path}",
            [("fix", f"run `flopcount calibrate -o {path}` first")],
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read the calibration {path}: {error}", [_FIX]) from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        seen = f"schema {schema}" if schema else "no schema"
        raise InputError(f"{path} is no calibration", [("seen", f"{seen}, not {SCHEMA}"), _FIX])
    try:
        return Calibration.of(data)
    except InputError as error:
        raise InputError(f"{path} cannot be used: {error.message}", [_FIX]) from None
    except (KeyError, TypeError, ValueError) as error:
        why = f"lacks {error}" if isinstance(error, KeyError) else f"has a wrong value: {error}"
        raise InputError(f"{path} is no calibration: it {why}", [_FIX]) from None
