"""The networks of the measured throughput, counted as they were run: what the constants of time are fitted on.

Every row of the table names a network of timm, an input and a batch. A network is traced without data for each of its
inputs and batches; a row whose parameters differ from those of the count means another network by now, and is dropped.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flopcount.facts.devices import find_device
from flopcount.facts.throughput import MeasuredThroughput
from flopcount.hardware.execution import kernels_of
from flopcount.hardware.fitting import Sample
from flopcount.hardware.kernels import Family, Kernel
from flopcount.hardware.precision import PRECISIONS
from flopcount.hardware.time_model import Kernels

_ROUNDING = 0.011  # of the printed millions of parameters
_FAMILIES = tuple(Family)


class Run(NamedTuple):
    """One way in which a network was run."""

    model: str
    img_size: int
    batch: int
    mode: str
    precision: str
    compiled: bool
    cpu: bool


@dataclass(frozen=True)
class Counted:
    """A run as it was counted: parameters, MACs, and its kernels with how often each runs."""

    params: int
    macs: int
    kernels: tuple[tuple[Kernel, int], ...]


def run_of(row: MeasuredThroughput) -> Run:
    cpu = find_device(row.device).kind == "cpu"
    return Run(row.model, row.img_size, row.batch, row.mode, row.dtype, row.compile, cpu)


def count_runs(runs: Iterable[Run], progress: Callable[[str], None] = lambda text: None) -> dict[Run, Counted | str]:
    """Every run counted, in this machine's cores; a text says why one cannot be."""
    by_model: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(set(runs)):
        by_model[run.model].append(run)
    counted: dict[Run, Counted | str] = {}
    with ProcessPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        for done, part in enumerate(pool.map(_count_model, by_model.values()), start=1):
            counted |= part
            if done % 25 == 0 or done == len(by_model):
                progress(f"{done} of {len(by_model)} networks counted")
    return counted


def _count_model(runs: Sequence[Run]) -> dict[Run, Counted | str]:
    """All runs of one network, each input and batch traced once."""
    import torch

    from flopcount.models.torchvision_operators import ready_torchvision

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    ready_torchvision()
    counted: dict[Run, Counted | str] = {}
    traced: dict[tuple[int, int, str], Any] = {}
    for run in runs:
        at = run.img_size, run.batch, run.mode
        if at not in traced:
            try:
                traced[at] = _traced(run)
            except Exception as error:  # a network that this version of timm lacks, or that takes no such size
                traced[at] = f"{type(error).__name__}: {error}"
        if isinstance(traced[at], str):
            counted[run] = traced[at]
            continue
        params, ops, flow = traced[at]
        kernels = kernels_of(ops, flow, PRECISIONS[run.precision], compiled=run.compiled, cpu=run.cpu)
        same = Counter(kernel._replace(positions=(), shares=()) for kernel in kernels)
        counted[run] = Counted(params, sum(op.work.macs for op in ops), tuple(same.items()))
    return counted


def _traced(run: Run) -> tuple[int, Any, Any]:
    import timm
    import torch

    from flopcount.hardware.followed_step import costed_step
    from flopcount.rules.costing import cost
    from flopcount.tracing import trace
    from flopcount.tracing.step import trace_step

    with torch.device("meta"):
        try:
            module = timm.create_model(run.model, img_size=run.img_size)
        except TypeError:  # a network that takes any size
            module = timm.create_model(run.model)
        clip = torch.empty(run.batch, 3, run.img_size, run.img_size)
    module.train(run.mode == "train")
    if run.mode == "train":
        traced = trace_step(module, (clip,), {})
    else:
        traced = trace(module, (clip,), {}, engine="auto", dataflow=True)
    ops = costed_step(traced) if run.mode == "train" else cost(traced.ops)
    return sum(p.numel() for p in module.parameters()), ops, traced.dataflow


def samples_of(
    rows: Iterable[MeasuredThroughput], counted: dict[Run, Counted | str]
) -> tuple[list[Sample], list[tuple[MeasuredThroughput, str]]]:
    """Rows as samples to fit on, and those that are dropped, with the reason."""
    samples, dropped = [], []
    for row in rows:
        run = counted[run_of(row)]
        if isinstance(run, str):
            dropped.append((row, run))
        elif abs(run.params / 1e6 - row.params_m) > 0.01 * row.params_m + _ROUNDING:
            dropped.append((row, f"{run.params / 1e6:.2f} M parameters counted, {row.params_m} M printed"))
        else:
            samples.append(sample_of(row, run))
    return samples, dropped


def sample_of(row: MeasuredThroughput, run: Counted) -> Sample:
    precision = PRECISIONS[row.dtype]
    kernels = Kernels.of([kernel for kernel, _ in run.kernels], find_device(row.device), precision)
    object.__setattr__(kernels, "times", np.array([float(times) for _, times in run.kernels]))
    return Sample(row.model, row.family, kernels, row.batch / row.samples_per_s, row.batch)


def cached(path: Path | None, runs: Iterable[Run], progress: Callable[[str], None]) -> dict[Run, Counted | str]:
    """As `count_runs`; kept in a file of the caller's, if one is named, between two fits of the same kernels."""
    if path is not None and path.exists():
        with path.open("rb") as file:
            return pickle.load(file)
    counted = count_runs(runs, progress)
    if path is not None:
        with path.open("wb") as file:
            pickle.dump(counted, file)
    return counted
