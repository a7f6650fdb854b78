"""Whole jobs: named stages times repeats."""

from .growing import Growing
from .pipeline import Pipeline
from .stage import Stage
from .unit import Unit

__all__ = ["Growing", "Pipeline", "Stage", "Unit"]
