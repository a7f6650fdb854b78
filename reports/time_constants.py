"""Measured throughput -> constants of time: a fit for each table, medians over devices, and what they are worth.

`time_report.py` runs it and writes the file of constants.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from measured_networks import cached, run_of, samples_of

from flopcount.facts.devices import find_device
from flopcount.facts.throughput import MeasuredThroughput, throughput_rows
from flopcount.hardware.constants import ConstantSet, Errors, Pooled, Scale
from flopcount.hardware.fitting import PRIOR, Sample, errors_of, fit, leave_family_out, predicted, residuals
from flopcount.hardware.time_model import CONSTANTS, Constants

SIGNIFICANT = 4  # digits of a constant that are kept

WIDENED = {
    "depthwise 3D convolution": (0.69, 1.1),
    "3D convolution": (0.25, 0.25),
    "recurrent": (0.69, 0.69),
    "other": (0.69, 1.1),
}
"""By family that the fits know little of: how much wider, in logarithms, a network's range is that consists of it.

Of depthwise 3D convolutions a trial saw 10 to 31 times the roofline on GPUs, R(2+1)D and SlowFast at 0.55 to 0.7 of
what was predicted, recurrent networks on CPUs at 0.3; of custom kernels, sorts and Fourier transforms nothing is known.
"""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Fitted:
    """A set with the samples that it was fitted on, and what they are predicted as by sets without their family."""

    row: ConstantSet
    samples: list[Sample]
    unseen: Any
    dropped: dict[str, int]


def tables(rows: Iterable[MeasuredThroughput]) -> dict[tuple[Any, ...], list[MeasuredThroughput]]:
    """Rows by the way in which they were run."""
    groups: dict[tuple[Any, ...], list[MeasuredThroughput]] = defaultdict(list)
    for row in rows:
        groups[row.device, row.dtype, row.compile, row.layout, row.mode == "train", row.torch].append(row)
    return dict(sorted(groups.items()))


def fit_table(key: tuple[Any, ...], rows: Sequence[MeasuredThroughput], samples: list[Sample], dropped: int) -> Fitted:
    constants = rounded(fit(samples))
    unseen = leave_family_out(samples)
    row = ConstantSet(*key, constants, shortened(errors_of(samples, unseen)), rows[0].source, dropped)
    return Fitted(row, samples, unseen, {})


def rounded(constants: Constants) -> Constants:
    return Constants(tuple(float(f"{value:.{SIGNIFICANT}g}") for value in constants.values))


def shortened(errors: Errors) -> Errors:
    return Errors(**{name: round(v, 4) if isinstance(v, float) else v for name, v in asdict(errors).items()})


def newest(fitted: Iterable[Fitted]) -> list[Fitted]:
    """Of each device and way to run, the set of the newest torch."""
    latest: dict[tuple[Any, ...], Fitted] = {}
    for one in fitted:
        row = one.row
        key = row.device, row.dtype, row.compiled, row.layout, row.training
        if key not in latest or int(latest[key].row.torch[2:]) < int(row.torch[2:]):
            latest[key] = one
    return list(latest.values())


def median_of(fitted: Sequence[Fitted]) -> Constants:
    """The median of each constant over devices, on a logarithmic scale.

    Fractions of a peak need a peak: a GPU whose peak is derived and not printed says nothing about arithmetic, unless
    there is no other.
    """
    printed = [one for one in fitted if is_printed(one)] or list(fitted)

    def median(name: str) -> float:
        among = printed if name.startswith("compute:") else fitted
        return float(np.exp(np.median([np.log(one.row.constants.named()[name]) for one in among])))

    return Constants(tuple(median(name) for name in CONSTANTS))


def is_printed(one: Fitted) -> bool:
    return "DERIVED" not in find_device(one.row.device).notes


def pooled(fitted: Sequence[Fitted]) -> list[Pooled]:
    """Medians over devices, by way to run.

    The errors are those of devices that are left out, where at least two have printed peaks (of CPUs none has). The
    range is that of unseen families, as much wider as devices differ where they can be compared.
    """
    groups: dict[tuple[Any, ...], list[Fitted]] = defaultdict(list)
    for one in fitted:
        if one.row.dtype in ("amp", "fp32"):  # each device once
            groups[kind_of(one), one.row.compiled, one.row.layout, one.row.training].append(one)
    spread = {kind: device_spread([g for key, g in groups.items() if key[0] == kind]) for kind in ("cpu", "gpu")}
    answer = []
    for key, group in groups.items():
        tested = compared(group)
        errors = errors_of_devices(tested) if tested else errors_of(group[0].samples, group[0].unseen)
        low = float(np.mean([one.row.errors.low for one in group]))
        high = float(np.mean([one.row.errors.high for one in group]))
        by = spread[key[0]]
        errors = replace(errors, low=-float(np.hypot(low, by)), high=float(np.hypot(high, by)))
        names = tuple(one.row.device for one in group)
        answer.append(Pooled(*key, names, rounded(median_of(group)), shortened(errors)))
    return answer


def kind_of(one: Fitted) -> str:
    return "cpu" if find_device(one.row.device).kind == "cpu" else "gpu"


def compared(group: Sequence[Fitted]) -> list[tuple[Fitted, Any]]:
    """Devices of a group, each predicted by the others: those with printed peaks, or CPUs, if there are two."""
    among = [one for one in group if is_printed(one) or kind_of(one) == "cpu"]
    if len(among) < 2:
        return []
    return [(one, predicted(one.samples, median_of([other for other in group if other is not one]))) for one in among]


def errors_of_devices(tested: Sequence[tuple[Fitted, Any]]) -> Errors:
    samples = [sample for one, _ in tested for sample in one.samples]
    return errors_of(samples, np.concatenate([seconds for _, seconds in tested]))


def device_spread(groups: Sequence[Sequence[Fitted]]) -> float:
    """How much wider the errors of unseen devices are than those of unseen families: of their 80th percentiles."""
    extra = []
    for group in groups:
        for one, seconds in compared(group):
            other = np.quantile(np.abs(residuals(one.samples, seconds)), 0.8)
            own = np.quantile(np.abs(residuals(one.samples, one.unseen)), 0.8)
            extra.append(max(float(other**2 - own**2), 0.0))
    return float(np.mean(extra)) ** 0.5


def one_constant(samples: Sequence[Sample]) -> Constants:
    """A single factor on the roofline."""
    least = np.median(residuals(samples, predicted(samples, plain(1.0))))
    return plain(float(np.exp(least)))


def plain(factor: float) -> Constants:
    return Constants(tuple(PRIOR.values[-1] if name == "launch" else factor for name in CONSTANTS))


def transfers(fitted: Sequence[Fitted]) -> dict[str, float]:
    """How much wider a range has to be if a set of another layout, dtype or mode stands in: the median of |log|."""
    wide: dict[str, list[float]] = {"layout": [], "dtype": [], "mode": [], "training": []}
    for one in fitted:
        for other in fitted:
            a, b = one.row, other.row
            if one is other or a.device != b.device or (a.dtype == "fp32") != (b.dtype == "fp32"):
                continue
            differs = [
                name
                for name, is_so in {
                    "layout": a.layout != b.layout,
                    "dtype": a.dtype != b.dtype,
                    "mode": a.compiled != b.compiled,
                    "training": a.training != b.training,
                }.items()
                if is_so
            ]
            if len(differs) == 1:
                logs = residuals(one.samples, predicted(one.samples, b.constants))
                own = residuals(one.samples, one.unseen)
                extra = max(float(np.quantile(np.abs(logs), 0.8) ** 2 - np.quantile(np.abs(own), 0.8) ** 2), 0.0)
                wide[differs[0]].append(extra**0.5)
    return {name: round(float(np.mean(values)), 4) for name, values in wide.items() if values}


@dataclass(frozen=True)
class Fits:
    """All that was fitted: every set with its samples, the medians over devices, and the one constant."""

    sets: tuple[Fitted, ...]
    pooled: tuple[Pooled, ...]
    roofline: Pooled
    transfers: dict[str, float]
    scales: tuple[Scale, ...] = ()

    @property
    def data(self) -> dict[str, Any]:
        """As the package's file has it."""
        return {
            "made_by": "python reports/time_report.py",
            "rows": "flopcount/facts/measured_throughput.csv.gz",
            "sets": [_set_data(one.row) for one in self.sets],
            "pooled": [_with_names(way) for way in self.pooled],
            "roofline": _with_names(self.roofline),
            "transfers": self.transfers,
            "widened": WIDENED,
            "scales": [asdict(scale) for scale in self.scales],
        }


