"""Counting everything a library has: one row per model, whatever happens to it; a model that is skipped has failed.

What enters is a library and a pattern of names; what leaves is a Survey, a row for each model with its cost or with the
reason why there is none.
"""

from __future__ import annotations

import contextlib
import csv
import fnmatch
import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import FlopcountError, InputError, UnknownNameError
from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.protocol import Clip
from ..core.registries import PREFIXES
from ..core.result import Result
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import times
from ..count import count_named
from ..models import CARDS
from ..models.library_registry import find_library

__all__ = ["Survey", "SurveyRow", "named_models", "renewed", "survey", "survey_of_csv"]

ZOO = "zoo"
VIDEO = Clip(17, 256, 256)  # what models of a video work on where they do not say: it gives all of them whole patches
LARGEST = 750_000_000  # parameters at most that are allocated for a model that cannot run without them: 3 GB


@dataclass(frozen=True, slots=True)
class SurveyRow(OneLine):
    """One model: what it was counted with and what it costs, or why it could not be counted."""

    name: str
    input: str = ""
    params: int | None = None
    macs: int | None = None
    other_flops: int | None = None
    engine: str = ""
    uncosted: tuple[str, ...] = ()
    problem: str = ""
    assumed: tuple[str, ...] = ()

    @property
    def library(self) -> str:
        """The library of the model."""
        return self.name.rpartition(":")[0] or ZOO

    @property
    def why(self) -> str:
        """Why the model is not fully counted; empty where it is."""
        return self.problem or (f"uncosted: {', '.join(self.uncosted)}" if self.uncosted else "")

    @property
    def counted(self) -> bool:
        """Whether there is a cost, and nothing is missing from it."""
        return not self.why


@dataclass(frozen=True, slots=True)
class Survey(ShownAsTable):
    """All models asked for."""

    what: str
    rows: tuple[SurveyRow, ...]

    @property
    def complete(self) -> bool:
        """Whether every model was counted, strictly."""
        return all(row.counted for row in self.rows)

    def table(self) -> Table:
        """One row per model."""
        columns = (
            Column("model", "text"),
            Column("input", "text", drop=3),
            Column("params", drop=2),
            Column("MACs", tone="strong"),
            Column("other", drop=4, tone="quiet"),
            Column("engine", "text", drop=1),
            Column("problem", "prose"),
            Column("assumed", "prose", drop=5, minor=True),
        )
        rows = tuple(
            (
                row.name,
                row.input,
                "" if row.params is None else row.params,
                "" if row.macs is None else row.macs,
                "" if row.other_flops is None else row.other_flops,
                row.engine,
                row.why,
                "; ".join(row.assumed),
            )
            for row in self.rows
        )
        return Table(f"survey of {self.what}", columns, rows, None, tuple(self._notes()))

    def summary(self) -> Table:
        """One row per library, and why models failed."""
        libraries: dict[str, list[SurveyRow]] = {}
        for row in self.rows:
            libraries.setdefault(row.library, []).append(row)
        columns = (Column("library", "text"), Column("attempted"), Column("counted"), Column("failed"))
        rows = tuple((library, *_tally(library_rows)) for library, library_rows in libraries.items())
        return Table(f"survey of {self.what}", columns, rows, ("total", *_tally(self.rows)), tuple(self._reasons()))

    def _notes(self) -> Iterator[str]:
        attempted, counted, failed = _tally(self.rows)
        yield f"attempted {attempted}, counted {counted}, failed {failed}"
        yield from self._reasons()
        for row in self.rows:
            if row.assumed:
                yield f"{row.name} assumes {'; '.join(row.assumed)}"

    def _reasons(self) -> Iterator[str]:
        reasons = Counter(_kind_of(row) for row in self.rows if not row.counted)
        for reason, count in reasons.most_common():
            yield f"{count} × {reason}"

    def _headline(self) -> str:
        return f"{self.what}: {sum(row.counted for row in self.rows)} of {len(self.rows)} counted"


_HEADINGS = ["model", "input", "params", "MACs", "other", "engine", "problem", "assumed"]


def survey_of_csv(text: str, file: str) -> tuple[SurveyRow, ...]:
    """The rows of an earlier survey, as its table is written with `--format csv`.

    Raises:
        InputError: the text is no such table; the message names the line.
    """
    reader = csv.DictReader(io.StringIO(text))
    if reader.fieldnames != _HEADINGS:
        fix = [("seen", ",".join(reader.fieldnames or ())), ("fix", "name a file written with --format csv --write")]
        raise InputError(f"{file} is no survey", fix)
    rows = []
    for row in reader:
        counts = [row[heading] for heading in _HEADINGS[2:5]]
        if not row["model"] or not all(count == "" or count.isdecimal() for count in counts):
            raise InputError(f"{file} has a malformed row", [("in", f"line {reader.line_num}")])
        params, macs, other = (int(count) if count else None for count in counts)
        assumed = (row["assumed"],) if row["assumed"] else ()
        rows.append(
            SurveyRow(row["model"], row["input"], params, macs, other, row["engine"], (), row["problem"], assumed)
        )
    return tuple(rows)


