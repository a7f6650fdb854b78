"""What is known of a network without building it."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.protocol import Clip

__all__ = ["Card"]


@dataclass(frozen=True, slots=True)
class Card:
    """A network as its paper has it.

    `builder` is "file:function" below flopcount.models. `clip`, `stride` and `num_classes` are the paper's own,
    `smallest` is the least clip the network can take (tests run it for real there), `requires` the library it wraps,
    if any, which is optional. `size_of` is the network whose code it shares, where it differs from that in sizes alone:
    laws that must run for real are tested there.
    """

    name: str
    title: str
    family: str
    year: int
    paper: str
    code: str
    builder: str
    clip: Clip
    smallest: Clip
    stride: int
    num_classes: int
    requires: str | None = None
    size_of: str | None = None
