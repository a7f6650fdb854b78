"""When a picture is shown, among all of its stream."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Shown"]


class Shown(NamedTuple):
    """A picture's place in the order in which a stream is shown.

    Arguments:
        group: pictures of one are shown after all of those before it.
        rank: place in its group; larger is later.
        visible: whether it is shown at all; others are only decoded, or cannot be.
        no_start: whether decoding cannot begin at it, whatever a container says.
    """

    group: int
    rank: int
    visible: bool = True
    no_start: bool = False
