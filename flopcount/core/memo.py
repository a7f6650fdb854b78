"""What one count worked out, kept for the next: which results calls have, and what they cost.

Networks repeat their blocks, and programs count the same networks again, so nearly every operator asks what has been
asked before: what comes out of this call, and what does it cost? The first depends on the operator, on its arguments
without their data (shapes, strides, dtypes, numbers with their types) and on torch's default dtype; all of that is the
key, so an answer holds for good. The second depends on the rule, which is kept beside it and compared. Kept are shapes
and integers, never a tensor or a module.

Operators outside of torch's own are asked anew in each count: whoever wrote them may change them. Failures are not
kept. Within `anew`, which `count_flops(..., fast=False)` enters, none of this is read or written.

Other state outlives a count too, and stays with who keeps it: the registered rules, and caches of what torch says of an
operator (tracing), of the tables of facts, of candidates for a fit (symbolic) and of counts that are compared with
several claims (verification).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .ops import Signature, Workload

__all__ = ["LIMIT", "anew", "calls", "forget", "works"]

LIMIT = 16_384  # distinct calls, some 30 MB; a large network has a few hundred, and more than that begins anew

_calls: dict[Any, dict[Any, Any]] = {}
_works: dict[Signature, tuple[object, Workload]] = {}
_remembers = ContextVar("flopcount_remembers", default=True)


@contextmanager
def anew(wanted: bool = True) -> Iterator[None]:
    """Where it is `wanted`, counts within look nothing up and keep nothing; a count nested in such a one neither.

    Every thread has a value of its own, so that counts in other threads go on as before.
    """
    before = _remembers.set(_remembers.get() and not wanted)
    try:
        yield
    finally:
        _remembers.reset(before)


def calls(default_dtype: Any) -> dict[Any, Any] | None:
    """Call -> its signature and how to make its result again, by torch's default dtype; None within `anew`."""
    if not _remembers.get():
        return None
    answers = _calls.setdefault(default_dtype, {})
    if len(answers) > LIMIT:
        answers.clear()
    return answers


def works() -> dict[Signature, tuple[object, Workload]]:
    """Signature (by identity) -> the rule that was asked, and the work it said; nothing yet within `anew`."""
    if not _remembers.get():
        return {}
    if len(_works) > LIMIT:
        _works.clear()
    return _works


def forget() -> None:
    """Forget everything; the next count works all out again."""
    _calls.clear()
    _works.clear()
