"""Video files and jobs -> tables: what is in a file, one job by stage, and many files with a row each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from ...core.amount import Amount, summed
from ...core.quantity import PICO, TABLE, counted, quantity_column
from ...core.result import CONVENTION, Result
from ...core.table import Column, Measured, Table
from ...core.units import duration, money, plural, times
from ...core.wording import assumed_lines, cost_text, missing_lines
from ...output.report_json import amount_data
from ..pipeline_json import pipeline_data
from .decode_time import summed_times
from .video_cost import VideoCost
from .video_file import VideoFile
from .video_job import VideoJob

__all__ = ["FileRow", "files_data", "files_table", "stored_files_table", "stored_table"]

_HOUR = 3600


def stored_table(video: VideoFile) -> Table:
    """What is in one file."""
    rate = "frames per second, on average" if video.varies else "frames per second"
    keys = [place for place, packet in enumerate(video.packets) if packet.key]  # also those that are not shown
    gaps = [later - sooner for sooner, later in pairwise([*keys, len(video.packets)])]
    rows: list[tuple[str, Any]] = [
        ("container and codec", f"{video.container}, {video.codec} ({video.pixel_format})"),
        ("frame, width × height", times((video.width, video.height))),
        ("frames", video.frames),
        (rate, Measured(_short(float(video.fps)))),
        ("length", Measured(float(video.duration), "s")),
        ("key frames", len(video.keys)),
        ("longest way from a key frame to the next", plural(max(gaps), "frame")),
        ("file", Measured(video.nbytes, "B")),
        ("the same as uint8, three colours", Measured(video.raw_bytes, "B")),
    ]
    if video.rotation:
        rows.insert(2, ("rotation by players", f"{video.rotation}°"))
    columns = (Column("what", "text"), Column("amount"))
    return Table(f"{video.path}: what is in it", columns, tuple(rows), None, video.notes)


def stored_files_table(found: Sequence[tuple[str, VideoFile | str]]) -> Table:
    """What is in several files, a row each; of a file that cannot be read, why."""
    columns = [
        Column("file", "text"),
        Column("codec", "text", drop=4, tone="quiet"),
        Column("size", "text", drop=1),
        Column("fps", "text", drop=3),
        Column("length", unit="s", pico=True),
        Column("frames", tally=True),
        Column("key frames", drop=5, tally=True),
        Column("bytes", unit="B", drop=6),
        Column("as uint8", unit="B", drop=2, key="raw_bytes"),
    ]
    if any(isinstance(video, str) for _, video in found):
        columns.append(Column("problem", "prose"))
    rows: list[tuple[Any, ...]] = []
    for path, video in found:
        if isinstance(video, str):
            rows.append((path, *([""] * (len(columns) - 2)), video))
            continue
        size = times((video.width, video.height))
        about = "about " * video.varies
        cells = (path, video.codec, size, f"{about}{float(video.fps):.4g}", round(video.duration * PICO))
        counts = (video.frames, len(video.keys), video.nbytes, video.raw_bytes)
        rows.append((*cells, *counts, *([""] * (len(columns) - 9))))
    bad = sum(isinstance(video, str) for _, video in found)
    notes = [f"{bad} of {len(found)} files could not be read, and are in no sum"] if bad else []
    notes += [f"{path}: {note}" for path, video in found if not isinstance(video, str) for note in video.notes]
    total = tuple(_totals(columns, rows))
    return Table(f"{len(found)} video files", tuple(columns), tuple(rows), total, tuple(notes))


def _short(value: float) -> float | int:
    return int(value) if value.is_integer() else value


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file of several: its job, with its cost on a device where one is named, or why there is none."""

    path: str
    job: VideoJob | None = None
    costs: tuple[VideoCost, ...] = ()
    problem: str = ""

    @property
    def cost(self) -> VideoCost | None:
        """On the only device, if there is one."""
        return self.costs[0] if self.costs else None


def files_table(rows: Sequence[FileRow], model: str) -> Table:
    """A row for each file, and a total over those that could be read."""
    done = [row.job for row in rows if row.job is not None]
    timed = [row.cost for row in rows if row.cost is not None]
    columns = [
        Column("file", "text"),
        Column("size", "text", drop=2, tone="quiet"),
        Column("length", unit="s", pico=True, drop=1),
        Column("frames", drop=4, tally=True),
        Column("views", drop=3, tally=True),
        Column("decoded", drop=5, tally=True),
        quantity_column(TABLE["macs"], always=True),
        quantity_column(TABLE["other_flops"]),
    ]
    if timed:
        columns += [
            replace(quantity_column(TABLE["time"]), name="decode", key="decode_time", drop=6),
            replace(quantity_column(TABLE["time"]), name="stages", key="stages_time", drop=0),
        ]
    if any(cost.stages.money is not None for cost in timed):
        columns.append(Column("money", "text", drop=7))
    if any(row.problem for row in rows):
        columns.append(Column("problem", "prose"))
    body = tuple(tuple(_cells(row).get(column.key or column.name, "") for column in columns) for row in rows)
    total = tuple(_totals(columns, body))
    return Table(f"{model} on {len(rows)} files", tuple(columns), body, total, tuple(_file_notes(rows, done, timed)))


