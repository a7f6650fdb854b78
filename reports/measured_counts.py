"""What published times are about: the count of every row that can be judged, its seconds, and the FLOP/s achieved.

    python reports/measured_counts.py

prints one line for each model and device, with the worst and the best row as shares of the data sheet's peak. Parts of
generators need the libraries `diffusers` and `transformers`. A row above the peak is an error in the row or in its
mapping: the exit code is 1.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from measured_models import count_others, count_run

from flopcount.core.result import Result
from flopcount.facts.devices import find_device
from flopcount.facts.measured_mapping import MeasuredRun, OtherPart, measured_runs
from flopcount.facts.measured_times import MeasuredTime, measured_time

__all__ = ["MeasuredCount", "measured_counts", "utilisation_table"]


@dataclass(frozen=True, slots=True)
class MeasuredCount:
    """A measured time beside the count of what runs in it.

    `result` is one forward of the model, of which there are `run.times`; `others` are one forward of each other part
    that the time includes by its source, such as a text encoder.
    """

    row: MeasuredTime
    run: MeasuredRun
    result: Result
    others: tuple[tuple[OtherPart, Result], ...]
    seconds: float

    @property
    def flops(self) -> int:
        """FLOPs of the model in this time, 2 per multiply-accumulate as data sheets count; without other parts."""
        flops: int = self.result.flops
        return flops * self.run.times

    @property
    def flops_of_others(self) -> int:
        """FLOPs of the other parts in this time."""
        return sum(part.times * result.flops for part, result in self.others)

    @property
    def flops_per_second(self) -> float:
        """FLOP/s achieved, by all that is known to run in this time."""
        return (self.flops + self.flops_of_others) / self.seconds

    @property
    def utilisation(self) -> float | None:
        """The share of the data sheet's peak for the dtype (amp: of float16); None where that is unknown."""
        peak = find_device(self.run.device).peak({"amp": "fp16"}.get(self.run.dtype, self.run.dtype))
        return None if peak is None else self.flops_per_second / peak


def measured_counts(keys: Iterable[str] | None = None) -> Iterator[MeasuredCount]:
    """Every row with its count, or those of these keys, in the order of the rows; others are left out.

    The seconds are those of `run.times` forwards on `run.batch`: of one video, iteration, pair or prompt, or of the
    batch of videos that the row names.
    """
    wanted = None if keys is None else set(keys)
    for run in measured_runs():
        if not isinstance(run, MeasuredRun) or (wanted is not None and run.key not in wanted):
            continue
        row = measured_time(run.key)
        assert row.seconds is not None  # a run is of a time
        yield MeasuredCount(row, run, count_run(run), count_others(run), row.seconds)


def utilisation_table(counts: Iterable[MeasuredCount]) -> str:
    """One line for each (model, device, dtype, compiled or not): rows, and the lowest and highest share of the peak."""
    groups: dict[tuple[str, str, str, bool], list[MeasuredCount]] = {}
    for each in counts:
        run = each.run
        groups.setdefault((run.model, run.device, run.dtype, run.compile), []).append(each)
    lines = ["model|device|dtype|compiled|rows|complete|TFLOP/s|share of the peak"]
    for (model, device, dtype, compiled), members in sorted(groups.items()):
        rates = sorted(each.flops_per_second / 1e12 for each in members)
        shares = sorted(share for each in members if (share := each.utilisation) is not None)
        complete = sum(each.run.complete for each in members)
        cells = (model, device, dtype, "yes" if compiled else "no", str(len(members)), str(complete))
        lines.append("|".join((*cells, _span(rates, ".1f"), _span(shares, ".3f"))))
    widths = [max(map(len, column)) for column in zip(*(line.split("|") for line in lines), strict=True)]
    return "\n".join("  ".join(map(str.ljust, line.split("|"), widths)).rstrip() for line in lines)


def _span(values: list[float], form: str) -> str:
    if not values:
        return "unknown"
    low, high = format(values[0], form), format(values[-1], form)
    return low if low == high else f"{low}-{high}"


def main() -> int:
    counts = list(measured_counts())
    print(utilisation_table(counts))
    beyond = [each for each in counts if (each.utilisation or 0) > 1]
    for each in beyond:
        print(f"beyond the peak: {each.run.key}, {each.utilisation:.3f}", file=sys.stderr)
    return int(bool(beyond))


if __name__ == "__main__":
    sys.exit(main())
