"""Libraries kept off the network while they build a model: a configuration may name weights that they would fetch."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["offline"]


@contextmanager
def offline() -> Iterator[None]:
    """Tell the client of the hub that there is no network, and restore what it was told before."""
    try:
        hub = importlib.import_module("huggingface_hub.constants")
    except ImportError:
        yield
        return
    before = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before  # type: ignore[attr-defined]
