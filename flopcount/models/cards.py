"""What is known about a network without building it: its card, and its cost in the last golden file.

What enters are the files of zoo_cards/, where a group has the keys that the networks of one paper share and a row those
of one network; what leaves are Cards, in the order of FILES and of the rows. Unknown keys, missing keys and values of a
wrong type are errors. A new network is a file in networks/ with a function of the network's name, a row here, and what
it costs: `pytest --update-golden`. Nothing here imports torch.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from ..core.protocol import Clip

__all__ = ["ARCHITECTURES", "CARDS", "FILES", "SAMPLINGS", "Card", "read_cards", "recorded_costs"]

FILES = (
    "lecture",
    "convolutional_3d",
    "transformers",
    "image_language",
    "transformers_2022",
    "convolutional_2d",
    "images",
    "skeletons",
    "state_space",
    "optical_flow",
    "detection",
)
"""The files of zoo_cards/, in the order of `flopcount list`."""

SAMPLINGS = ("dense", "segments")
"""How a clip takes frames of a video: dense is every stride-th frame, from a start that moves from clip to clip;
segments is a frame, or a few neighbours, of each of as many equal parts of the video, so that one clip spans it all."""


@dataclass(frozen=True, slots=True)
class Card(OneLine):
    """A network as in its paper.

    `label` is its name in papers, as charts have it; no two networks share one.
    `file` is the file of flopcount.models.networks with the function of this name, which builds it. `clip`, `stride`
    and `num_classes` are the paper's own. `smallest` is the smallest clip that the network can take, on which tests run
    it for real. `requires` is the optional library that it wraps, if any. `size_of` is the network from which it
    differs only in sizes: laws that need a real run are tested on that one. `lecture`: the lecture presents it.
    `clip_axes` are the letters of the three sizes of its clip, which for a skeleton are frames, joints and persons.
    `sampling`, one of SAMPLINGS, says which frames of a video a clip takes when its authors test the network. Where
    that depends on the data set, it is that of the network's accuracy on Kinetics, or else on the first data set of its
    paper. `segment_frames` is how many neighbouring frames of each segment are taken.
    """

    name: str
    label: str
    title: str
    family: str
    year: int
    paper: str
    code: str
    file: str
    clip: Clip
    smallest: Clip
    stride: int
    num_classes: int
    requires: str | None = None
    size_of: str | None = None
    lecture: bool = False
    clip_axes: str = "THW"
    sampling: str = "dense"
    segment_frames: int = 1


_KINDS: dict[str, tuple[type, str]] = {
    **dict.fromkeys(("str", "str | None"), (str, "string")),
    "Clip": (str, "string such as 16x112x112"),
    "int": (int, "whole number"),
    "bool": (bool, "truth value"),
}
_CHOICES = {"sampling": SAMPLINGS}
_FIELDS = {field.name: field for field in fields(Card) if field.name != "name"}
_NETWORKS = "networks"


def read_cards(text: str, file: str = "cards.toml") -> tuple[Card, ...]:
    """Every card of one file, in its order.

    Raises:
        InputError: the file is not TOML, lacks a key, has a value of a wrong type or that is no choice, or has two
            networks of one name.
        UnknownNameError: no card has the key; the message offers near names.
    """
    try:
        groups = tomllib.loads(text).get("group")
    except ValueError as error:
        raise InputError(f"{file} is not TOML: {error}") from None
    if not isinstance(groups, list) or not all(map(_is_group, groups)):
        raise InputError(f"{file} has no groups", [("fix", "write [[group]] and [group.networks]")])
    cards: dict[str, Card] = {}
    for group in groups:
        shared = {key: value for key, value in group.items() if key != _NETWORKS}
        rows = group[_NETWORKS]
        values = _values(shared, f"{file}, the group of {', '.join(rows) or 'no network'}")
        for name, row in rows.items():
            if name in cards:
                raise InputError(f"{file} has {name} twice", [("fix", "name each network once")])
            place = f"{file}, the row of {name}"
            cards[name] = _card(name, values | _values(row, place), place)
    return tuple(cards.values())


def _is_group(group: object) -> bool:
    return isinstance(group, dict) and isinstance(group.get(_NETWORKS), dict)


def _card(name: str, values: dict[str, Any], place: str) -> Card:
    missing = [key for key, field in _FIELDS.items() if field.default is MISSING and key not in values]
    if missing:
        fix = [("fix", "add it there or to the group above")]
        raise InputError(f"{place}: no {', '.join(missing)}", fix)
    return Card(name, **values)


def _values(table: Any, place: str) -> dict[str, Any]:
    """The values of a table, in the types of a card."""
    if not isinstance(table, dict):
        raise InputError(f"{place}: {table!r}", [("fix", 'write NAME = {title = "...", ...}')])
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _FIELDS:
            raise UnknownNameError(f"key of {place}", key, _FIELDS, f"choose {', '.join(_FIELDS)}")
        field_type = str(_FIELDS[key].type)
        kind, noun = _KINDS[field_type]
        if type(value) is not kind:
            raise InputError(f"{place}: {key} is {value!r}", [("fix", f"write a {noun}")])
        if key in _CHOICES and value not in _CHOICES[key]:
            raise InputError(f"{place}: {key} is {value!r}", [("fix", f"write {' or '.join(_CHOICES[key])}")])
        try:
            values[key] = Clip.parse(str(value)) if field_type == "Clip" else value
        except InputError as error:
            raise InputError(f"{place}: {key}: {error.message}", error.details) from None
    return values


def _text(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _cards_of_zoo() -> dict[str, Card]:
    cards: dict[str, Card] = {}
    for file in FILES:
        for card in read_cards(_text(f"zoo_cards/{file}.toml"), f"{file}.toml"):
            if card.name in cards:
                raise InputError(f"{file}.toml has {card.name} again", [("fix", "name each network once")])
            cards[card.name] = card
    return cards


CARDS: Mapping[str, Card] = MappingProxyType(_cards_of_zoo())
"""Name -> card, in the order of `flopcount list`."""

ARCHITECTURES: Mapping[str, Card] = MappingProxyType({n: card for n, card in CARDS.items() if card.size_of is None})
"""The cards of networks that differ by more than sizes."""


def recorded_costs() -> dict[str, tuple[int, int]]:
    """Name -> (params, MACs) at the network's own clip; `pytest --update-golden` writes them, tests compare them."""
    return {name: (cost["params"], cost["macs"]) for name, cost in json.loads(_text("zoo_costs.json")).items()}
