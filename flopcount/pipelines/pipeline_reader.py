"""A pipeline that was saved as JSON, read back with its stages, parameters and units; its layers are not kept."""

from __future__ import annotations

from pathlib import Path

from ..core.quantity import TABLE
from ..core.result import UncostedRow
from ..output.json_node import Malformed, Node, read_saved
from ..output.report_json import SCHEMA
from ..output.report_json_reader import uncosted_row
from .pipeline import Pipeline
from .saved_stage import SavedPiece, SavedStage
from .stage import Stage
from .unit import Unit

__all__ = ["read_saved_pipeline"]


def read_saved_pipeline(path: str | Path) -> Pipeline:
    """Read a pipeline that `Pipeline.to_json()` or `flopcount pipeline FILE --format json` wrote.

    Its parameters can be changed. The layers of its stages are not read: `read_report` reads them, of the whole job.

    Raises:
        InputError: the file does not exist, is not JSON, has another schema or no stages, or contradicts itself.
    """
    fix = f"write it with flopcount pipeline JOB.toml --format json > {path}"
    return read_saved(path, SCHEMA, "pipeline", fix, _pipeline)


def _pipeline(data: Node) -> Pipeline:
    if "stages" not in data.object():
        raise Malformed("it has no stages: it is a report, which read_report reads")
    units = [
        Unit(row["unit"].text(), row["of"].text(), "" if row["stage"].value is None else row["stage"].text())
        for row in data["units"].items()
    ]
    batch = data["input"]["batch"]
    if batch.value == 0:
        raise Malformed(f"{batch.place} is 0")
    pipeline = Pipeline(
        [_stage(row) for row in data["stages"].items()],
        name=data["model"].text(),
        units=units,
        parameters=_parameters(data),
        assumed=data.lines("assumed"),
        notes=data.lines("notes"),
        facts=data["facts"].object(),
        batch=None if batch.value is None else batch.whole(),
    )
    saved, read = data["total"].amount(), pipeline.total
    for name, amount in read.counts.items():
        if saved.counts.get(name, amount) != amount:
            raise Malformed(f"its stages sum to {amount} {name}, but its total is {saved.counts[name]}")
    for row in data["stages"].items():
        name = row["name"].text()
        if row["times"].whole() != pipeline.times[name]:
            seen = f"{row['repeat'].text()} = {pipeline.times[name]}"
            raise Malformed(f"{row['times'].place} is {row['times'].value}, but its repeat is {seen}")
    return pipeline


def _parameters(data: Node) -> dict[str, object]:
    values = data["parameters"]
    return {name: values[name].value for name in values.object()}


def _stage(data: Node) -> Stage:
    name, repeat = data["name"].text(), data["repeat"].text()
    if "stages" in data.object():
        inner = [_stage(row) for row in data["stages"].items()]
        within = Pipeline(
            inner,
            name=data["model"].text(),
            parameters=_parameters(data),
            assumed=data.lines("assumed"),
            notes=data.lines("notes"),
        )
        return Stage(name, within, repeat)
    weights = data["weights"].text()
    stage = SavedStage(
        model=data["model"].text(),
        total=data["each"].amount(),
        key=f"weights of {weights}",
        pieces=tuple(map(_piece, data["grows"].items())) if "grows" in data.object() else (),
        uncosted=_uncosted(data),
        assumed=data.lines("assumed"),
        type=data["type"].text(),
    )
    return Stage(name, stage, repeat)


def _piece(data: Node) -> SavedPiece:
    of = data["differences"]
    differences = {}
    for name in of.object():
        if name not in TABLE:
            raise Malformed(f"{of.place} has {name}, which is no quantity")
        numbers = [_integer(number) for number in of[name].items()]
        if len(numbers) != _ORDERS:
            raise Malformed(f"{of[name].place} has {len(numbers)} differences, not {_ORDERS}")
        differences[name] = (numbers[0], numbers[1], numbers[2])
    return SavedPiece(data["start"].whole(), data["count"].whole(), differences)


_ORDERS = 3


def _integer(node: Node) -> int:
    """A difference, which may be negative."""
    if type(node.value) is not int:
        raise Malformed(f"{node.place} is {node.value!r}, not a whole number")
    return node.value


def _uncosted(data: Node) -> tuple[UncostedRow, ...]:
    return tuple(map(uncosted_row, data["uncosted"].items())) if "uncosted" in data.object() else ()
