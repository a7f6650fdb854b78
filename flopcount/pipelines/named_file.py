"""A pipeline in a file, and other values of its parameters; nothing is read before it is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["PipelineFile"]


@dataclass(frozen=True, slots=True)
class PipelineFile:
    """The path of a .toml or .json file, and parameters that replace those in it."""

    path: Path
    parameters: Mapping[str, object] = field(default_factory=dict, hash=False)
