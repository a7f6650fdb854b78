"""What a network had seen before it was trained on a data set, in the four kinds that readers tell apart.

Accuracies are compared fairly within a kind: more data or a self-supervised start is worth several points of accuracy.
"""

from __future__ import annotations

import re
from enum import Enum

__all__ = ["Pretraining"]

_IMAGENET = {"imagenet", "imagenet1k", "imagenet21k", "imagenet22k", "joint", "spatial"}
"""Words of an entry that say no more than ImageNet; joint: trained on both at once, spatial: of one of two streams."""


class Pretraining(Enum):
    """A kind of pre-training, in the order of how much a network has seen."""

    SCRATCH = "from scratch"
    IMAGENET = "ImageNet"
    MORE = "more data or self-supervised"
    UNSAID = "not said"

    @classmethod
    def of(cls, entry: str) -> Pretraining:
        """The kind of an entry of the published rows, such as "none", "imagenet21k" or "kinetics400 VideoMAE"."""
        words = set(re.findall(r"[a-z0-9]+", entry.lower()))
        if not words:
            return cls.UNSAID
        if words == {"none"}:
            return cls.SCRATCH
        return cls.IMAGENET if words <= _IMAGENET else cls.MORE

    def described(self, entry: str) -> str:
        """The kind, and the entry where it says more: "ImageNet (imagenet21k)"."""
        return self.value if self in (Pretraining.SCRATCH, Pretraining.UNSAID) else f"{self.value} ({entry})"