def fits(cache: Path | None, say: Say) -> Fits:
    """Count and fit everything; `cache` keeps the counts between two fits of the same kernels."""
    rows = throughput_rows()
    counted = cached(cache, map(run_of, rows), say)
    fitted = []
    for key, group in tables(rows).items():
        samples, dropped = samples_of(group, counted)
        for dropped_row, why in dropped:
            say(f"dropped {dropped_row.model} of {dropped_row.source}: {why}")
        fitted.append(fit_table(key, group, samples, len(dropped)))
        row = fitted[-1].row
        say(f"{row.words}: {100 * row.errors.median:.1f} % median, {100 * row.errors.mean:.1f} % mean")
    latest = newest(fitted)
    everything = [sample for one in latest if not one.row.training for sample in one.samples]
    constant = one_constant(everything)
    devices = tuple(dict.fromkeys(one.row.device for one in latest))
    errors = shortened(errors_of(everything, predicted(everything, constant)))
    roofline = Pooled("any", False, "nchw", False, devices, rounded(constant), errors)
    moved = transfers(latest)
    return Fits(tuple(fitted), tuple(pooled(latest)), roofline, moved | {"precision": moved["mode"]})


def _set_data(row: ConstantSet) -> dict[str, Any]:
    data = _with_names(row)
    del data["basis"]  # all of them are fitted
    return data


def _with_names(row: ConstantSet | Pooled) -> dict[str, Any]:
    return asdict(row) | {"constants": row.constants.named()}
