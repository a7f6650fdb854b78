"""Cost against accuracy: each network counted at the clip, crop and views that its published accuracy was measured at.

What enters are names and a data set; what leaves is a frozen Comparison. Accuracies are what others printed, costs and
parameters are what we count; printed costs do not appear here, and a row without clip or views is listed with its
reason, never plotted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..core.errors import FlopcountError, InputError, UnknownNameError
from ..core.model_spec import ModelSpec
from ..core.pricing import LOW_TO_HIGH, TIMES
from ..core.protocol import ONE_VIEW, Protocol
from ..core.quantity import PICO
from ..core.result import Result, SavedReport
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.wording import assumed_lines
from ..count import count_named
from ..facts import dataset_classes
from ..facts.metrics import TOP1
from ..hardware.setting import Setting
from ..models import CARDS
from .candidates import (
    FLOW_BENCHMARKS,
    Candidate,
    benchmark_metric,
    candidates_on,
    find_benchmark,
    of_each_pretraining,
    require_compared,
)
from .chart_size import PAGE
from .comparison_rows import OURS, ComparedNetworks, Point, Row, Unplotted

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

__all__ = ["Comparison", "compare"]


class Comparison(ComparedNetworks, ShownAsTable):
    """Networks on one data set, as a table, a DataFrame and a chart."""

    def table(self) -> Table:
        """One row per point, by cost; the notes list what has no point."""
        spans = _SPANS if self.conditions else ()
        metric, flow = self.metric, self.dataset in FLOW_BENCHMARKS
        columns = (
            Column("network", "text"),
            Column("name", "text", drop=1, tone="quiet", minor=True),
            Column("family", "text", drop=2),
            Column("clip", "text", drop=6),
            *([Column("views", "text", drop=7)] if not flow else ()),
            Column(f"MACs per {self.view}", key="MACs per view"),
            Column(f"FLOPs per {self.view}", drop=4, key="FLOPs per view"),
            *([Column("MACs per video", drop=3 if spans else 8)] if not flow else ()),
            *spans,
            Column("params", drop=5),
            Column(metric.name, "text"),
            *([Column("top-5", "text", drop=3)] if metric is TOP1 else ()),
            Column("pre-training", "text", drop=6),
            Column("source of the accuracy", "text", drop=1),
        )
        cells = tuple(
            (
                *(row.title, row.name, row.family, str(row.clip)),
                *([row.views] if not flow else ()),
                *(row.macs, row.flops),
                *([row.macs_per_video] if not flow else ()),
                *(_span(row) if spans else ()),
                row.params,
                f"{row.score:g}",
                *(["" if row.top5 is None else f"{row.top5:g}"] if metric is TOP1 else ()),
                row.pretraining.described(row.pretrain) if row.pretraining else "",
                ", ".join(filter(None, (row.source, row.locator))),
            )
            for row in self.rows
        )
        title = f"cost against accuracy on {self.dataset}: costs counted here, accuracies as their sources print them"
        return Table(title, columns, cells, None, tuple(self._notes()))

    def _notes(self) -> Iterable[str]:
        if self.dataset in FLOW_BENCHMARKS:
            yield "each network is counted on a pair of the benchmark's frames, padded to the multiples that it takes"
            yield "printed errors are after training on FlyingChairs and FlyingThings3D, not on the benchmark"
        else:
            yield "each network is counted at the clip, crop and views of its own accuracy"
        own = [row.title for row in self.rows if row.family == OURS]
        if own:
            yield f"{OURS}, with the accuracy that you measured: {', '.join(own)}"
        yield "papers' GFLOPs are GMACs; FLOPs = 2 × MACs"
        yield from (f"{row.title}: {row.note}" for row in self.rows if row.note)
        unprinted: dict[tuple[str, ...], dict[str, None]] = {}
        for row in self.rows:
            if row.unprinted:
                unprinted.setdefault(row.unprinted, {})[row.title] = None
        for fields, titles in unprinted.items():
            words = " and ".join(fields)
            yield f"{words} not on the page of the accuracy, assumed from paper or code: {', '.join(titles)}"
        yield from (f"{line} ({row.title})" for row in self.rows for line in assumed_lines(row.assumed))
        if self.conditions:
            yield f"time of all views of a video, one after another, as estimated on {self.conditions}; {LOW_TO_HIGH}"
            yield from self.basis
            yield from (f"time unknown: {row.title}: {row.untimed}" for row in self.rows if row.times is None)
        for left in self.unplotted:
            yield f"not plotted: {_title(left.name)}: {left.why}" + (f" ({left.url})" if left.url else "")

    def to_pandas(self) -> pandas.DataFrame:
        """One row per point, exact, with the unit in every column's name.

        A column `assumed` is there where a count had to assume something. On a device there are the seconds of all
        views of a video, missing where they are unknown.
        """
        import pandas

        from ..output.frame import column_of

        columns = self._columns()
        for name, cells in columns.items():
            if name.endswith(("_percent", "_px", "_s_per_video")):  # numbers, even where all are missing
                columns[name] = [float("nan") if cell is None else cell for cell in cells]
        return pandas.DataFrame({name: column_of(cells) for name, cells in columns.items()})

    def to_json(self) -> str:
        """What the DataFrame has as one JSON object, with the networks that have no point and what times rest on."""
        columns = self._columns()
        data = {
            "dataset": self.dataset,
            "networks": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
            "unplotted": [{"network": row.name, "why": row.why} for row in self.unplotted],
            **({"time": {"conditions": self.conditions, "notes": list(self.basis)}} if self.conditions else {}),
        }
        return json.dumps(data, indent=2, ensure_ascii=False)

    def _columns(self) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = {
            "network": [row.name for row in self.rows],
            "label": [row.title for row in self.rows],
            "family": [row.family for row in self.rows],
            "clip": [str(row.clip) for row in self.rows],
            "views": [row.view_count for row in self.rows],
            "macs_per_view": [row.macs for row in self.rows],
            "flops_per_view": [row.flops for row in self.rows],
            "macs_per_video": [row.macs_per_video for row in self.rows],
            "params": [row.params for row in self.rows],
            self.metric.key: [row.score for row in self.rows],
            **({"top5_percent": [row.top5 for row in self.rows]} if self.metric is TOP1 else {}),
            "pretraining": [row.pretraining.value if row.pretraining else "" for row in self.rows],
            "pretrain": [row.pretrain for row in self.rows],
            "source": [row.source for row in self.rows],
            "url": [row.url for row in self.rows],
            "locator": [row.locator for row in self.rows],
        }
        if any(row.assumed for row in self.rows):
            columns["assumed"] = ["; ".join(row.assumed) for row in self.rows]
        if self.conditions:
            per_video = [row.times_per("video") for row in self.rows]
            for name in TIMES:
                columns[f"time_{name}_s_per_video"] = [None if t is None else getattr(t, name) for t in per_video]
            columns["on"] = [self.conditions] * len(self.rows)
            columns["time_unknown_because"] = [row.untimed or None for row in self.rows]
        return columns

    def plot(
        self,
        per: str = "view",
        ax: Axes | None = None,
        *,
        x: str = "macs",
        dark: bool = False,
        width: str = PAGE.name,
    ) -> Axes:
        """Cost (log) against accuracy; a new figure where `ax` is None.

        Arguments:
            per: "view" or "video".
            ax: where to draw.
            x: "macs", or the estimated "time" with its range.
            dark: on a dark ground.
            width: "3.3in" for a column of a paper, "7in" for both, "slide", or "page" for a screen.

        Raises:
            InputError: no row has a point.
        """
        from .figures.scatter import scatter

        return scatter(self, per, ax, x=x, dark=dark, width=width)


def _title(name: str) -> str:
    """A network's name in papers, where it has one."""
    return CARDS[name].label if name in CARDS else name


