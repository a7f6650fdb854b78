"""The constants that a time is estimated by: which ones, on what basis, and how far off they are.

time_constants.json is made from the measured rows by `reports/time_constants.py` and is never edited. It has a set per
device and way to run, the medians of several devices as fractions of their datasheets, and one constant for devices
that nobody measured anything like.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from ..core.one_line import OneLine
from ..facts.attention_rates import chip_of, sustained_attention
from .conditions import Conditions, mode_word
from .kernels import Family
from .time_model import CONSTANTS, Constants

__all__ = ["Basis", "Choice", "ConstantSet", "Errors", "Table", "choose", "constants_table"]


class Basis(StrEnum):
    """What an estimate rests on."""

    FITTED = "fitted"
    ZERO_SHOT = "zero-shot"
    CALIBRATED = "calibrated"
    ROOFLINE = "roofline only"


@dataclass(frozen=True, slots=True)
class Errors:
    """How wrong a set is on families that it was not fitted on.

    `low` and `high` are the 10th and the 90th percentile of the logarithm of measured over predicted.
    """

    count: int
    families: int
    median: float
    mean: float
    rank: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ConstantSet(OneLine):
    """Constants of one device and one way to run, and the rows that they were made of."""

    device: str
    dtype: str
    compiled: bool
    layout: str
    training: bool
    torch: str
    constants: Constants
    errors: Errors
    source: str
    dropped: int = 0
    basis: Basis = Basis.FITTED

    @property
    def words(self) -> str:
        """The rows in words."""
        mode = mode_word(self.compiled) + ", training" * self.training
        return (
            f"{self.errors.count} networks of {self.errors.families} families measured on {self.device} "
            f"({self.dtype}, {mode}, {self.layout}, torch {self.torch})"
        )


@dataclass(frozen=True, slots=True)
class Pooled(OneLine):
    """Constants as fractions of the datasheet, medians over devices; errors of a device that is left out."""

    kind: str
    compiled: bool
    layout: str
    training: bool
    devices: tuple[str, ...]
    constants: Constants
    errors: Errors


@dataclass(frozen=True, slots=True)
class Scale:
    """A factor on the arithmetic of attention, from published times of generators of video on a chip.

    Nearly all of their time is attention over long sequences, which image networks say little about.

    Arguments:
        chip: the chip's device, as `facts.attention_rates.chip_of` has it.
        factor: measured over predicted.
        rows: published times.
        models: distinct networks in them.
        low: tenth percentile of the logarithm of measured over predicted, of networks that are left out.
        high: the ninetieth.
    """

    chip: str
    factor: float
    rows: int
    models: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Table(OneLine):
    """All that was fitted.

    `roofline` is the one constant on the datasheet, `transfers` how much wider (in logarithms) a range is if constants
    of another dtype, layout or mode stand in, and `widened` by family (lower, upper) how far a family that the fit
    knows little of may be off. `scales` are of chips that whole networks were published on.
    """

    sets: tuple[ConstantSet, ...]
    pooled: tuple[Pooled, ...]
    roofline: Pooled
    transfers: Mapping[str, float] = field(hash=False)
    widened: Mapping[str, tuple[float, float]] = field(hash=False)
    scales: tuple[Scale, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice(OneLine):
    """Constants for certain conditions, on which basis, and the logarithms that the range lies between."""

    constants: Constants
    basis: Basis
    words: str
    low: float
    high: float
    widened: Mapping[str, tuple[float, float]] = field(hash=False)


@cache
def constants_table() -> Table:
    """What is committed."""
    data = json.loads(files(__package__).joinpath("time_constants.json").read_text(encoding="utf-8"))
    return table_of(data)


def table_of(data: Mapping[str, Any]) -> Table:
    """The table of plain data, as the file has it."""
    return Table(
        tuple(
            ConstantSet(
                **{name: row[name] for name in ("device", "dtype", "compiled", "layout", "training", "torch")},
                constants=_constants(row["constants"]),
                errors=Errors(**row["errors"]),
                source=row["source"],
                dropped=row["dropped"],
            )
            for row in data["sets"]
        ),
        tuple(map(_pooled, data["pooled"])),
        _pooled(data["roofline"]),
        data["transfers"],
        {family: (low, high) for family, (low, high) in data["widened"].items()},
        tuple(Scale(**row) for row in data["scales"]),
    )


def _constants(named: Mapping[str, float]) -> Constants:
    return Constants(tuple(named[name] for name in CONSTANTS))


def _pooled(row: Mapping[str, Any]) -> Pooled:
    return Pooled(
        row["kind"],
        row["compiled"],
        row["layout"],
        row["training"],
        tuple(row["devices"]),
        _constants(row["constants"]),
        Errors(**row["errors"]),
    )


def choose(conditions: Conditions, table: Table | None = None) -> Choice:
    """The best constants for these conditions: of the device itself, else of others, else the roofline."""
    table = constants_table() if table is None else table
    own = [
        (_away(conditions, row), -_version(row.torch), row)
        for row in table.sets
        if row.device == conditions.device.name and row.training == conditions.training
    ]
    near = sorted((entry for entry in own if entry[0] is not None), key=lambda entry: (len(entry[0] or ()), entry[1]))
    if near:
        away, _, row = near[0]
        assert away is not None
        words = f"{row.basis} on this device: {row.words}"
        if away:
            words += f"; {' and '.join(away)} not measured there{_consequence(table, away)}"
        low, high = _wider(row.errors, _spread(table, away))
        return Choice(row.constants, row.basis, words, low, high, table.widened)
    return _of_others(conditions, table)


_HALVES = ("amp", "amp_bf16", "bf16", "fp16")


def _class_of(precision: str) -> str:
    """Precisions that may stand in for each other: half, single, or quantized in its own way."""
    return "half" if precision in _HALVES else "single" if precision in ("fp32", "tf32") else precision


def _away(conditions: Conditions, row: ConstantSet) -> tuple[str, ...] | None:
    """In what a set differs from the conditions; None where it cannot stand in."""
    name = conditions.precision.name
    if row.compiled != conditions.compiled or _class_of(row.dtype) != _class_of(name):
        return None
    differs = {"dtype": row.dtype != name, "layout": row.layout != conditions.layout}
    return tuple(what for what, is_so in differs.items() if is_so)


def _version(torch: str) -> int:
    """pt291 -> 291, pt113 -> 113: three digits sort as versions do within a major version, and 1.x is older."""
    digits = torch.removeprefix("pt")
    return int(digits)


def _of_others(conditions: Conditions, table: Table) -> Choice:
    kind = "cpu" if conditions.cpu else "gpu"
    alike = [row for row in table.pooled if row.kind == kind] if _like_measured(conditions) else []
    if not alike:
        row = table.roofline
        words = "roofline only: nothing like this device was measured; one constant on its datasheet"
        return Choice(row.constants, Basis.ROOFLINE, words, row.errors.low, row.errors.high, table.widened)

    def away(row: Pooled) -> tuple[str, ...]:
        name = conditions.precision.name
        differs = {
            "mode": row.compiled != conditions.compiled,
            "training": row.training != conditions.training,
            "layout": row.layout != conditions.layout,
            "precision": kind == "gpu" and name not in _HALVES,
        }
        return tuple(what for what, is_so in differs.items() if is_so)

    weight = {"training": 8, "mode": 4, "precision": 0, "layout": 1}
    row = min(alike, key=lambda row: sum(weight[what] for what in away(row)))
    constants = _at_sustained(row.constants, conditions)
    scale = _scale(conditions, table)
    words = f"zero-shot: constants of {_list(row.devices)} as fractions of the datasheet"
    if away(row):
        words += f"; {' and '.join(away(row))} not measured on any{_consequence(table, away(row))}"
    low, high = _wider(row.errors, _spread(table, away(row)))
    if scale is not None:
        constants = _scaled(constants, scale.factor)
        words += (
            f"; attention times {scale.factor:.2f}, as {scale.rows} published times of {scale.models} "
            f"network{'s' * (scale.models > 1)} on this chip say"
        )
        wider = {Family.ATTENTION.value: (max(-scale.low, 0.0), max(scale.high, 0.0))}
        return Choice(constants, Basis.ZERO_SHOT, words, low, high, {**table.widened, **wider})
    return Choice(constants, Basis.ZERO_SHOT, words, low, high, table.widened)


def _scale(conditions: Conditions, table: Table) -> Scale | None:
    """What published times say of this chip: they are of inference in half precision."""
    if conditions.training or conditions.precision.name not in _HALVES:
        return None
    chip = chip_of(conditions.device)
    return next((scale for scale in table.scales if scale.chip == chip), None)


def _scaled(constants: Constants, factor: float) -> Constants:
    return Constants(
        tuple(value * factor if name == "compute: attention" else value for name, value in constants.named().items())
    )


def _like_measured(conditions: Conditions) -> bool:
    """Whether devices of this kind and maker were measured: fractions of a datasheet differ from maker to maker."""
    return conditions.device.kind == "cpu" or conditions.device.maker == "NVIDIA"


def _list(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _at_sustained(constants: Constants, conditions: Conditions) -> Constants:
    """Arithmetic at the part of its peak that the device was measured to sustain, and attention at its own."""
    sustained = conditions.device.sustained or 1.0
    attention = sustained_attention(conditions.device)
    named = {
        name: value / sustained if name.startswith("compute:") else value for name, value in constants.named().items()
    }
    if attention is not None and conditions.precision.attention in ("fp16", "bf16"):
        named["compute: attention"] = 1 / attention
    return Constants(tuple(named.values()))


def _spread(table: Table, away: Iterable[str]) -> float:
    """How much wider a range has to be for all in which a set differs."""
    return float(sum(table.transfers[name] ** 2 for name in away) ** 0.5)


def _consequence(table: Table, away: Iterable[str]) -> str:
    """Another dtype of the same width was found to be as good, and then the range is as wide as it was."""
    return ", so the range is wider" if _spread(table, away) else ", which made no difference where both were"


def _wider(errors: Errors, by: float) -> tuple[float, float]:
    """The range of a set, as much wider on both sides as errors add up that have nothing to do with each other."""
    return -((errors.low**2 + by**2) ** 0.5), (errors.high**2 + by**2) ** 0.5
