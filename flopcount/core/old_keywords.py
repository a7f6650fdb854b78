"""Keywords of earlier versions, each with the call that took its place."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["old_keywords"]

_NEW_CALLS = {
    "symbolic": 'report.formula("THW")',
    "layout": 'report.formula("THW", layout=...)',
    "dataflow": "report.span and report.memory",
    "receptive_field": "report.receptive_field()",
}


def old_keywords(**keywords: Any) -> dict[str, Any]:
    """The old keywords that were given, each with a warning that names the new call."""
    present = {name: value for name, value in keywords.items() if value}
    for name in present:
        advice = f"count first, then use {_NEW_CALLS[name]}"
        warnings.warn(f"{name}= is deprecated and goes in the next release: {advice}", DeprecationWarning, stacklevel=3)
    return present
