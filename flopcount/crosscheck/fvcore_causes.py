"""Why fvcore says something else: its formula for each of our operators, and whether its trace has it at all.

What enters is the operators of a real pass and the calls of fvcore's handles; what leaves is causes. fvcore's trace
lacks what no output uses and what an autograd.Function computes inside: an operator without its call there is missing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from .peer import Cause, Observed
from .peers.fvcore import FvcoreRun
from .peers.fvcore_formulas import Reading, Traced, read

__all__ = ["fvcore_causes"]


def fvcore_causes(operators: Iterable[Observed], run: FvcoreRun) -> Iterator[Cause]:
    """One cause per operator that fvcore counts otherwise."""
    calls: dict[str, list[tuple[Traced, Reading]]] = {}
    for traced in _as_traced(operators):
        calls.setdefault(traced.parts[0].op.module, []).append((traced, read(traced)))
    nodes: dict[tuple[str, str], list[int]] = {}
    for call in run.calls:
        nodes.setdefault((call.path, call.kind), []).append(call.amount)
    for path, found in calls.items():
        readings = [reading for _, reading in found]
        present = _present(readings, {r.kind: nodes.get((path, r.kind), []) for r in readings})
        for (traced, reading), counted in zip(found, present, strict=True):
            missing = len(counted) < len(reading.amounts)
            why = _absence(path, run) if missing else reading.why
            amount = sum(counted) - reading.ours
            if why and (amount or reading.raises):
                yield Cause("fvcore", path, traced.op, why, amount)


def _as_traced(operators: Iterable[Observed]) -> Iterator[Traced]:
    """Composite calls are whole in fvcore's trace: their parts, side by side here, are one operator there."""
    groups: list[list[Observed]] = []
    for observed in operators:
        whole = observed.part_of
        if whole is not None and groups and groups[-1][0].part_of is whole:
            groups[-1].append(observed)
        else:
            groups.append([observed])
    for group in groups:
        call = group[0].part_of or group[0].costed.op.signature
        yield Traced(call, tuple(observed.costed for observed in group))


def _present(readings: Sequence[Reading], nodes: dict[str, list[int]]) -> list[list[int]]:
    """Of each reading the amounts whose node is in fvcore's trace of this module (`nodes`: kind -> amounts).

    Both are in order of execution. As many nodes as expected: all are there. Fewer: each node stands for the next
    expected amount that it equals, and what is passed over is missing.
    """
    expected = Counter(reading.kind for reading in readings for _ in reading.amounts)
    complete = {kind: len(found) >= expected[kind] for kind, found in nodes.items()}
    left = {kind: deque(found) for kind, found in nodes.items()}
    present = []
    for reading in readings:
        counted = []
        for amount in reading.amounts:
            following = left[reading.kind]
            if complete[reading.kind]:
                counted.append(amount)
            elif following and following[0] == amount:
                counted.append(following.popleft())
        present.append(counted)
    return present


def _absence(path: str, run: FvcoreRun) -> str:
    functions = run.functions.get(path, ())
    if functions:
        return f"does not see into the autograd.Function {', '.join(functions)}"
    return "has no node for it in its trace, which drops what no output uses"
