"""Published rows against our counts: match, cause, fits, undecided, unexplained or not checkable, cost and parameters.

A reading is a formula over the trace (readings.py); a row that none gives to its printed digits stays unexplained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ..core.errors import FlopcountError, UnknownNameError
from ..core.reason import Reason
from ..core.spelling import spelled
from ..facts import Published, Unmapped, ZooModel, published, zoo_model
from ..models import CARDS
from .candidates import Candidates, Count
from .cost_verdicts import cost_verdict
from .lecture import verify_lecture
from .other_figures import as_printed_elsewhere
from .params_verdicts import params_verdict
from .readings import Counted, count
from .verdict import Finding, RowVerdict, Verdict

__all__ = ["count_zoo", "judge", "only", "printing_rows", "verify_published"]


def count_zoo(model: ZooModel) -> Counted:
    """One trace of the network, from a cache where it was made before."""
    return count(model.spec)


def judge(row: Published, model: ZooModel | Unmapped, count: Count = count_zoo) -> RowVerdict:
    """The verdicts on one row.

    Arguments:
        row: what was printed.
        model: the network it speaks of, of the zoo or of a library by its prefix.
        count: counts that network; a test may give its own.
    """
    if isinstance(model, Unmapped):
        return _refused(row, model, Reason.in_words(model.why))
    if model.name not in CARDS and ":" not in model.name:
        return _refused(row, model, Reason("not in the zoo: {}", (model.name,)))
    try:
        counted = count(model)
    except FlopcountError as error:  # a clip or an option that this network does not take, or no such library here
        return _refused(row, model, Reason.in_words(error.message))
    params, classes = params_verdict(row, row.params, model, count) if row.params else (None, model.num_classes)
    cost = cost_verdict(row.cost, Candidates(row, replace(model, num_classes=classes), count)) if row.cost else None
    return RowVerdict(row, model, counted, cost, params)


def _refused(row: Published, model: ZooModel | Unmapped, why: Reason) -> RowVerdict:
    verdict = Verdict(Finding.NOT_CHECKABLE, (why,))
    return RowVerdict(row, model, None, verdict if row.cost else None, verdict if row.params else None)


def printing_rows(family: str | None = None, network: str | None = None) -> list[Published]:
    """Published rows that print a cost or parameters, of one family or of one network of the zoo.

    Raises:
        UnknownNameError: no row is of that family.
    """
    rows = [row for row in published() if row.cost or row.params]
    if family is not None:
        families = list(dict.fromkeys(row.family for row in rows))
        family = spelled(family, families)
        if family not in families:
            raise UnknownNameError("family", family, families, f"choose {', '.join(families)}")
        rows = [row for row in rows if row.family == family]
    if network is not None:
        rows = [row for row in rows if isinstance(model := zoo_model(row), ZooModel) and model.name == network]
    return rows


def verify_published(
    family: str | None = None, *, network: str | None = None, progress: Callable[[str], None] = lambda text: None
) -> tuple[RowVerdict, ...]:
    """Verdicts on every published row that prints a cost or parameters.

    Arguments:
        family: only the rows of one family, however its name is spelled.
        network: only the rows that speak of this network of the zoo.
        progress: called with what is being counted.

    Raises:
        UnknownNameError: no row is of that family.
    """
    rows = printing_rows(family, network)
    verdicts = []
    for number, row in enumerate(rows, 1):
        progress(f"counting {row.model} ({number} of {len(rows)})")
        verdicts.append(judge(row, zoo_model(row)))
    return tuple(as_printed_elsewhere(_recomputed(verdict), verdicts) for verdict in verdicts)


def only(verdicts: Iterable[RowVerdict], kinds: Iterable[str]) -> tuple[RowVerdict, ...]:
    """The rows of which a verdict is of one of these kinds."""
    wanted = set(kinds)
    return tuple(v for v in verdicts if wanted & {found.kind for found in (v.cost, v.params) if found})


_SLIDE = {"c3d_16x1": "total"}
"""Published rows from the lecture's slide, and which of its numbers they are."""


def _recomputed(verdict: RowVerdict) -> RowVerdict:
    """The slide's own arithmetic explains its total: it is the sum of the column that it prints."""
    item = _SLIDE.get(verdict.row.model)
    if item is None or verdict.cost is None or verdict.cost.kind is not Finding.UNEXPLAINED:
        return verdict
    for line in verify_lecture():
        if line.fact.item == item and line.fact.url == verdict.row.url and line.reading:
            return replace(verdict, cost=Verdict(Finding.CAUSE, (Reason.in_words(line.reading),)))
    return verdict
