"""Fit the constants of time on the measured throughput: `python reports/time_constants.py` (about 15 minutes).

It counts every network of the table as it was run, fits each table that has enough of it, predicts families and devices
that were left out, and writes flopcount/hardware/time_constants.json and time_constants.md beside this file, both or
none. `--cache FILE` keeps the counts between two fits of the same kernels.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from measured_networks import cached, run_of, samples_of

from flopcount.core.table import Column, Table
from flopcount.facts.throughput import MeasuredThroughput, throughput_rows
from flopcount.hardware.constants import ConstantSet, Errors, Pooled
from flopcount.hardware.fitting import PRIOR, Sample, errors_of, fit, leave_family_out, predicted, residuals
from flopcount.hardware.time_model import CONSTANTS, Constants
from flopcount.output.atomic_files import write_files

FOLDER = Path(__file__).parent
JSON = FOLDER.parent / "flopcount" / "hardware" / "time_constants.json"
PAGE = FOLDER / "time_constants.md"
SIGNIFICANT = 4  # digits of a constant that are kept

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


def median_of(constants: Sequence[Constants]) -> Constants:
    """The median of each constant, on a logarithmic scale."""
    return Constants(tuple(float(value) for value in np.exp(np.median(np.log([c.values for c in constants]), axis=0))))


def pooled(fitted: Sequence[Fitted]) -> list[Pooled]:
    """Medians over devices, by way to run; the errors are those of devices, and families, that are left out."""
    groups: dict[tuple[Any, ...], list[Fitted]] = defaultdict(list)
    for one in fitted:
        kind = "cpu" if one.row.dtype == "fp32" else "gpu"
        if one.row.dtype in ("amp", "fp32"):  # each device once
            groups[kind, one.row.compiled, one.row.layout, one.row.training].append(one)
    answer = []
    for key, group in groups.items():
        constants = rounded(median_of([one.row.constants for one in group]))
        logs, samples, seconds = [], [], []
        for one in group:
            others = [other for other in group if other is not one]
            if not others:
                continue
            predictions = left_out(one, others)
            samples += one.samples
            seconds.append(predictions)
            logs.append(residuals(one.samples, predictions))
        if samples:
            errors = errors_of(samples, np.concatenate(seconds))
            # the error of a device is one draw: each device counts alike, however many networks it has
            spread = np.concatenate([np.quantile(part, np.linspace(0.01, 0.99, 99)) for part in logs])
            errors = replace(errors, low=float(np.quantile(spread, 0.1)), high=float(np.quantile(spread, 0.9)))
        else:  # a single device says nothing of others
            errors = errors_of(group[0].samples, group[0].unseen)
        answer.append(Pooled(*key, tuple(one.row.device for one in group), constants, shortened(errors)))
    return answer


def left_out(one: Fitted, others: Sequence[Fitted]) -> Any:
    """The seconds of a device's networks by the constants of others, each fitted without the network's family."""
    return predicted(one.samples, median_of([other.row.constants for other in others]))


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


def made(say: Say, cache: Path | None) -> tuple[dict[str, Any], str]:
    """The data and the page."""
    rows = throughput_rows()
    counted = cached(cache, map(run_of, rows), say)
    fitted = []
    for key, group in tables(rows).items():
        samples, dropped = samples_of(group, counted)
        fitted.append(fit_table(key, group, samples, len(dropped)))
        row = fitted[-1].row
        say(f"{row.words}: {100 * row.errors.median:.1f} % median, {100 * row.errors.mean:.1f} % mean")
    latest = newest(fitted)
    ways = pooled(latest)
    everything = [sample for one in latest if not one.row.training for sample in one.samples]
    constant = one_constant(everything)
    roofline = Pooled(
        "any",
        False,
        "nchw",
        False,
        tuple(dict.fromkeys(one.row.device for one in latest)),
        rounded(constant),
        shortened(errors_of(everything, predicted(everything, constant))),
    )
    moved = transfers(latest)
    data = {
        "made_by": "python reports/time_constants.py",
        "rows": "flopcount/facts/measured_throughput.csv.gz",
        "sets": [_set_data(one.row) for one in fitted],
        "pooled": [_pooled_data(way) for way in ways],
        "roofline": _pooled_data(roofline),
        "transfers": moved | {"precision": moved["mode"]},
        "widened": {},
    }
    return data, page(fitted, ways, roofline)


def _set_data(row: ConstantSet) -> dict[str, Any]:
    data = asdict(row) | {"constants": row.constants.named()}
    del data["basis"]  # all of them are fitted
    return data


def _pooled_data(row: Pooled) -> dict[str, Any]:
    return asdict(row) | {"constants": row.constants.named()}


def page(fitted: Sequence[Fitted], ways: Sequence[Pooled], roofline: Pooled) -> str:
    columns = (
        *(Column("device", "text"), Column("dtype", "text"), Column("mode", "text"), Column("layout", "text")),
        *(Column("torch", "text"), Column("networks"), Column("dropped"), Column("median", "text")),
        *(Column("mean", "text"), Column("rank", "text"), Column("range", "text"), Column("bound beaten", "text")),
    )
    lines = []
    for one in fitted:
        row, errors = one.row, one.row.errors
        beaten = np.mean([sample.bound > sample.seconds for sample in one.samples])
        names = row.device, row.dtype, _mode(row), row.layout, row.torch
        lines.append((*names, errors.count, row.dropped, *_errors(errors), f"{100 * beaten:.1f} %"))
    sets = Table("families left out", columns, tuple(lines), None)
    columns = (
        *(Column("kind", "text"), Column("mode", "text"), Column("layout", "text"), Column("devices", "text")),
        *(Column("median", "text"), Column("mean", "text"), Column("rank", "text"), Column("range", "text")),
    )
    others = tuple(
        (way.kind, _mode(way), way.layout, ", ".join(way.devices), *_errors(way.errors)) for way in (*ways, roofline)
    )
    unseen = Table("devices left out", columns, others, None)
    return "\n".join(
        [
            "# The constants of time",
            "",
            "Written by `python reports/time_constants.py` from `flopcount/facts/measured_throughput.csv.gz`. "
            "Errors are those of predicted against measured seconds per pass; the range is the 10th to the 90th "
            "percentile of measured over predicted.",
            "",
            "## Families that a set was not fitted on",
            "",
            sets.to_markdown(),
            "",
            "## Devices that a set was not fitted on",
            "",
            "Medians of the constants of other devices, as fractions of the datasheet. Of a way to run that one device "
            "alone was measured in, the errors are those of its own unseen families. The last row is one constant on "
            "the roofline.",
            "",
            unseen.to_markdown(),
            "",
        ]
    )


def _mode(row: ConstantSet | Pooled) -> str:
    return ("compiled" if row.compiled else "eager") + ", training" * row.training


def _errors(errors: Errors) -> tuple[str, ...]:
    return (
        *(f"{100 * errors.median:.1f} %", f"{100 * errors.mean:.1f} %", f"{errors.rank:.3f}"),
        f"{np.exp(errors.low):.2f}-{np.exp(errors.high):.2f}",
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, help="keep the counts in this file, and read them if it is there")
    options = parser.parse_args(arguments)
    data, text = made(lambda line: print(line, file=sys.stderr, flush=True), options.cache)
    write_files({JSON: (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode(), PAGE: text.encode()})
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