def _cells(row: FileRow) -> dict[str, Any]:
    cells: dict[str, Any] = {"file": row.path, "problem": row.problem}
    if row.job is None:
        return cells
    plan, whole = row.job.plan, row.job.pipeline.total
    cells |= {
        "size": times((plan.video.width, plan.video.height)),
        "length": round(plan.video.duration * PICO),
        "frames": plan.video.frames,
        "views": plan.views.count,
        "decoded": plan.decoding.frames,
        "macs": whole.macs,
        "other_flops": whole.other_flops,
    }
    if row.cost is not None:
        decode = row.cost.decode
        cells["decode_time"] = "" if decode is None else round(decode.seconds * PICO)
        cells["stages_time"] = round(row.cost.stages.estimate * PICO)
        price = row.cost.stages.money
        if price is not None and decode is not None and row.cost.paid is not None:
            cells["money"] = money(row.cost.paid, price.currency)
    return cells


def _totals(columns: Sequence[Column], body: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
    for at, column in enumerate(columns):
        if at == 0:
            yield "total"
        elif column.kind in ("text", "prose"):
            yield ""
        else:
            known = [row[at] for row in body if row[at] != ""]
            done = sum(row[-1] == "" or columns[-1].name != "problem" for row in body)
            yield sum(known) if len(known) == done else ""  # a sum of some would look like that of all


def _file_notes(rows: Sequence[FileRow], done: Sequence[VideoJob], timed: Sequence[VideoCost]) -> Iterator[str]:
    bad = len(rows) - len(done)
    if bad:
        yield f"{bad} of {len(rows)} files could not be counted, and are in no sum"
    if done:
        first = done[0].pipeline.result
        yield from missing_lines(first) if isinstance(first, Result) else assumed_lines(first.assumed)
        whole = summed(job.pipeline.total for job in done)
        length = sum(job.plan.video.duration for job in done)
        yield f"total: {cost_text(whole)}; {duration(float(length))} of video"
        yield f"per hour of video: {cost_text(whole * (_HOUR * length.denominator) // length.numerator)}"
    for job in done:
        yield from (line for line in job.plan.lines() if line.startswith(job.plan.video.path))
    yield from _time_notes(timed)
    yield f"convention: {CONVENTION}"


def _time_notes(costs: Sequence[VideoCost]) -> Iterator[str]:
    if not costs:
        return
    first = costs[0].stages
    yield f"stages: {first.conditions}; {first.basis_words}"
    yield from dict.fromkeys(f"decode: {cost.decode.words}" for cost in costs if cost.decode is not None)
    spent = _spent(costs)
    length = sum(float(cost.plan.video.duration) for cost in costs)
    if spent["decode_seconds"] is None:
        yield "decode: of some files nobody published how fast they are decoded; --measure-decode measures it here"
        yield f"time: {duration(spent['stages_seconds'])} of the stages alone, without decoding"
        waits = "for the stages alone"
    else:
        share = 100 * spent["decode_seconds"] / spent["seconds"]
        speed = f"{length / spent['seconds']:.3g}× real time"
        yield f"time: {duration(spent['seconds'])}, {speed}; {share:.0f}% of it is decoding"
        waits = "if the device waits while frames are decoded"
    if spent["money"] is not None:
        whole, hourly = (
            money(amount, spent["currency"]) for amount in (spent["money"], spent["money"] * _HOUR / length)
        )
        yield f"money: {whole}, {hourly} per hour of video, {waits}"


def _spent(costs: Sequence[VideoCost]) -> dict[str, Any]:
    """Seconds and money of all files; the decoding is None, and in no sum, if it is unknown of one."""
    decode = summed_times(cost.decode for cost in costs)
    stages = sum(cost.stages.estimate for cost in costs)
    seconds = stages + (decode.seconds if decode else 0)
    prices = [price for cost in costs if (price := cost.stages.money) is not None]
    paid = [
        price.amount * (cost.seconds if decode else cost.stages.estimate) / cost.stages.estimate
        for cost, price in zip(costs, prices, strict=False)
    ]
    return {
        "decode_seconds": None if decode is None else decode.seconds,
        "stages_seconds": stages,
        "seconds": None if decode is None else seconds,
        "money": sum(paid) if len(paid) == len(costs) else None,
        "currency": prices[0].currency if prices else None,
    }


def files_data(rows: Sequence[FileRow], model: str) -> dict[str, Any]:
    """For JSON: each file with its job, and what they are together; of several files without the layers."""
    done = [row for row in rows if row.job is not None]
    jobs = [row.job.pipeline.total for row in done if row.job is not None]
    owned = [quantity.name for quantity in counted() if quantity.of_module is not None]
    once = jobs[0].only(owned).counts if jobs else {}  # all have the same weights
    whole = Amount({**summed(jobs).counts, **once})
    costs = [row.cost for row in done if row.cost is not None]
    return {
        "schema": "flopcount/video/1",
        "model": model,
        "files": [_file_data(row, whole=len(rows) == 1) for row in rows],
        "total": {
            "files": len(done),
            "seconds": float(sum(row.job.plan.video.duration for row in done if row.job is not None)),
            **(amount_data(whole) if done else {}),
            **({"cost": _spent(costs)} if costs else {}),
        },
    }


_OF_LAYERS = ("modules", "operators")


def _file_data(row: FileRow, *, whole: bool) -> dict[str, Any]:
    if row.job is None:
        return {"file": row.path, "problem": row.problem}
    stages = [cost.stages for cost in row.costs]
    job = pipeline_data(row.job.pipeline, stages)
    return {
        "file": row.path,
        **row.job.plan.data(),
        "job": {key: value for key, value in job.items() if whole or key not in _OF_LAYERS},
        "cost": [cost.data() for cost in row.costs],
    }