_SPANS = (
    Column("time per video", unit="s", pico=True, drop=9, key="time_s_per_video", tone="strong"),
    Column("low", unit="s", pico=True, drop=8, key="time_low_s_per_video"),
    Column("high", unit="s", pico=True, drop=8, key="time_high_s_per_video"),
)


def _span(row: Row) -> tuple[Any, ...]:
    times = row.times_per("video")
    if times is None:
        return "unknown", "", ""
    return tuple(round(seconds * PICO) for seconds in (times.estimate, times.low, times.high))


def compare(
    names: Sequence[str] = (),
    *,
    dataset: str = "kinetics400",
    source: str | None = None,
    points: Sequence[Point] = (),
    on: Setting | str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Comparison:
    """Count networks at the protocol of their published accuracy.

    Arguments:
        names: networks of the zoo; where empty, every network with an accuracy on the data set.
        dataset: as in datasets.csv, such as "kinetics400" or "Kinetics-400", or a benchmark of optical flow, such as
            "sintel_final".
        source: a part of the URL of the accuracy's source; the paper by default.
        points: the user's own models, counted here.
        on: a device to estimate times on, such as "rtx-4090"; a `Setting` also says how the networks run on it.
        progress: called with what is being counted.

    Raises:
        UnknownNameError: no such network, data set or device, or no row from that source.
        InputError: no network of the zoo has an accuracy on the data set.
        FlopcountError: one of the user's own models cannot be counted.
    """
    dataset = find_benchmark(dataset)
    metric = benchmark_metric(dataset)
    for name in names:
        if name not in CARDS:
            raise UnknownNameError(
                "network", name, CARDS, "see `flopcount list`; your own model is a point: --point LABEL=MODEL@TOP1"
            )
    timing = None if on is None else _Timing(Setting.named(on) if isinstance(on, str) else on)
    rows: list[Row] = []
    unplotted: list[Unplotted] = []
    accuracies = candidates_on(dataset)
    if not names and not points:
        require_compared(dataset)
    if source is not None and not any(source in one.url for found in accuracies.values() for one in found):
        sources = {one.source for found in accuracies.values() for one in found}
        raise UnknownNameError(
            "source", source, sources, f"choose a part of one of these URLs: {', '.join(sorted(sources))}"
        )
    selected = list(dict.fromkeys(names)) if names else list(accuracies)
    classes = dataset_classes().get(dataset)
    total = len(points) + len(selected)
    for number, point in enumerate(points, 1):  # first, since what is wrong with them stops it all
        progress(f"counting {point.model.name} ({number} of {total})")
        rows.append(_own(point, classes, timing))
    for number, name in enumerate(selected, len(points) + 1):
        progress(f"counting {name} ({number} of {total})")
        found = accuracies.get(name, [])
        candidates = [one for one in found if source is None or source in one.url]
        if not candidates:
            others = ", ".join(dict.fromkeys(one.source for one in found))
            why = f"no accuracy from {source}, only from {others}" if others else f"no accuracy on {dataset} is known"
            unplotted.append(Unplotted(name, why))
            continue
        for candidate in of_each_pretraining(candidates):
            outcome = _row(candidate, timing)
            if isinstance(outcome, Row):
                rows.append(outcome)
            else:
                unplotted.append(outcome)
    view = "pair of frames" if dataset in FLOW_BENCHMARKS else "view"
    rows.sort(key=lambda row: (row.macs, row.name))
    words = ("", ()) if timing is None else (timing.conditions, tuple(timing.basis))
    return Comparison(dataset, tuple(rows), tuple(unplotted), *words, metric, view)


class _Timing:
    """What networks are timed on: seconds of a view of each, and on what all of them rest."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.conditions = str(setting.conditions())
        self.basis: dict[str, None] = {}

    def of(self, report: Result) -> dict[str, Any]:
        """The times of a view, or why there are none, as a Row has them."""
        try:
            cost = self.setting.cost(report)
        except FlopcountError as error:
            return {"untimed": error.message}
        assert cost.result.pricing is not None
        self.basis |= dict.fromkeys(cost.result.pricing.notes)
        return {"times": cost.times.scaled(1 / (report.input.batch or 1))}

    def of_saved(self, saved: SavedReport) -> dict[str, Any]:
        """The times of a view that were saved, if they are of the same device and way to run."""
        pricing = saved.pricing
        if pricing is None or pricing.times is None:
            return {"untimed": "its report was saved without a time"}
        if pricing.conditions != self.conditions:
            return {"untimed": f"its report was saved with the time on {pricing.conditions}"}
        self.basis |= dict.fromkeys(pricing.notes)
        return {"times": pricing.times.scaled(1 / (saved.input.batch or 1))}


def _counted(spec: ModelSpec, protocol: Protocol, timing: _Timing | None) -> tuple[Result, dict[str, Any]]:
    """Counted strictly, since a point without all operators would look better than it is; and timed."""
    report = count_named(spec, protocol, strict=True, dataflow=timing is not None, saving=False)
    return report, {} if timing is None else timing.of(report)


def _row(candidate: Candidate, timing: _Timing | None) -> Row | Unplotted:
    card = candidate.card
    if candidate.lacks or candidate.score is None:
        return Unplotted(card.name, candidate.lacks, candidate.url)
    try:
        report, timed = _counted(candidate.spec, ONE_VIEW, timing)
    except FlopcountError as error:
        return Unplotted(card.name, error.message, candidate.url)
    return Row(
        name=card.name,
        family=card.family,
        clip=candidate.clip,
        views=candidate.views,
        view_count=candidate.view_count,
        macs=report.per_view.macs,
        params=report.params,
        score=candidate.score,
        top5=candidate.top5,
        pretrain=candidate.pretrain,
        source=candidate.source,
        url=candidate.url,
        locator=candidate.locator,
        label=candidate.label,
        note=candidate.note,
        unprinted=candidate.unprinted,
        **timed,
    )


def _own(point: Point, classes: int | None, timing: _Timing | None) -> Row:
    """The user's own model."""
    spec, views = point.model, point.protocol.views
    report: Result | SavedReport
    if point.saved is not None:
        report, timed = point.saved, {} if timing is None else timing.of_saved(point.saved)
    else:
        if spec.name in CARDS and spec.num_classes is None:  # the user's code knows its own
            spec = replace(spec, num_classes=classes)
        report, timed = _counted(spec, point.protocol, timing)
    if report.input.clip is None:
        fix = f"write {point.label}=...@{point.top1:g}@16x224x224"
        raise InputError(f"{spec.name} takes no clip", [("fix", "name a model of clips" if point.saved else fix)])
    if report.input.batch is None:
        why = f"the batch of {spec.name} is unknown, so its cost per view is too"
        raise InputError(why, [("fix", "say how many samples its inputs hold: --batch")])
    return Row(
        name=point.label,
        family=OURS,
        clip=report.input.clip,
        views=str(views),
        view_count=views.count,
        macs=report.per_view.macs,
        params=report.params,
        score=point.top1,
        top5=None,
        pretrain="",
        source="own measurement",
        url="",
        locator=spec.name,
        assumed=report.assumed,
        **timed,
    )
