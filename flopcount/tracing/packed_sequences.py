"""Attention over packed sequences, whose work depends on lengths that are values of a tensor.

What enters is a call; what leaves is the number of pairs of a query and a key of the same sequence. Lengths that cannot
be read, or that do not fit the tokens, count as the longest sequence, and the trace says so.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeAlias

import torch

from ..rules.attention_packed import LENGTHS
from .mode import RecordingMode
from .torch_private import OpOverload, out_of_sight

__all__ = ["is_on_packed_sequences", "pairs_of"]

Readable: TypeAlias = Callable[[torch.Tensor], bool]
ASSUMED = "every sequence of a packed attention is as long as the longest: the lengths are not known"


def is_on_packed_sequences(func: Any) -> bool:
    """Whether an operator may take packed sequences."""
    return isinstance(func, OpOverload) and str(func.overloadpacket) in LENGTHS


def pairs_of(mode: RecordingMode, func: Any, args: Any, kwargs: dict[str, Any], readable: Readable) -> int | None:
    """The pairs of one call, or None where no sequences are packed."""
    given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
    query, key, *names = LENGTHS[str(func.overloadpacket)]
    begins_q, begins_k, longest_q, longest_k, keys_used = (given.get(name) for name in names)
    if begins_q is None:
        return None
    tokens_q, tokens_k = given[query].shape[-3], given[key].shape[-3]
    queries = _lengths(begins_q, tokens_q, readable)
    keys = _values(keys_used, readable) or _lengths(begins_k, tokens_k, readable)
    if queries is not None and keys is not None and len(queries) == len(keys):
        return sum(q * k for q, k in zip(queries, keys, strict=True))
    mode.assume(ASSUMED)
    at_most = int(tokens_q * (longest_k or tokens_k))
    sequences = begins_q.shape[0] - 1
    return min(at_most, int(sequences * longest_q * longest_k)) if longest_q and longest_k else at_most


def _values(tensor: torch.Tensor | None, readable: Readable) -> list[int] | None:
    if tensor is None or not readable(tensor):
        return None
    with out_of_sight():
        values: list[int] = tensor.tolist()
    return values


def _lengths(begins: torch.Tensor | None, tokens: int, readable: Readable) -> list[int] | None:
    """The length of each sequence, if it is known where each begins; tokens behind the last are padding."""
    places = _values(begins, readable)
    if not places or not 0 < places[-1] <= tokens:  # zeros, which stand for values that nobody gave, are no lengths
        return None
    lengths = [end - begin for begin, end in pairwise(places)]
    return lengths if min(lengths, default=-1) >= 0 else None