def renewed(earlier: Sequence[SurveyRow], survey: Survey) -> Survey:
    """An earlier survey with every row of the libraries of `survey` replaced; those of other libraries stay."""
    again = {row.library for row in survey.rows}
    libraries: dict[str, list[SurveyRow]] = {}
    for row in (*(row for row in earlier if row.library not in again), *survey.rows):
        libraries.setdefault(row.library, []).append(row)
    order = [library for library in (ZOO, *PREFIXES) if library in libraries]
    rows = [row for library in order for row in libraries[library]]
    return Survey(", ".join(order), tuple(rows))


def _tally(rows: Sequence[SurveyRow]) -> tuple[int, int, int]:
    """Attempted, counted, failed."""
    counted = sum(row.counted for row in rows)
    return len(rows), counted, len(rows) - counted


def _kind_of(row: SurveyRow) -> str:
    """A reason without what differs from model to model: names in quotes and numbers."""
    model = row.name.rpartition(":")[2]
    text = row.why.replace(f"{model} raised", "the model raised")
    return re.sub(r"\d+", "N", re.sub(r"'[^']*'|\"[^\"]*\"", "…", text))


def named_models(what: str) -> list[tuple[ModelSpec, ...]]:
    """The models of "LIBRARY[:GLOB]", each with the options to try in turn.

    Raises:
        UnknownNameError: no such library.
        InputError: the library is not installed, or nothing in it matches.
    """
    library, _, pattern = what.partition(":")
    if library not in (ZOO, *PREFIXES):
        raise UnknownNameError("library", library, (ZOO, *PREFIXES), f"choose {', '.join((ZOO, *PREFIXES))}")
    names = list(CARDS) if library == ZOO else sorted(find_library(library).model_names())
    matching = [name for name in names if fnmatch.fnmatchcase(name, pattern or "*")]
    if not matching:
        fix = f"{library} has {len(names)} models, such as {', '.join(names[:3])}"
        raise InputError(f"no model of {library} matches {pattern!r}", [("fix", fix)])
    if library == ZOO:
        return [(ModelSpec(name),) for name in matching]
    tries = {f"{library}:{name}": find_library(library).options_to_try(name) for name in matching}
    videos = (None, VIDEO) if find_library(library).takes_video else (None,)
    return [
        tuple(ModelSpec(name, options=options, video=video) for video in videos for options in several)
        for name, several in tries.items()
    ]


def survey(
    models: Sequence[Sequence[ModelSpec]],
    what: str,
    progress: Callable[[str], None] = lambda name: None,
) -> Survey:
    """Count each model at the input it expects; `progress` gets each name before its count."""
    rows = []
    for tries in models:
        progress(tries[0].name)
        rows.append(_first_counted(tries))
    return Survey(what, tuple(rows))


def _first_counted(tries: Sequence[ModelSpec]) -> SurveyRow:
    """The row of the first options that work; where none do, the row of those with the fewest options."""
    rows = []
    for spec in tries:
        row = _row(spec)
        if row.counted:
            return row
        rows.append((len(spec.options), row))
    return min(rows, key=lambda entry: entry[0])[1]


def _row(spec: ModelSpec) -> SurveyRow:
    name = spec.name
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            report = count_named(spec, max_params=LARGEST)
    except FlopcountError as error:
        return SurveyRow(name, problem=error.message.removeprefix(f"{name} "))
    except (Exception, SystemExit) as error:  # any library code may fail, and the survey has to finish
        return SurveyRow(name, problem=f"{type(error).__name__}: {error}".splitlines()[0])
    return SurveyRow(
        name=name,
        input=_input_text(report, spec),
        params=report.params,
        macs=report.macs,
        other_flops=report.other_flops,
        engine=report.engine,
        uncosted=tuple(row.op for row in report.uncosted),
        assumed=report.assumed,
    )


def _input_text(report: Result, spec: ModelSpec) -> str:
    shapes = ", ".join(times(shape) for shape in report.input.shapes)
    video = f", of a video of {spec.video}" if spec.video else ""
    return shapes + video + "".join(f", {key}={_short(value)}" for key, value in spec.options.items())


def _short(value: Any) -> str:
    """A value as text, a list of equal items by its length."""
    repeats = isinstance(value, list) and len(value) > 1 and all(item == value[0] for item in value)
    return f"{len(value)} × {value[0]}" if repeats else str(value)
