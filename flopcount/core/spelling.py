"""Names as people write them: capitals, blanks and dashes do not matter where no other name differs by them alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["letters_of", "spelled"]


def letters_of(name: str) -> str:
    """What is left of a name without capitals, dashes, underscores, dots and blanks: "Kinetics-400" is kinetics400."""
    return re.sub(r"[-_.\s]+", "", name).lower()


def spelled(typed: str, names: Iterable[str], aliases: Mapping[str, str] | None = None) -> str:
    """The name that is meant by what was typed, or the text as it is, where it is none.

    Arguments:
        typed: what the user wrote.
        names: the names there are. One that is written exactly so is taken before one of the same letters.
        aliases: other ways to write a name -> the name.
    """
    names = list(names)
    if typed in names:
        return typed
    by_letters = {letters_of(alias): name for alias, name in (aliases or {}).items()}
    by_letters |= {letters_of(name): name for name in names}
    return by_letters.get(letters_of(typed), typed)
