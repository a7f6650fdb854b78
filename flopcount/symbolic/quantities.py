"""What a cost is made of: each quantity with its heading, its unit, and what multiplies it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TABLE", "Quantity"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity, under the name of the attribute of a result that has it.

    `grows_with` says what multiplies it: the views of a video, the samples of a batch, both or nothing. `twice` is the
    quantity that it is twice of, where it is: such a one has no form of its own.
    """

    key: str
    title: str
    unit: str = ""
    grows_with: tuple[str, ...] = ("views", "batch")
    twice: str = ""


TABLE = {
    quantity.key: quantity
    for quantity in (
        Quantity("macs", "MACs"),
        Quantity("flops", "FLOPs", twice="macs"),
        Quantity("other_flops", "other FLOPs"),
        Quantity("params", "params", grows_with=()),
        Quantity("bytes_read", "bytes read", "B", ("views",)),  # of a batch weights are read once
        Quantity("bytes_written", "bytes written", "B"),
    )
}
"""By key, in the order in which they are shown."""
