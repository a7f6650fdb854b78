"""Closed forms beside counting: how long one takes to make, and how many clips a second it then answers for."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from summary import Grid, Target, times

from flopcount import closed_form, count_flops, create_model, weightless

__all__ = ["forms"]

NETWORKS = ("r3d_18", "x3d_m", "swin3d_t")
CLIPS = 1_000_000
ROUNDS = 5
MIN_CLIPS = 1_000_000  # a second


def forms() -> tuple[Grid, Target]:
    """One row per network: making a form in repeated counts, and the clips it answers for in a second."""
    rows, slowest = [], float("inf")
    for name in NETWORKS:
        module = weightless(create_model, name).eval()
        input = (1, *module.recipe.inputs[0])  # type: ignore[union-attr, index]
        count_flops(module, input)
        counting = median(_clock(lambda: count_flops(module, input)) for _ in range(ROUNDS))  # noqa: B023
        begun = time.perf_counter()
        form = closed_form(module, input)
        making = time.perf_counter() - begun
        draw = np.random.default_rng(0)
        clips = {d.axis: draw.integers(d.base, 10 * d.base, CLIPS) for d in form.domains}
        answering = median(_clock(lambda: form.macs(**clips)) for _ in range(ROUNDS))  # noqa: B023
        slowest = min(slowest, CLIPS / answering)
        terms = len(form.polynomial().terms)
        rows.append((name, str(terms), times(making / counting), f"{CLIPS / answering / 1e6:.1f} million"))
    header = ("network", "terms", "making it, in repeated counts", "clips a second")
    found = f"{slowest / 1e6:.1f} million"
    return (
        Grid("Closed forms", header, tuple(rows)),
        Target("a closed form answers for a million clips a second", found, slowest >= MIN_CLIPS),
    )


def _clock(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
