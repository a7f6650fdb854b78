"""A measured time beside its prediction, as tables: the whole, layer by layer, and one exact row for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.pricing import TIMES
from ..core.quantity import PICO
from ..core.result import Result
from ..core.table import Column, Table
from ..core.units import si
from ..core.wording import missing_lines, title
from .achieved import Achieved
from .cost import Cost
from .layer_times import LayerTimes
from .machine import NOISY, Machine, noise_words
from .timing import Timing

__all__ = [
    "achieved_rows",
    "exact_table",
    "layers_table",
    "measured_rows",
    "noise_notes",
    "summary_table",
]

Rows = list[tuple[str, str]]


def summary_table(result: Result, rows: Rows, notes: tuple[str, ...] = ()) -> Table:
    """Lines of a measured time under the model and its input, with what the count lacks or assumes."""
    columns = (Column("of a pass", "text"), Column("value", "prose"))
    return Table(f"{title(result)}: measured", columns, tuple(rows), None, (*missing_lines(result), *notes))


def measured_rows(timing: Timing, machine: Machine, conditions: str, batch: int | None) -> Rows:
    """What was measured, on what, and how."""
    repeats = f"{timing.repeats} repeat{'s' * (timing.repeats > 1)}"
    calls = f"{timing.warmup} call{'s' * (timing.warmup != 1)}"
    rows = [
        ("time", f"{si(timing.median, 's')}, the median of {repeats} after {calls} of warm-up"),
        ("quartiles", f"{si(timing.low, 's')} to {si(timing.high, 's')}"),
    ]
    if timing.own:
        rows.append(("clock", f"that of the one thread, which ran {100 * min(timing.share, 1):.0f}% of the time"))
    rows.append(("on", str(machine)))
    rows.append(("how", conditions + ("" if batch is None else f", batch {batch}")))
    return rows


def achieved_rows(achieved: Achieved, unpredicted: str = "") -> Rows:
    """FLOP/s, and what was predicted; `unpredicted` says why nothing was."""
    rows = [
        ("MACs", si(achieved.macs)),
        ("achieved", f"{si(achieved.flops_per_second, 'FLOP/s')}, 2 per MAC"),
    ]
    cost, utilisation, ratio = achieved.predicted, achieved.utilisation, achieved.ratio
    if cost is None:
        return [*rows, ("prediction", f"unknown: {unpredicted or 'no device is named'}")]
    if utilisation is not None:
        rows.append(("utilisation", f"{100 * utilisation:.1f}% of the peak of {si(cost.peak, 'FLOP/s')} (MFU)"))
    rows += [
        ("estimate", f"{si(cost.estimate, 's')}; 8 of 10 networks of unseen families take {_range(cost)}"),
        ("bound", f"{si(cost.bound, 's')}, at the peaks with everything fused"),
    ]
    if ratio is not None:
        rows.append(("measured", f"{ratio:.2f} of the estimate, {achieved.verdict}"))
    return [*rows, ("basis", cost.basis_words), ("for", str(cost.conditions))]


def _range(cost: Cost) -> str:
    return f"{si(cost.low, 's')} to {si(cost.high, 's')}"


def noise_notes(timing: Timing, machine: Machine) -> Iterator[str]:
    """What to think of times that spread."""
    if timing.high > NOISY * timing.low and not timing.own:
        yield f"times spread by {100 * (timing.high / timing.low - 1):.0f}%: {noise_words(machine)}"


def exact_table(
    result: Result, achieved: Achieved, timing: Timing | None = None, machine: Machine | None = None
) -> Table:
    """One row with exact numbers; what is unknown is empty."""
    cost = achieved.predicted
    entries: list[tuple[Column, Any]] = [
        (Column("model", "text"), result.model),
        (Column("machine", "text"), str(machine) if machine else ""),
        (_seconds("measured"), _pico(achieved.per_pass)),
        (_seconds("low quartile"), _pico(timing.low) if timing else ""),
        (_seconds("high quartile"), _pico(timing.high) if timing else ""),
        (Column("repeats", tally=True), timing.repeats if timing else ""),
        (Column("MACs"), achieved.macs),
        (Column("FLOP/s"), round(achieved.flops_per_second)),
        (Column("on", "text"), cost.conditions.device.name if cost else ""),
        *((_seconds(name), _pico(getattr(cost, name)) if cost else "") for name in TIMES),
        (Column("utilisation", "text"), "" if achieved.utilisation is None else achieved.utilisation),
    ]
    columns, values = zip(*entries, strict=True)
    return Table(f"{title(result)}: measured", columns, (values,), None, tuple(missing_lines(result)))


def layers_table(result: Result, times: LayerTimes, predicted: Cost | None = None) -> Table:
    """One row per layer: what it takes by itself, and what of that was predicted; the rest has a row of its own.

    A module that contains others has a row if operators run in it itself; what it takes otherwise is part of the rest.
    """
    own = {row.path: row.own.macs for row in result.modules}
    working = {op.op.module for op in result.ops}
    expected = {} if predicted is None else {row.path: row.own.time for row in predicted.result.modules}
    whole = _pico(times.whole)
    rows: list[list[Any]] = []
    for layer in times.layers:
        if layer.path in working:
            took = _pico(layer.seconds)
            rows.append([layer.path or "the model itself", layer.type, layer.calls, took, (took, whole)])
            rows[-1] += [own.get(layer.path, 0), expected.get(layer.path, 0)]
    rest = whole - sum(row[3] for row in rows)
    rows.append(["(no layer)", "", 0, rest, (max(rest, 0), whole), 0, 0])
    total = ["total", "", sum(row[2] for row in rows), whole, (whole, whole), sum(row[5] for row in rows)]
    total.append(sum(row[6] for row in rows))
    columns = [
        *(Column("layer", "text"), Column("type", "text", drop=1), Column("calls", drop=2, tally=True)),
        *(Column("time", unit="s", tone="strong", pico=True), Column("share", "share")),
        *(Column("MACs"), Column("predicted", unit="s", tone="quiet", pico=True)),
    ]
    if predicted is None:
        columns, rows, total = columns[:-1], [row[:-1] for row in rows], total[:-1]
    notes = (
        "layers: each by itself, without those in it, in passes with a clock around every layer",
        *missing_lines(result),
    )
    return Table(f"{title(result)}: measured by layer", tuple(columns), tuple(map(tuple, rows)), tuple(total), notes)


def _seconds(name: str) -> Column:
    return Column(name, unit="s", pico=True)


def _pico(seconds: float) -> int:
    return round(seconds * PICO)
