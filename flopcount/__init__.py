"""flopcount tells what a video network costs, exactly and with reasons, before anyone runs it.

    >>> import flopcount
    >>> report = flopcount.count_flops(flopcount.create_model("c3d"), (1, 3, 16, 112, 112))
    >>> report.macs
    38548959232

Names are loaded when first used, so that the command answers `--help` and `list` without importing torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .clip import Clip, Views
    from .comparison import compare
    from .counting import count_flops, count_model
    from .crosscheck import check
    from .errors import (
        FlopcountError,
        ForwardError,
        InputError,
        TraceError,
        UncostedError,
        UnknownNameError,
    )
    from .fitting import largest_batch
    from .models import create_model, list_models
    from .models.inflate import inflate
    from .ops import Kind, TensorSpec, Work
    from .report import Report
    from .rules import rule
    from .tables import Table
    from .tracing import trace, weightless

_HOME = {
    "Clip": "clip",
    "FlopcountError": "errors",
    "ForwardError": "errors",
    "InputError": "errors",
    "Kind": "ops",
    "Report": "report",
    "Table": "tables",
    "TensorSpec": "ops",
    "TraceError": "errors",
    "UncostedError": "errors",
    "UnknownNameError": "errors",
    "Views": "clip",
    "Work": "ops",
    "check": "crosscheck",
    "compare": "comparison",
    "count_flops": "counting",
    "count_model": "counting",
    "create_model": "models",
    "inflate": "models.inflate",
    "largest_batch": "fitting",
    "list_models": "models",
    "rule": "rules",
    "trace": "tracing",
    "weightless": "tracing",
}

__all__ = [
    "Clip",
    "FlopcountError",
    "ForwardError",
    "InputError",
    "Kind",
    "Report",
    "Table",
    "TensorSpec",
    "TraceError",
    "UncostedError",
    "UnknownNameError",
    "Views",
    "Work",
    "__version__",
    "check",
    "compare",
    "count_flops",
    "count_model",
    "create_model",
    "inflate",
    "largest_batch",
    "list_models",
    "rule",
    "trace",
    "weightless",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
