"""The memo of the first engine: each distinct call is computed once, by its shapes, and answered from then on."""

from __future__ import annotations

from typing import Any

import torch

from .attribution import ModulePath
from .dataless import DatalessMode
from .guard.keeper import Keeper
from .inputs import map_tensors
from .kernels import meta_like, on_cpu, outgrows, rebuild, run_kernel, sizes, with_device
from .layout import Layout, layout_of
from .misfits import refuse_misfit
from .remembered import Argument, Calls, Known
from .shapes import shape_of
from .signatures import call_key, make_signature

__all__ = ["KNOWN_LIMIT", "AnswersMode"]

KNOWN_LIMIT = 16_384  # elements; index and mask arithmetic is smaller, feature maps are larger
_UNCHANGING = {"aten", "flopcount"}
"""Namespaces whose operators do the same in every count; others are their authors', who may define them anew."""


class AnswersMode(DatalessMode):
    """Keeps the answers to earlier calls; without `calls` there are none, and every call is computed."""

    def __init__(
        self, path: ModulePath, known_limit: int = KNOWN_LIMIT, calls: Calls = None, keeper: Keeper | None = None
    ) -> None:
        super().__init__(path, known_limit, keeper)
        self.fast = calls is not None
        self.kept_calls: dict[Any, Any] = calls if calls is not None else {}
        self.other_calls: dict[Any, Any] = {}

    def _functional(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if self._knows_all(args, kwargs) and not outgrows(func, args, self.known_limit):
            return self._compute(func, args, kwargs)
        calls, key = self._place(func, args, kwargs)
        answer = calls.get(key)
        if answer is None:
            answer = calls[key] = self._first_time(func, args, kwargs)
        self.record(answer.signature)
        result = answer.result
        if type(result) is Layout:
            return result.empty()
        return args[result.position] if isinstance(result, Argument) else rebuild(result)

    def _place(self, func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[dict[Any, Known], Any]:
        """The dictionary that keeps the answer to this call, and its key."""
        key = call_key(func, args, kwargs, self.used)
        if not self.fast:
            return {}, None
        return self._kept(func), key

    def _kept(self, func: Any) -> dict[Any, Known]:
        """The answers to calls of such operators: to keep, or for this count."""
        return self.kept_calls if getattr(func, "namespace", "") in _UNCHANGING else self.other_calls

    def _compute(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Small index and mask arithmetic, for real."""
        if kwargs:
            self._keep_generator(kwargs)
        result = func(*map_tensors(on_cpu, args), **with_device(func, map_tensors(on_cpu, kwargs), "cpu"))
        self._ran(func, args, kwargs, result)
        self._record_call(func, args, kwargs, result)
        return map_tensors(self._unless_small, result)

    def _unless_small(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if tensor.is_meta or tensor.numel() <= self.known_limit else meta_like(tensor)

    def _first_time(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Known:
        """Use flopcount's own shape function if it handles the call, and torch's meta kernel otherwise."""
        shape = shape_of(func) if self.fast else None
        if shape is not None:
            layout = shape(*map_tensors(layout_of, args), **map_tensors(layout_of, kwargs))
            if layout is not None:
                return Known(make_signature(func, args, kwargs, layout, is_view=False), layout)
        refuse_misfit(func, args)
        metas = map_tensors(self._without_data, args)
        result = run_kernel(func, metas, with_device(func, map_tensors(self._without_data, kwargs), "meta"))
        signature = make_signature(func, args, kwargs, result, is_view=False)
        for position, meta in enumerate(metas):
            if result is meta:  # for example, dropout in eval mode returns its input
                return Known(signature, Argument(position))
        return Known(signature, map_tensors(layout_of, result))

    def _without_data(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor for torch's kernel; where memory is followed a new one, since Python's kernels may keep it."""
        return meta_like(tensor) if self.follower is None else layout_of(tensor).empty()

    def _record_call(
        self, func: Any, args: Any, kwargs: Any, result: Any, *, is_view: bool = False, pairs: int | None = None
    ) -> None:
        """Record a call with its result and `pairs`, which are part of the key, since values may determine them."""
        calls = self._kept(func)
        key = call_key(func, args, kwargs, self.used), is_view, pairs, sizes(result)
        answer = calls.get(key)
        if answer is None:
            answer = calls[key] = Known(make_signature(func, args, kwargs, result, is_view=is_view, pairs=pairs))
        self.record(answer.signature)
