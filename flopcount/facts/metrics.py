"""What an accuracy is measured in: of each data set one metric, and whether more of it is better."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.one_line import OneLine

__all__ = ["EPE", "MAP", "METRICS", "TOP1", "Metric"]


@dataclass(frozen=True, slots=True)
class Metric(OneLine):
    """A metric: its name, its unit, its name in data (with the unit), and whether less of it is better."""

    name: str
    unit: str
    key: str
    lower_is_better: bool = False

    def better(self, one: float, other: float) -> bool:
        """Whether the first is better than the second."""
        return one < other if self.lower_is_better else one > other


TOP1 = Metric("top-1", "%", "top1_percent")
MAP = Metric("mAP", "%", "map_percent")
EPE = Metric("end-point error", "px", "end_point_error_px", lower_is_better=True)

METRICS = {metric.name: metric for metric in (TOP1, MAP, EPE)}
"""Name in datasets.csv -> metric."""
