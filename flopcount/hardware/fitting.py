"""Measured seconds of many networks -> the constants of the time model, and how wrong they are on unseen families.

A robust fit on the error of the logarithm (soft L1), with a ridge towards a prior. Only the making of constants and a
calibration import this file, since it needs SciPy; an estimate does not.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from .constants import Errors
from .kernels import Family
from .time_model import COMPUTE, CONSTANTS, Constants, Kernels, bound_of, seconds_of, slopes_of

__all__ = ["PRIOR", "Sample", "errors_of", "fit", "leave_family_out", "predicted", "residuals", "stacked"]

_SCALE = 0.1  # errors above a tenth count less than their square
_LEAST = {"compute": 0.8, "bytes": 0.3, "launch": 1e-7}
_MOST = {"compute": 100.0, "bytes": 100.0, "launch": 1e-4}
_LEAST_OF = {"compute: linear": 0.9, "compute: attention": 1.0}
"""No product beats the peak by more than a clock above the datasheet's, and attention also has a softmax to compute."""

_MOST_OF = {"compute: matmul": 4.0, "compute: attention": 4.0}
"""Explicit products of attention are small in image networks, where traffic cannot be told from arithmetic."""

_PRIOR = {"compute": 1.2, "bytes": 1.2, "launch": 5e-6}
_PRIOR_OF = {
    "compute: depthwise convolution": 4.0,
    "compute: depthwise 3D convolution": 4.0,
    "compute: depthwise convolution, backward": 4.0,
    "compute: grouped convolution": 2.0,
    "compute: grouped convolution, backward": 2.0,
    "compute: recurrent": 4.0,
    "compute: attention": 1.5,
}
_RIDGE, _RIDGE_LAUNCH = 2.0, 20.0


def _each(table: dict[str, float], special: dict[str, float]) -> Any:
    return np.array([special.get(name, table[name.partition(":")[0]]) for name in CONSTANTS])


PRIOR = Constants(tuple(_each(_PRIOR, _PRIOR_OF)))
"""What is expected of any device: a fifth more than the datasheet, more for kernels that fill it badly."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One measured run: its kernels at the datasheet's rates, and the seconds of one pass of its batch."""

    name: str
    family: str
    kernels: Kernels
    seconds: float
    batch: int

    @property
    def bound(self) -> float:
        """The least seconds that the datasheet allows."""
        return bound_of(self.kernels)


def stacked(samples: Sequence[Sample]) -> Kernels:
    """The kernels of all samples as columns, with the position of their sample."""

    def column(name: str) -> Any:
        return np.concatenate([getattr(sample.kernels, name) for sample in samples])

    row = np.concatenate([np.full(len(sample.kernels.times), at) for at, sample in enumerate(samples)])
    columns = ("compute", "exact", "traffic", "ideal", "launches", "family", "times")
    return Kernels(**{name: column(name) for name in columns}, row=row)


def predicted(samples: Sequence[Sample], constants: Constants, kernels: Kernels | None = None) -> Any:
    """Seconds of each sample, never below its bound."""
    kernels = stacked(samples) if kernels is None else kernels
    seconds = np.bincount(kernels.row, kernels.times * seconds_of(kernels, constants.values), minlength=len(samples))
    bound = np.bincount(kernels.row, kernels.times * np.maximum(kernels.exact, kernels.ideal), minlength=len(samples))
    return np.maximum(seconds, bound)


def fit(samples: Sequence[Sample], prior: Constants = PRIOR, ridge: float = _RIDGE) -> Constants:
    """The constants that predict these samples best; `ridge` is how much the prior counts."""
    kernels, count = stacked(samples), len(samples)
    measured = np.array([sample.seconds for sample in samples])
    towards = np.log(np.array(prior.values))
    weights = np.full(len(CONSTANTS), ridge)
    weights[-1] = max(_RIDGE_LAUNCH, ridge)
    low, high = np.log(_each(_LEAST, _LEAST_OF)), np.log(_each(_MOST, _MOST_OF))

    def errors(logs: Any) -> Any:
        seconds, _ = slopes_of(kernels, np.exp(logs), count)
        return np.concatenate([np.log(seconds / measured) / _SCALE, weights * (logs - towards)])

    def slopes(logs: Any) -> Any:
        seconds, by_constant = slopes_of(kernels, np.exp(logs), count)
        return np.concatenate([by_constant / seconds[:, None] / _SCALE, np.diag(weights)])

    start = np.clip(towards, low + 1e-3, high - 1e-3)
    answer = least_squares(errors, start, slopes, bounds=(low, high), loss="soft_l1", max_nfev=100)
    return _borrowed(Constants(tuple(float(value) for value in np.exp(answer.x))), kernels)


_KIN = {Family.CONV3D: Family.CONV, Family.DEPTHWISE3D: Family.DEPTHWISE}


def _borrowed(constants: Constants, kernels: Kernels) -> Constants:
    """A family that no sample has takes the constant of its kin: networks for images have no 3D convolution."""
    seen = {list(Family)[at] for at in np.unique(kernels.family)}
    named = constants.named()
    for family, kin in _KIN.items():
        if family not in seen:
            named[f"compute: {COMPUTE[family]}"] = named[f"compute: {COMPUTE[kin]}"]
    return Constants(tuple(named.values()))


def leave_family_out(
    samples: Sequence[Sample], folds: int = 12, prior: Constants = PRIOR, ridge: float = _RIDGE
) -> Any:
    """Seconds of each sample by constants that no network of its family was fitted on.

    Families are dealt out to `folds` groups, by a fixed shuffle.
    """
    families = sorted({sample.family for sample in samples})
    random.Random(0).shuffle(families)
    seconds = np.zeros(len(samples))
    for fold in range(min(folds, len(families))):
        left_out = set(families[fold::folds])
        inside = [sample for sample in samples if sample.family not in left_out]
        places = [at for at, sample in enumerate(samples) if sample.family in left_out]
        seconds[places] = predicted([samples[at] for at in places], fit(inside, prior, ridge))
    return seconds


def residuals(samples: Sequence[Sample], seconds: Any) -> Any:
    """The logarithm of measured over predicted."""
    return np.log(np.array([sample.seconds for sample in samples]) / seconds)


def errors_of(samples: Sequence[Sample], seconds: Any) -> Errors:
    """How wrong predictions are: relative errors, rank correlation per sample, and the 10th and 90th percentile."""
    measured = np.array([sample.seconds for sample in samples])
    batch = np.array([sample.batch for sample in samples])
    relative = np.abs(seconds / measured - 1)
    logs = residuals(samples, seconds)
    return Errors(
        count=len(samples),
        families=len({sample.family for sample in samples}),
        median=float(np.median(relative)),
        mean=float(np.mean(relative)),
        rank=rank_correlation(seconds / batch, measured / batch),
        low=float(np.quantile(logs, 0.1)),
        high=float(np.quantile(logs, 0.9)),
    )


def rank_correlation(a: Any, b: Any) -> float:
    """Spearman's, with ties at their mean rank."""
    ranks = [_ranks(np.asarray(values)) for values in (a, b)]
    if len(ranks[0]) < 2:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: Any) -> Any:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return (ends - (count - 1) / 2)[place]
