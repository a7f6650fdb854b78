"""How long each layer of a module takes, by hooks that are removed afterwards."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..core.one_line import OneLine
from ..core.units import duration, plural
from .timing import clock_of

__all__ = ["LayerTime", "LayerTimes", "timed_layers"]


@dataclass(frozen=True, slots=True)
class LayerTime:
    """Seconds that a module takes in one pass by itself, without the modules in it; `calls` is how often it runs."""

    path: str
    type: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LayerTimes(OneLine):
    """Layers in the order in which they first run, and the pass that they are part of.

    All are means of the same passes, the faster half of those that ran: so they add up, and what disturbs one pass
    does not disturb them.

    A clock in front of and behind each layer takes time itself, and on CUDA it lets layers wait for one another, so
    the `whole` is longer than a pass without. `rest` is what no layer takes: `whole` minus the sum of the layers.
    """

    whole: float
    layers: tuple[LayerTime, ...]

    @property
    def rest(self) -> float:
        """Seconds of the whole that are no layer's."""
        return self.whole - sum(layer.seconds for layer in self.layers)

    def _headline(self) -> str:
        return f"{plural(len(self.layers), 'layer')} of a pass of {duration(self.whole)}"


class _Stopwatch:
    """Self times of modules in one pass: (start, seconds of the modules inside) of those that run now."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.running: list[list[float]] = []
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    def start(self, path: str) -> Callable[..., None]:
        """A hook in front of a module."""

        def hook(*_: Any) -> None:
            self.seconds.setdefault(path, 0.0)
            self.running.append([self.clock(), 0.0])

        return hook

    def stop(self, path: str) -> Callable[..., None]:
        """A hook behind it."""

        def hook(*_: Any) -> None:
            start, inside = self.running.pop()
            whole = self.clock() - start
            self.seconds[path] += whole - inside
            self.calls[path] = self.calls.get(path, 0) + 1
            if self.running:
                self.running[-1][1] += whole

        return hook


def timed_layers(
    module: nn.Module, run: Callable[[], object], device: torch.device, *, warmup: int = 1, repeats: int = 5
) -> LayerTimes:
    """Time every layer of a module in `repeats` passes of `run`; a module in several places has its first name."""
    clock = clock_of(device)
    watch = _Stopwatch(clock)
    kinds = {path: type(part).__name__ for path, part in module.named_modules()}
    handles = []
    try:
        for path, part in module.named_modules():
            if not isinstance(part, torch.jit.ScriptModule):  # which takes no hooks; its time is its parent's
                handles.append(part.register_forward_pre_hook(watch.start(path), prepend=True))
                handles.append(part.register_forward_hook(watch.stop(path)))
        passes, wholes = [], []
        for count in range(warmup + repeats):
            watch.seconds, watch.calls = {}, {}
            start = clock()
            run()
            whole = clock() - start
            if count >= warmup:
                passes.append((watch.seconds, watch.calls))
                wholes.append(whole)
    finally:
        for handle in handles:
            handle.remove()
    middle = statistics.median_low(wholes)
    kept = [entry for entry, whole in zip(passes, wholes, strict=True) if whole <= middle]
    paths = dict.fromkeys(path for seconds, _ in kept for path in seconds)
    layers = (
        LayerTime(
            path,
            kinds[path],
            max(calls.get(path, 0) for _, calls in kept),
            statistics.fmean(seconds.get(path, 0.0) for seconds, _ in kept),
        )
        for path in paths
    )
    return LayerTimes(statistics.fmean(whole for whole in wholes if whole <= middle), tuple(layers))
