"""Whole jobs: named stages times repeats. The other files are loaded when they are needed: a refusal needs few."""

from .stage import Stage
from .unit import Unit

__all__ = ["Stage", "Unit"]
