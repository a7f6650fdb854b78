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

from . import output as _formats  # noqa: F401  (tables learn their formats)
from ._version import __version__

if TYPE_CHECKING:
    from .analysis.difference import Diff, diff
    from .analysis.largest_batch import largest_batch
    from .analysis.largest_clip import largest_clips
    from .analysis.receptive_field import receptive_field
    from .analysis.streaming import streaming
    from .core.errors import FlopcountError, ForwardError, InputError, TraceError, UncostedError, UnknownNameError
    from .core.model_spec import ModelSpec
    from .core.ops import Kind, TensorSpec, Work
    from .core.protocol import Clip, Protocol, Views
    from .core.result import SavedReport
    from .core.table import Table
    from .crosscheck import check
    from .models import create_model, list_models
    from .models.inflation import inflate
    from .output.report_json_reader import read_report
    from .publishing.budget import Budget, check_budgets
    from .publishing.budget_file import read_budgets
    from .publishing.comparison import compare
    from .publishing.sweep import sweep
    from .report import Report, count_flops, count_model
    from .rules import rule
    from .symbolic import closed_form, closed_form_of
    from .tracing import trace, weightless
    from .training.training import Training

_HOME = {
    "Budget": "publishing.budget",
    "Clip": "core.protocol",
    "Diff": "analysis.difference",
    "FlopcountError": "core.errors",
    "ForwardError": "core.errors",
    "InputError": "core.errors",
    "Kind": "core.ops",
    "ModelSpec": "core.model_spec",
    "Protocol": "core.protocol",
    "Report": "report",
    "SavedReport": "core.result",
    "Table": "core.table",
    "TensorSpec": "core.ops",
    "TraceError": "core.errors",
    "Training": "training.training",
    "UncostedError": "core.errors",
    "UnknownNameError": "core.errors",
    "Views": "core.protocol",
    "Work": "core.ops",
    "check": "crosscheck",
    "closed_form": "symbolic",
    "closed_form_of": "symbolic",
    "check_budgets": "publishing.budget",
    "compare": "publishing.comparison",
    "count_flops": "report",
    "count_model": "report",
    "create_model": "models",
    "diff": "analysis.difference",
    "inflate": "models.inflation",
    "largest_clips": "analysis.largest_clip",
    "largest_batch": "analysis.largest_batch",
    "list_models": "models",
    "read_budgets": "publishing.budget_file",
    "read_report": "output.report_json_reader",
    "receptive_field": "analysis.receptive_field",
    "rule": "rules",
    "streaming": "analysis.streaming",
    "sweep": "publishing.sweep",
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
    "ModelSpec",
    "Protocol",
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
