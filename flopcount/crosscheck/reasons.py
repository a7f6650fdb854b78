"""Reasons that several tools share; a reason of one tool alone is in its file."""

from __future__ import annotations

from ..core.reason import Reason

__all__ = ["BIAS", "COMPLEX", "FULL_LENGTH", "SCALING", "THREE_REAL", "adds", "repeats"]

BIAS = Reason("adds the bias")
SCALING = Reason("adds the scaling")
COMPLEX = Reason("counts a complex product as a real one")
THREE_REAL = Reason("sees a complex convolution as three real ones")  # as torch computes the four (Gauss)
FULL_LENGTH = Reason("assumes plain layers and sequences of full length")


def adds(count: int, per: str) -> Reason:
    """A fixed amount for each of something."""
    return Reason("adds {} per {}", (count, per))


def repeats(places: int) -> Reason:
    """A shared module once for each of its places in the model."""
    return Reason("adds a shared module once for each of its {} places", (places,))
