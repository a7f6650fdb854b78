"""The time on a device at every clip of a page's sliders, from a grid of at most 40 counts.

A time has no closed form, but MACs and bytes have. Over the grid the time is fitted by w0 + w1·MACs + w2·bytes, and
what is left, the ratio of a count's time to the fit, is interpolated in logarithms between neighbours. So a clip of the
grid has exactly the time of its count, and one between follows the exact cost. Counts between the points of the grid,
which are not used, say how far off that is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import exp, log, prod, sqrt

import numpy as np

from ..core.amount import Amount
from ..core.errors import FlopcountError
from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.pricing import TIMES, Times
from ..core.protocol import Clip, Protocol
from ..count import count_named
from ..hardware.setting import Setting
from ..symbolic import ClosedForm
from ..symbolic.axes import Axes
from ..symbolic.form import Domain
from .axis_range import axis_range

__all__ = ["Curve", "TimeGrid", "time_grid"]

_POINTS = {0: (), 1: (12,), 2: (6, 6), 3: (4, 3, 3)}
"""Sizes along each axis, by how many axes move."""
_CHECKS = 4
_FEATURES = (("macs",), ("bytes_read", "bytes_written"))
"""What a time is fitted by, beside a constant; each a sum of quantities."""


@dataclass(frozen=True, slots=True)
class Curve(OneLine):
    """One of the numbers of a time at every clip: weights of the fit, and logarithms of the ratios to it, by point."""

    weights: tuple[float, ...]
    ratios: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TimeGrid(OneLine):
    """The times of a model's clips; `curves` has bound, estimate, low and high by name.

    Arguments:
        axes: those that move.
        sizes: of each axis, ascending; the points are their product, the last axis fastest.
        features: sums of quantities that the fit is by, after its constant.
        curves: by name of the number.
        checked: how many counts between the points were compared.
        error: the largest relative error of the estimate among them.
    """

    axes: tuple[str, ...]
    sizes: tuple[tuple[int, ...], ...]
    features: tuple[tuple[str, ...], ...]
    curves: Mapping[str, Curve]
    checked: int
    error: float

    @property
    def words(self) -> str:
        """How the times between the counts come about, and how far off they are."""
        off = f"; at {self.checked} clips between them at most {100 * self.error:.2g} % off" if self.checked else ""
        exact = " and ".join("MACs" if names == ("macs",) else "bytes" for names in self.features)
        along = f", along the exact {exact}" if exact else ""  # a network may have no closed form of either
        return f"interpolated between {self.counted} counts{along}{off}"

    @property
    def counted(self) -> int:
        """Counts that the grid is made of."""
        return prod(map(len, self.sizes))

    def at(self, sizes: Mapping[str, int], cost: Amount) -> Times:
        """Seconds at these sizes, whose exact cost is given."""
        values = {name: self._value(curve, sizes, cost) for name, curve in self.curves.items()}
        estimate = values["estimate"]
        return Times(
            min(values["bound"], estimate), estimate, min(values["low"], estimate), max(values["high"], estimate)
        )

    def _value(self, curve: Curve, sizes: Mapping[str, int], cost: Amount) -> float:
        fit = _fit(curve.weights, self.features, cost)
        between = [_shares(along, sizes[axis]) for axis, along in zip(self.axes, self.sizes, strict=True)]
        shares = [prod(point) for point in itertools.product(*between)]
        return fit * exp(sum(share * ratio for share, ratio in zip(shares, curve.ratios, strict=True)))


def _fit(weights: Sequence[float], features: Sequence[Sequence[str]], cost: Amount) -> float:
    return weights[0] + sum(
        weight * sum(cost[name] for name in names) for weight, names in zip(weights[1:], features, strict=True)
    )


def _shares(along: Sequence[int], size: int) -> list[float]:
    """How much each point of an axis counts at a size: two neighbours share, by its logarithm."""
    shares = [0.0] * len(along)
    above = next((index for index, point in enumerate(along) if point >= size), len(along) - 1)
    if along[above] == size or above == 0:
        shares[above] = 1.0
        return shares
    low, high = along[above - 1], along[above]
    shares[above] = log(size / low) / log(high / low)
    shares[above - 1] = 1 - shares[above]
    return shares


def time_grid(
    spec: ModelSpec,
    protocol: Protocol,
    form: ClosedForm,
    setting: Setting,
    progress: Callable[[str], None] = lambda clip: None,
) -> TimeGrid:
    """Count the grid of a model's sliders.

    Arguments:
        spec: what is counted.
        protocol: the batch.
        form: its closed form, whose axes are the sliders.
        setting: the device, and how the model runs on it.
        progress: called with each clip that is counted.

    Raises:
        FlopcountError: the model refuses a clip of the form's domain, or the device lacks what its dtype needs.
    """
    moving = [domain for domain in form.domains if not domain.pinned][: max(_POINTS)]
    numbers = _POINTS[len(moving)]
    sizes = tuple(_sizes(domain, number) for domain, number in zip(moving, numbers, strict=True))
    axes = tuple(domain.axis for domain in moving)
    features = tuple(names for names in _FEATURES if all(name in form.parts for name in names))

    def counted(point: Sequence[int]) -> tuple[Times, Amount]:
        at = {domain.axis: domain.base for domain in form.domains} | dict(zip(axes, point, strict=True))
        progress("×".join(map(str, at.values())))
        result = count_named(_at(spec, at), Protocol(batch=protocol.batch), dataflow=True, saving=False)
        return setting.cost(result).times, result.total

    points = [counted(point) for point in itertools.product(*sizes)]
    curves = {name: _curve([asdict(t)[name] for t, _ in points], [c for _, c in points], features) for name in TIMES}
    grid = TimeGrid(axes, sizes, features, curves, 0, 0.0)
    errors = []
    for point in _between(moving, sizes):
        try:
            times, cost = counted(point)
        except FlopcountError:  # the domain of a form may have a hole that no point of the grid is in
            continue
        estimate = grid.at(dict(zip(axes, point, strict=True)), cost).estimate
        errors.append(abs(estimate / times.estimate - 1))
    return replace(grid, checked=len(errors), error=max(errors, default=0.0))


def _at(spec: ModelSpec, sizes: Mapping[str, int]) -> ModelSpec:
    """The spec at other sizes of its clip, or of its inputs."""
    if spec.inputs:
        return replace(spec, inputs=Axes.of(spec.inputs, tuple(sizes), spec.layouts).resized(tuple(sizes.values())))
    side = sizes.get("S", 0)
    return replace(spec, clip=Clip(sizes["T"], sizes.get("H", side), sizes.get("W", side)))


def _sizes(domain: Domain, number: int) -> tuple[int, ...]:
    """So many sizes of a slider, its ends and the base among them, the others where the gaps are widest."""
    sizes = {*axis_range(domain.base, domain.minimum, domain.step), domain.base}
    while len(sizes) < number:
        gaps = sorted(itertools.pairwise(sorted(sizes)), key=lambda gap: gap[0] / gap[1])
        middles = (_rounded(domain, sqrt(low * high)) for low, high in gaps)
        new = next((size for (low, high), size in zip(gaps, middles, strict=True) if low < size < high), None)
        if new is None:
            break
        sizes.add(new)
    return tuple(sorted(sizes))


def _rounded(domain: Domain, size: float) -> int:
    """The size of the slider next to it."""
    return domain.base + round((size - domain.base) / domain.step) * domain.step


def _between(moving: Sequence[Domain], sizes: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Points for a check, inside the cells of the grid next to the base, where readers look first."""
    around = []
    for domain, along in zip(moving, sizes, strict=True):
        at = list(along).index(domain.base)
        gaps = [(along[i], along[i + 1]) for i in (at - 1, at) if 0 <= i < len(along) - 1]
        around.append([size for low, high in gaps if low < (size := _rounded(domain, sqrt(low * high))) < high])
    points = list(itertools.product(*around))
    return points[:: max(1, len(points) // _CHECKS)][:_CHECKS] if moving else []


def _curve(seconds: Sequence[float], costs: Sequence[Amount], features: Sequence[Sequence[str]]) -> Curve:
    """Weights of the least relative error that are not negative, and the ratios to their fit."""
    columns = np.array([[1.0, *(float(sum(cost[name] for name in names)) for names in features)] for cost in costs])
    scaled = columns / np.array(seconds)[:, None]
    largest = scaled.max(axis=0)
    largest[largest == 0] = 1.0
    weights = tuple(float(weight) for weight in _not_negative(scaled / largest) / largest)
    ratios = (log(s / _fit(weights, features, cost)) for s, cost in zip(seconds, costs, strict=True))
    return Curve(weights, tuple(ratios))


def _not_negative(columns: np.ndarray) -> np.ndarray:
    """The weights of the columns, none below zero, with the least squares from a sum of 1; there are few columns."""
    count, best, least = columns.shape[1], np.zeros(columns.shape[1]), float("inf")
    for chosen in (c for size in range(1, count + 1) for c in itertools.combinations(range(count), size)):
        part, *_ = np.linalg.lstsq(columns[:, chosen], np.ones(len(columns)), rcond=None)
        misses = float(((columns[:, chosen] @ part - 1) ** 2).sum())
        if (part >= 0).all() and misses < least:
            best, least = np.zeros(count), misses
            best[list(chosen)] = part
    return best
