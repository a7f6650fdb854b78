"""Attributes that Python keeps in slots and not in `__dict__`."""

from __future__ import annotations

__all__ = ["slots_of"]


def slots_of(kind: type) -> list[str]:
    """Names of the slots of a class and its bases, as for `getattr`: private names include the class's name."""
    names: list[str] = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            names.append(f"_{base.__name__.lstrip('_')}{name}" if private else name)
    return [name for name in names if name not in ("__dict__", "__weakref__")]
