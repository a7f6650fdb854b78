"""Fit the constants of time, predict what was left out, and write both: `python reports/time_report.py` (10 minutes).

It writes flopcount/hardware/time_constants.json, and time.md, time.csv and time.png beside this file, all or none. The
networks of the measured tables need timm, the published generators diffusers and transformers. `--cache FILE` keeps the
counts of the tables between two fits of the same kernels.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import numpy as np
from published_times import Judged, judged, left_out_ratios, scales
from time_constants import Fits, Fitted, Say, fits, newest, plain
from worst_rows import why

from flopcount.core.table import Column, Table
from flopcount.facts.measured_mapping import MeasuredRun, measured_runs
from flopcount.hardware.constants import ConstantSet, Errors, Pooled, table_of
from flopcount.hardware.fitting import Sample, predicted, rank_correlation, residuals
from flopcount.hardware.kernels import Family
from flopcount.output.atomic_files import write_files

FOLDER = Path(__file__).parent
JSON = FOLDER.parent / "flopcount" / "hardware" / "time_constants.json"
WORST = 20
_FAMILIES = tuple(Family)


@dataclass(frozen=True)
class Row:
    """A measured run and its prediction by constants that no network of its family was fitted on."""

    table: ConstantSet
    model: str
    family: str
    batch: int
    measured: float
    predicted: float
    low: float
    high: float
    bound: float
    longest: str
    share: float

    @property
    def inside(self) -> bool:
        """Whether the measured time is in the range."""
        return self.low <= self.measured <= self.high


def unseen_rows(one: Fitted) -> list[Row]:
    """Every row of a table; its range is that of other families, none of them its own."""
    logs = residuals(one.samples, one.unseen)
    families = sorted({sample.family for sample in one.samples})
    random.Random(1).shuffle(families)
    fold = {family: at % 12 for at, family in enumerate(families)}
    of_row = np.array([fold[sample.family] for sample in one.samples])
    rows = []
    for at, (sample, seconds) in enumerate(zip(one.samples, one.unseen, strict=True)):
        low, high = np.exp(np.quantile(logs[of_row != fold[sample.family]], (0.1, 0.9)))
        longest, share = _longest(one, at)
        rows.append(
            Row(
                one.row,
                sample.name,
                sample.family,
                sample.batch,
                sample.seconds,
                float(seconds),
                float(seconds * low),
                float(seconds * high),
                sample.bound,
                longest,
                share,
            )
        )
    return rows


def _longest(one: Fitted, at: int) -> tuple[str, float]:
    """The family of kernels that takes most of the predicted time, and its share."""
    from flopcount.hardware.time_model import seconds_of

    kernels = one.samples[at].kernels
    seconds = kernels.times * seconds_of(kernels, one.row.constants.values)
    by_family = np.bincount(kernels.family, seconds, minlength=len(_FAMILIES))
    return _FAMILIES[int(np.argmax(by_family))].value, float(np.max(by_family) / np.sum(by_family))


def page(made: Fits, rows: Sequence[Row], published: Sequence[Judged]) -> str:
    """The whole report in markdown."""
    latest = {id(one.row) for one in newest(made.sets)}
    parts = [
        "# Time: predicted against measured",
        "",
        "Written by `python reports/time_report.py`. Every prediction of the tables below is made by constants that no "
        "network of the same family was fitted on; every range is that of other families. Errors are of predicted "
        "against measured seconds. Each row is in `time.csv`.",
        "",
        "![Predicted against measured time of networks whose family was left out](time.png)",
        "",
        "## What multiply-accumulates say of time",
        "",
        *_of_macs(made),
        "",
        "## Families that were left out",
        "",
        _sets(made, rows).to_markdown(),
        "",
        "## Devices that were left out",
        "",
        "Medians of the constants of other devices, as fractions of the datasheet. Of a way to run that was measured "
        "on one device with a printed peak, the errors are those of its own unseen families. The last row is one "
        "constant on the roofline of each operator.",
        "",
        _devices(made).to_markdown(),
        "",
        "## Chips that whole networks were published on",
        "",
        "What attention is multiplied by there, from the complete rows of generators in "
        "`flopcount/facts/measured_times.csv`, nearly all of whose time is attention over long sequences. Each network "
        "counts alike, and the range is that of networks that are left out, per second of attention.",
        "",
        _chips(made).to_markdown(),
        "",
        "## By family of networks",
        "",
        "The newest table of each device and way to run.",
        "",
        _families([row for row in rows if id(row.table) in latest]).to_markdown(),
        "",
        f"## The worst {WORST}",
        "",
        "The network of each family that is farthest off, in the newest tables.",
        "",
        _worst([row for row in rows if id(row.table) in latest]).to_markdown(),
        "",
        "## Published times of generators, recognition and flow",
        "",
        *_published(published, made),
        "",
    ]
    return "\n".join(parts)


def _of_macs(made: Fits) -> list[str]:
    """How much networks of nearly the same MACs differ, and what ranks them."""
    lines = []
    for one in newest(made.sets):
        if (one.row.device, one.row.compiled, one.row.layout, one.row.dtype) == ("rtx-4090", False, "nchw", "amp"):
            macs = np.array([float(np.sum(s.kernels.times * s.kernels.exact)) / s.batch for s in one.samples])
            macs *= find_peak(one) / 2
            inside = [at for at, value in enumerate(macs) if 3e9 <= value <= 6e9]
            samples = [one.samples[at] for at in inside]
            batch = np.array([sample.batch for sample in samples])
            measured = np.array([sample.seconds for sample in samples]) / batch
            ranks = {
                "their MACs": rank_correlation(macs[inside], measured),
                "the roofline of each operator, without any constant": rank_correlation(
                    predicted(samples, plain(1.0)) / batch, measured
                ),
                "the prediction, their family left out": rank_correlation(one.unseen[inside] / batch, measured),
            }
            lines.append(
                f"Of {len(inside)} networks of 3 to 6 GMACs on an RTX 4090 (amp, eager), the slowest takes "
                f"{measured.max() / measured.min():.1f} times as long as the fastest. What ranks them (Spearman): "
                + "; ".join(f"{name} {value:.2f}" for name, value in ranks.items())
                + "."
            )
    return lines


def find_peak(one: Fitted) -> float:
    from flopcount.facts.devices import find_device

    peak = find_device(one.row.device).peak("fp16")
    assert peak is not None
    return peak


def _sets(made: Fits, rows: Sequence[Row]) -> Table:
    by_table: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_table[id(row.table)].append(row)
    columns = (
        *(Column("device", "text"), Column("dtype", "text"), Column("mode", "text"), Column("layout", "text")),
        *(Column("torch", "text"), Column("networks"), Column("dropped", "text"), *_ERRORS),
        *(Column("inside the range", "text"), Column("bound beaten", "text"), Column("FLOPs / peak beaten", "text")),
    )
    lines = []
    for one in made.sets:
        row, mine = one.row, by_table[id(one.row)]
        names = row.device, row.dtype, _mode(row), row.layout, row.torch
        inside = _percent(np.mean([each.inside for each in mine]))
        beaten = _percent(np.mean([each.bound > each.measured for each in mine]))
        arithmetic = _percent(np.mean([_of_flops(sample) > sample.seconds for sample in one.samples]))
        counts = row.errors.count, str(row.dropped)
        lines.append((*names, *counts, *_errors(row.errors), inside, beaten, arithmetic))
    return Table("families left out", columns, tuple(lines), None)


def _of_flops(sample: Sample) -> float:
    """Seconds of all FLOPs at the peak."""
    return float(np.sum(sample.kernels.times * sample.kernels.exact))


_ERRORS = (Column("median", "text"), Column("mean", "text"), Column("rank", "text"), Column("range", "text"))


def _devices(made: Fits) -> Table:
    columns = (Column("kind", "text"), Column("mode", "text"), Column("layout", "text"), Column("devices", "text"))
    rows = tuple(
        (way.kind, _mode(way), way.layout, ", ".join(way.devices), *_errors(way.errors))
        for way in (*made.pooled, made.roofline)
    )
    return Table("devices left out", (*columns, *_ERRORS), rows, None)


def _chips(made: Fits) -> Table:
    columns = (Column("chip", "text"), Column("factor", "text"), Column("times"), Column("networks"))
    rows = tuple(
        (scale.chip, f"{scale.factor:.2f}", scale.rows, scale.models, _between(scale.low, scale.high))
        for scale in made.scales
    )
    return Table("chips", (*columns, Column("range", "text")), rows, None)


def _families(rows: Sequence[Row]) -> Table:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.family].append(row)
    columns = (Column("family", "text"), Column("rows"), Column("median", "text"), Column("ratio", "text"))
    lines = []
    for family, mine in sorted(groups.items(), key=lambda entry: -_error(entry[1])):
        ratio = float(np.exp(np.median([np.log(row.predicted / row.measured) for row in mine])))
        inside = _percent(np.mean([row.inside for row in mine]))
        lines.append((family, len(mine), _percent(_error(mine)), f"{ratio:.2f}", inside))
    return Table("families", (*columns, Column("inside the range", "text")), tuple(lines), None)


def _error(rows: Iterable[Row]) -> float:
    return float(np.median([abs(row.predicted / row.measured - 1) for row in rows]))


def worst_of(rows: Iterable[Row]) -> list[Row]:
    """The farthest network of each family, the farthest family first."""
    worst: dict[str, Row] = {}
    for row in rows:
        if row.family not in worst or _away(row) > _away(worst[row.family]):
            worst[row.family] = row
    return sorted(worst.values(), key=_away, reverse=True)[:WORST]


def _away(row: Row) -> float:
    return float(abs(np.log(row.predicted / row.measured)))


def _worst(rows: Sequence[Row]) -> Table:
    columns = (Column("network", "text"), Column("on", "text"), Column("predicted / measured", "text"))
    lines = [
        (
            row.model,
            f"{row.table.device}, {row.table.dtype}, {_mode(row.table)}, {row.table.layout}",
            f"{row.predicted / row.measured:.2f}",
            f"{row.longest} ({_percent(row.share)})",
            why(row.family, *_modes(row.table)),
        )
        for row in worst_of(rows)
    ]
    return Table("worst", (*columns, Column("most time in", "text"), Column("why", "text")), tuple(lines), None)


def _modes(row: ConstantSet) -> list[str]:
    """The ways to run that a reason may be one of, the most telling first."""
    special = {"cpu": row.device.startswith("core-"), "training": row.training, "compiled": row.compiled}
    return [name for name, is_so in special.items() if is_so] or ["eager"]


def _published(rows: Sequence[Judged], made: Fits) -> list[str]:
    """Rows by network and device, and the errors of complete rows, networks left out of their chip's scale."""
    unscaled = [
        row for row in rows if row.count.run.complete and row.count.row.kind == "generation" and row.left_out_ratio
    ]
    off = [abs((row.left_out_ratio or 1) - 1) for row in unscaled]
    text = (
        f"Complete rows of generators on one GPU whose chip has a row for another network: {len(off)}, median error "
        f"{_percent(float(np.median(off)))}, mean {_percent(float(np.mean(off)))}, each with its own network left out "
        "of the chip's scale. Video is weaker than images: attention kernels differ by software (FlashAttention-3 and "
        "cuDNN are faster on Hopper than the FlashAttention-2 that is assumed), and VAE tiling, text encoders and "
        "offloading are in some of the times."
    )
    others = [row for row in rows if row.count.run.complete and row.count.row.kind in ("recognition", "flow")]
    for kind in ("recognition", "flow"):
        errors = [abs(row.ratio - 1) for row in others if row.count.row.kind == kind]
        text += f" Complete rows of {kind}: {len(errors)}, median error {_percent(float(np.median(errors)))}."
    left_out = Counter(run.why for run in measured_runs() if not isinstance(run, MeasuredRun))
    why_left_out = Table(
        "left out", (Column("why", "text"), Column("rows")), tuple(left_out.most_common(_REASONS)), None
    )
    groups: dict[tuple[str, str, str, bool], list[Judged]] = defaultdict(list)
    for row in rows:
        run = row.count.run
        groups[run.model, run.device, run.dtype, run.compile].append(row)
    columns = (
        *(Column("network", "text"), Column("device", "text"), Column("dtype", "text"), Column("mode", "text")),
        *(Column("times"), Column("predicted / measured", "text"), Column("inside the range"), Column("basis", "text")),
    )
    lines = []
    for (model, device, dtype, compiled), mine in sorted(groups.items()):
        ratios = sorted(row.ratio for row in mine)
        span = f"{ratios[0]:.2f}" if len(ratios) == 1 else f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
        inside = sum(row.low <= row.count.seconds <= row.high for row in mine)
        mode = "compiled" if compiled else "eager"
        lines.append((model, device, dtype, mode, len(mine), span, inside, mine[0].cost.basis.value))
    unused = (
        f"{sum(left_out.values())} of {len(measured_runs())} rows cannot be judged; the {_REASONS} most frequent "
        "reasons of `flopcount/facts/measured_mapping.csv`:"
    )
    table = Table("published", columns, tuple(lines), None)
    return [text, "", table.to_markdown(), "", unused, "", why_left_out.to_markdown()]


