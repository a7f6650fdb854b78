"""How a network was tested where its accuracy was printed: clips of a video, and crops of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ..core.one_line import OneLine
from .mapping import ZooModel, zoo_model
from .published import Published, published

__all__ = ["TestedViews", "tested_views"]


@dataclass(frozen=True, slots=True)
class TestedViews(OneLine):
    """The views of an accuracy, of crops of height×width, and who printed them; it is on `dataset`."""

    clips: int
    crops: int
    height: int
    width: int
    dataset: str
    source: str
    url: str
    locator: str

    @property
    def words(self) -> str:
        """For a note: "10×3, those of its accuracy on kinetics400 (facebookresearch/SlowFast)"."""
        return f"{self.clips}×{self.crops}, those of its accuracy on {self.dataset} ({self.source})"


@cache
def tested_views(network: str) -> TestedViews | None:
    """The views with which a network of the zoo was tested; None where nobody printed clips and crops.

    Of several rows, one of the network itself and not of one that computes the same; on Kinetics-400; whose source
    prints the views, was read first hand, and prints the cost too.
    """
    found = [(row, model) for row in published() if isinstance(model := zoo_model(row), ZooModel)]
    rows = [
        (_rank(row, model), place, row, model)
        for place, (row, model) in enumerate(found)
        if model.name == network and not model.options and row.clips and row.crops
    ]
    if not rows:
        return None
    _, _, row, model = min(rows, key=lambda found: found[:2])
    assert row.clips is not None
    assert row.crops is not None
    clip = model.clip
    return TestedViews(row.clips, row.crops, clip.height, clip.width, row.dataset, row.source, row.url, row.locator)


def _rank(row: Published, model: ZooModel) -> tuple[bool, ...]:
    assumed = "clips" in row.assumed or "crops" in row.assumed
    return bool(model.note), row.dataset != "kinetics400", assumed, row.secondary, row.cost is None
