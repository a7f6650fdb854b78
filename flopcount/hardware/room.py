"""Whether a forward pass fits into the memory of the device that is to run it."""

from __future__ import annotations

import torch

from ..core.errors import InputError
from ..core.units import si
from ..tracing.building import free_memory

__all__ = ["require_memory"]


def require_memory(model: str, needed: int, device: torch.device) -> None:
    """Refuse a pass whose tensors do not fit: where memory runs out, the system ends the process without a word.

    Raises:
        InputError: more bytes are needed than are free.
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    if needed > free:
        raise InputError(
            f"a pass of {model} needs {si(needed, 'B')} of memory, more than {device} has free",
            [("seen", f"{si(int(free), 'B')} are free"), ("fix", "give a smaller --batch or --clip")],
        )