_REASONS = 15


def _mode(row: ConstantSet | Pooled) -> str:
    return ("compiled" if row.compiled else "eager") + ", training" * row.training


def _errors(errors: Errors) -> tuple[str, ...]:
    return _percent(errors.median), _percent(errors.mean), f"{errors.rank:.3f}", _between(errors.low, errors.high)


def _between(low: float, high: float) -> str:
    return f"{np.exp(low):.2f}-{np.exp(high):.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def rows_csv(rows: Iterable[Row], published: Iterable[Judged]) -> str:
    """Every prediction: seconds of one pass of the batch, or of all that a published time is of."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = "device dtype compiled layout training torch model family batch measured_s predicted_s low_s high_s bound_s"
    writer.writerow(names.split())
    for row in rows:
        table = row.table
        how = (table.device, table.dtype, table.compiled, table.layout, table.training, table.torch)
        seconds = (row.measured, row.predicted, row.low, row.high, row.bound)
        writer.writerow([*how, row.model, row.family, row.batch, *(f"{value:.5g}" for value in seconds)])
    for each in published:
        run, source = each.count.run, each.count.row
        how = (run.device, run.dtype, run.compile, "nchw", False, "")
        seconds = (each.count.seconds, each.seconds, each.low, each.high, each.bound)
        writer.writerow([*how, run.model, source.kind, run.batch, *(f"{value:.5g}" for value in seconds)])
    return out.getvalue()


def picture(rows: Sequence[Row], latest: set[int]) -> bytes:
    """Predicted against measured time per sample, one colour per device."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if id(row.table) in latest and not row.table.training:
            groups[row.table.device].append(row)
    for device, mine in groups.items():
        measured = [1e3 * row.measured / row.batch for row in mine]
        estimate = [1e3 * row.predicted / row.batch for row in mine]
        axes.scatter(measured, estimate, s=5, alpha=0.5, linewidths=0, label=f"{device} ({len(mine)})")
    axes.set(xscale="log", yscale="log", xlabel="measured, ms per image", ylabel="predicted, ms per image")
    ends = axes.get_xlim()
    axes.plot(ends, ends, color="grey", linewidth=0.8, zorder=0)
    axes.set_title("Networks of families that were left out")
    axes.legend(frameon=False, markerscale=3, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150, metadata={"Software": None})
    pyplot.close(figure)
    return out.getvalue()


def report(cache: Path | None, say: Say) -> dict[Path, bytes]:
    """All files."""
    made = fits(cache, say)
    say("published times, to scale the chips that they were measured on")
    published = judged(table_of(made.data), say)
    left_out = left_out_ratios(published)
    made = replace(made, scales=scales(published))
    published = [
        replace(row, left_out_ratio=left_out.get(row.count.run.key)) for row in judged(table_of(made.data), say)
    ]
    rows = [row for one in made.sets for row in unseen_rows(one)]
    latest = {id(one.row) for one in newest(made.sets)}
    return {
        JSON: (json.dumps(made.data, indent=1, ensure_ascii=False) + "\n").encode(),
        FOLDER / "time.md": page(made, rows, published).encode(),
        FOLDER / "time.csv": rows_csv(rows, published).encode(),
        FOLDER / "time.png": picture(rows, latest),
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, help="keep the counts in this file, and read them if it is there")
    options = parser.parse_args(arguments)
    write_files(report(options.cache, lambda line: print(line, file=sys.stderr, flush=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
