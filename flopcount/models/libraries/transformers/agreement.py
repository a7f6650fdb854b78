"""Default configurations whose parts do not fit together -> options that make them fit.

What enters is a class and its default configuration, of which each part belongs to another published model; what leaves
are the fewest options with which the model builds and runs. General rules, not a table of names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .configurations import completed
from .fields import parts_of

__all__ = ["agreeing"]


def agreeing(model_class: Any, config: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options beside those of the caller with which the parts of a configuration fit together; none for one part."""
    if len(list(parts_of(config))) == 1:
        return {}
    found = completed(model_class, config)
    return {path: value for path, value in found.items() if path not in options}
