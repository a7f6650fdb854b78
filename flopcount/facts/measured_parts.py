"""Parts of generators and language models that measured times are of: classes and configurations, with their sources.

The data are in measured_parts.json. Nothing here builds anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from ..core.errors import UnknownNameError
from ..core.one_line import OneLine
from .rows import sourced

__all__ = ["MeasuredPart", "measured_part", "measured_parts"]


@dataclass(frozen=True, slots=True)
class MeasuredPart(OneLine):
    """A part of a model: the class of a library, and what it is built with.

    `method` is what runs instead of the forward ("decode" of a VAE), or "". `latent` is (temporal, spatial): the pixels
    that a latent stands for along each axis, the first frame aside. A denoiser takes `text_tokens`, and `image_tokens`
    if it starts from an image. `params` is None where no source has them.
    """

    name: str
    library: str
    class_name: str
    config: Mapping[str, Any] = field(hash=False)
    method: str
    latent: tuple[int, int] | None
    text_tokens: int | None
    image_tokens: int | None
    params: int | None
    url: str
    locator: str


@cache
def measured_parts() -> tuple[MeasuredPart, ...]:
    """Every part, in the order of the data file.

    Raises:
        InputError: a part has no source.
    """
    text = files(__package__).joinpath("measured_parts.json").read_text(encoding="utf-8")
    return tuple(_part(part) for part in json.loads(text)["parts"])


def measured_part(name: str) -> MeasuredPart:
    """The part of this name, such as "wan2.1-t2v-14b/denoiser".

    Raises:
        UnknownNameError: there is none.
    """
    parts = {part.name: part for part in measured_parts()}
    if name not in parts:
        raise UnknownNameError("part of a model", name, parts, "take a name of measured_parts.json")
    return parts[name]


def _part(part: dict[str, Any]) -> MeasuredPart:
    source = sourced(f"measured_parts.json, {part['name']}", part["source"])
    latent = part["latent"]
    return MeasuredPart(
        name=part["name"],
        library=part["library"],
        class_name=part["class"],
        config=part["config"],
        method=part["method"],
        latent=(latent["temporal"], latent["spatial"]) if latent else None,
        text_tokens=part["text_tokens"],
        image_tokens=part["image_tokens"],
        params=part["params"],
        url=source["url"],
        locator=source["locator"],
    )
