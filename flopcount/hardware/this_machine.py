"""The machine that this process runs on: its devices as torch has them, their names, and torch's threads."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import torch

from ..core.errors import InputError, UnknownNameError
from .machine import Machine

__all__ = ["DEVICE_TYPES", "cpu_name", "device_here", "machine_of", "threads_set"]

DEVICE_TYPES = ("cpu", "cuda")


def machine_of(device: torch.device) -> Machine:
    """The machine as it is now."""
    kind = "gpu" if device.type == "cuda" else "cpu"
    name = torch.cuda.get_device_name(device) if kind == "gpu" else cpu_name()
    return Machine(name, kind, torch.__version__, torch.get_num_threads(), date.today().isoformat())


def cpu_name() -> str:
    """The CPU's own name; Linux has it in /proc/cpuinfo, where Python does not look."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), "") or platform.processor() or platform.machine() or "unnamed CPU"


def device_here(device: str | torch.device) -> torch.device:
    """The device of this machine that is called "cpu", "cuda" or "cuda:1", or is that of torch.

    Raises:
        UnknownNameError: it is neither.
        InputError: torch finds no such CUDA device.
    """
    name = str(device)
    kind, colon, index = name.partition(":")
    if kind not in DEVICE_TYPES or (colon and not (kind == "cuda" and index.isdigit())):
        raise UnknownNameError("device to run on", name, DEVICE_TYPES, "choose cpu, cuda or cuda:1")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(index or 0) >= count:
            seen = f"torch {torch.__version__} sees {count or 'no'} CUDA device{'s' * (count != 1)}"
            raise InputError(f"nothing can run on {name} here", [("seen", seen), ("fix", "choose the device cpu")])
    return torch.device(name)


@contextmanager
def threads_set(threads: int | None) -> Iterator[None]:
    """Let torch use so many threads on the CPU (None: as many as it has), and afterwards as many as before.

    Raises:
        InputError: the number is below 1, or no whole one.
    """
    if threads is not None and (type(threads) is not int or threads < 1):
        raise InputError(f"threads is {threads!r}", [("fix", "give a whole number above 0")])
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        if threads is not None:
            torch.set_num_threads(before)
