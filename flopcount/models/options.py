"""Options of a configuration: "text_config.hidden_size" reaches into parts, and unknown names get near ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.errors import InputError, UnknownNameError

__all__ = ["with_options"]


def with_options(
    config: Mapping[str, Any], options: Mapping[str, Any], names: Iterable[str], owner: str
) -> dict[str, Any]:
    """A configuration with options; `names` are the arguments of its class, and `owner` is what they are of.

    A path with dots sets a value within a dictionary; a new name in it is refused, since it would do nothing.

    Raises:
        UnknownNameError: no argument has the name; the message offers near names.
        InputError: a path goes into what is not a dictionary.
    """
    known = list(names)
    made = dict(config)
    for path, value in options.items():
        first, *rest = path.split(".")
        if first not in known:
            raise UnknownNameError(f"option of {owner}", path, known, "name an argument of the class")
        made[first] = _set(made.get(first), rest, value, path, owner)
    return made


def _set(inside: Any, path: list[str], value: Any, whole: str, owner: str) -> Any:
    if not path:
        return value
    if not isinstance(inside, Mapping):
        seen = f"{whole.removesuffix('.' + '.'.join(path))} is {inside!r}"
        raise InputError(f"option {whole} of {owner} reaches into what has no parts", [("seen", seen)])
    first, *rest = path
    if first not in inside:
        before = whole.removesuffix(".".join(path))
        names = [f"{before}{name}" for name in inside]
        raise UnknownNameError(f"option of {owner}", whole, names, f"name one of {', '.join(names)}")
    return {**inside, first: _set(inside[first], rest, value, whole, owner)}
