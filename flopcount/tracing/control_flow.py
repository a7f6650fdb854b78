"""Control flow as operators (`cond`, `while_loop`, `scan`, `map`), run as the plain Python that they stand for.

Torch hands the bodies of these operators to a mode below autograd, where gradients, tangents and calls of modules are
out of sight. So a count runs a body once per trip, as the forward pass does, and records what it costs like all else. A
condition whose values are not known asks for them, as `.item()` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .torch_private import HigherOrderOperator, is_batched, pytree

__all__ = ["as_python"]


def as_python() -> list[tuple[Any, str, Any, Any]]:
    """The place where torch calls such operators, as `compiled_code_paths`."""
    calls: Any = HigherOrderOperator.__call__

    def call(operator: Any, /, *args: Any, **kwargs: Any) -> Any:
        run = _RUNS.get(operator.name()) if not torch.compiler.is_compiling() else None  # a graph keeps the operator
        if run is None or (run is _cond and _under_vmap(args[0])):  # under vmap both branches run
            return calls(operator, *args, **kwargs)
        return run(*args, **kwargs)

    return [(HigherOrderOperator, "__call__", calls, call)]


def _under_vmap(pred: Any) -> bool:
    return isinstance(pred, torch.Tensor) and is_batched(pred)


def _cond(pred: Any, true_fn: Any, false_fn: Any, operands: Any = ()) -> Any:
    return (true_fn if pred else false_fn)(*operands)


def _while_loop(cond_fn: Any, body_fn: Any, carried: Any, additional: Any = (), **_: Any) -> Any:
    result = tuple(carried)
    while cond_fn(*pytree.tree_leaves(result), *additional):
        result = body_fn(*pytree.tree_leaves(result), *additional)
    return result


def _scan(combine_fn: Any, init: Any, xs: Any, additional: Any = ()) -> Any:
    """A function of the user returns what it carries and its result, each nested; a graph returns one flat list."""
    nested = "spec_init" in getattr(combine_fn, "keywords", ())
    carried, results = list(init), []
    for trip in range(len(xs[0])):
        combined = combine_fn(*pytree.tree_leaves(carried), *[x[trip] for x in xs], *additional)
        carried, result = combined if nested else (combined[: len(init)], combined[len(init) :])
        results.append(result)
    return (carried, _stacked(results)) if nested else [*carried, *_stacked(results)]


def _map(body: Any, xs: Any, additional: Any = (), **_: Any) -> Any:  # torch 2.15 also says what the body writes to
    return _stacked([body(*[x[trip] for x in xs], *additional) for trip in range(len(xs[0]))])


def _stacked(results: list[Any]) -> Any:
    """The results of all trips, stacked leaf by leaf; a leaf may be None."""
    of_trips = zip(*map(pytree.tree_leaves, results), strict=True)
    stacked = [torch.stack(leaves) if isinstance(leaves[0], torch.Tensor) else leaves[0] for leaves in of_trips]
    return pytree.tree_unflatten(stacked, pytree.tree_structure(results[0]))


_RUNS: dict[str, Callable[..., Any]] = {"cond": _cond, "while_loop": _while_loop, "scan": _scan, "map_impl": _map}
