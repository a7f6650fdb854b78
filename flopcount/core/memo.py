"""The memo of counts: the results and the costs of operator calls, kept from one count to the next.

Networks repeat their blocks, and programs count the same networks again, so nearly every call has been seen before.
What a call returns depends on the operator, on its arguments without their data (shapes, strides, dtypes, numbers with
their types) and on torch's default dtype; all of these are the key, so an answer stays valid. What a call costs depends
on its rule, which the memo keeps beside the cost and compares. The memo keeps shapes and integers, never a tensor or a
module.

Operators that are neither torch's nor flopcount's own are run anew in each count, since their authors may change them.
The memo keeps no failures. Within `anew`, which `count_flops(..., fast=False)` enters, nothing of it is read or
written.

Other state outlives a count too, and lives in other rooms: the registered rules, and caches of torch's operator schemas
(tracing), of the tables of facts, of candidates for a fit (symbolic) and of counts that several claims are compared
with (verification).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .ops import Signature, Workload

__all__ = ["LIMIT", "anew", "calls", "forget", "works"]

LIMIT = 16_384  # distinct calls, some 30 MB; a large network has a few hundred; a full memo is cleared

_calls: dict[Any, dict[Any, Any]] = {}
_works: dict[Signature, tuple[object, Workload]] = {}
_remembers = ContextVar("flopcount_remembers", default=True)


@contextmanager
def anew(wanted: bool = True) -> Iterator[None]:
    """If `wanted`, counts within this context, nested ones included, neither read nor write the memo.

    Every thread has a setting of its own, so counts in other threads are unaffected.
    """
    before = _remembers.set(_remembers.get() and not wanted)
    try:
        yield
    finally:
        _remembers.reset(before)


def calls(default_dtype: Any) -> dict[Any, Any] | None:
    """Call -> its signature and how to rebuild its result, by torch's default dtype; None within `anew`."""
    if not _remembers.get():
        return None
    answers = _calls.setdefault(default_dtype, {})
    if len(answers) > LIMIT:
        answers.clear()
    return answers


def works() -> dict[Signature, tuple[object, Workload]]:
    """Signature (by identity) -> its rule, and the work that the rule returned; an empty dict within `anew`."""
    if not _remembers.get():
        return {}
    if len(_works) > LIMIT:
        _works.clear()
    return _works


def forget() -> None:
    """Forget everything; the next count computes it all again."""
    _calls.clear()
    _works.clear()
