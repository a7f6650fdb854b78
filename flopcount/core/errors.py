"""The exception tree. The first line says what happened; the lines below say where, what was seen and what to do.

FlopcountError
├── InputError            bad input from the caller (exit code 2 in the command)
│   ├── UnknownNameError  a model, layer or option that does not exist, with near names
│   └── ForwardError      the module raised on this input: in which layer, on what shapes
├── UncostedError         strict counting met an operation without a rule (exit code 3)
└── TraceError            no engine could run the module
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["FlopcountError", "ForwardError", "InputError", "TraceError", "UncostedError", "UnknownNameError"]


_NEAR = 3  # names offered at most


class FlopcountError(Exception):
    """Base of everything flopcount raises. `details` are (label, text) lines shown under the message."""

    def __init__(self, message: str, details: Iterable[tuple[str, str]] = ()) -> None:
        self.message = message
        self.details = tuple(details)
        super().__init__("\n".join([message, *(f"  {label:<7} {text}" for label, text in self.details)]))


class InputError(FlopcountError):
    """The caller's input cannot be used."""


class UnknownNameError(InputError):
    """A name that does not exist; the message offers the nearest existing names."""

    def __init__(self, what: str, name: str, known: Iterable[str], fix: str) -> None:
        known = list(known)
        by_lowercase = {candidate.lower(): candidate for candidate in known}
        typed = str(name).lower()  # whatever a caller gives in place of a name
        matches = difflib.get_close_matches(typed, by_lowercase, n=_NEAR, cutoff=0.6)
        if not matches and len(typed) >= _NEAR:  # the beginning of a long name
            matches = [candidate for candidate in by_lowercase if candidate.startswith(typed)][:_NEAR]
        near = [by_lowercase[match] for match in matches]
        details = [("near", ", ".join(near))] if near else []
        super().__init__(f"no {what} named {name!r}", [*details, ("fix", fix)])


class ForwardError(InputError):
    """The module itself raised during the forward pass."""


class UncostedError(FlopcountError):
    """At least one operation has no cost rule, and `strict=True`."""


class TraceError(FlopcountError):
    """The module needs real values or real weights, and there are none to run it on."""
