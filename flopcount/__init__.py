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

from . import renderers as _formats  # noqa: F401  (tables learn their formats)
from ._version import __version__

if TYPE_CHECKING:
    from .batches import largest_batch
    from .budget import Budget, check_budgets
    from .budget_file import read_budgets
    from .clip import Clip, Views
    from .comparison import compare
    from .crosscheck import check
    from .difference import Diff, diff
    from .errors import (
        FlopcountError,
        ForwardError,
        InputError,
        TraceError,
        UncostedError,
        UnknownNameError,
    )
    from .fields import receptive_field
    from .largest import largest_clips
    from .models import create_model, list_models
    from .models.inflate import inflate
    from .ops import Kind, TensorSpec, Work
    from .report import Report, count_flops, count_model
    from .result import SavedReport
    from .rules import rule
    from .saved import read_report
    from .streams import streaming
    from .sweeps import sweep
    from .symbolic import closed_form, closed_form_of
    from .table import Table
    from .tracing import trace, weightless
    from .training.training import Training

_HOME = {
    "Budget": "budget",
    "Clip": "clip",
    "Diff": "difference",
    "FlopcountError": "errors",
    "ForwardError": "errors",
    "InputError": "errors",
    "Kind": "ops",
    "Report": "report",
    "SavedReport": "result",
    "Table": "table",
    "TensorSpec": "ops",
    "TraceError": "errors",
    "Training": "training.training",
    "UncostedError": "errors",
    "UnknownNameError": "errors",
    "Views": "clip",
    "Work": "ops",
    "check": "crosscheck",
    "closed_form": "symbolic",
    "closed_form_of": "symbolic",
    "check_budgets": "budget",
    "compare": "comparison",
    "count_flops": "report",
    "count_model": "report",
    "create_model": "models",
    "diff": "difference",
    "inflate": "models.inflate",
    "largest_clips": "largest",
    "largest_batch": "batches",
    "list_models": "models",
    "read_budgets": "budget_file",
    "read_report": "saved",
    "receptive_field": "fields",
    "rule": "rules",
    "streaming": "streams",
    "sweep": "sweeps",
    "trace": "tracing",
    "weightless": "tracing",
}

__all__ = [
    "Budget",
    "Clip",
    "Diff",
    "FlopcountError",
    "ForwardError",
    "InputError",
    "Kind",
    "Report",
    "SavedReport",
    "Table",
    "TensorSpec",
    "TraceError",
    "Training",
    "UncostedError",
    "UnknownNameError",
    "Views",
    "Work",
    "__version__",
    "check",
    "check_budgets",
    "closed_form",
    "closed_form_of",
    "compare",
    "count_flops",
    "count_model",
    "create_model",
    "diff",
    "inflate",
    "largest_batch",
    "largest_clips",
    "list_models",
    "read_budgets",
    "read_report",
    "receptive_field",
    "rule",
    "streaming",
    "sweep",
    "trace",
    "weightless",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
