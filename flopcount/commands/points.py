"""--point: the user's own models on a chart of accuracy, parsed before anything is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from .arguments import ModelOptions

if TYPE_CHECKING:
    from ..publishing.comparison_rows import Point

__all__ = ["PointOpt", "parse_points"]

PointOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--point",
        metavar="LABEL=MODEL@TOP1[@CLIP[@VIEWS]]",
        help="A model of your own, counted here, or its saved report, with the accuracy that you measured; repeatable.",
    ),
]


def parse_points(texts: Sequence[str] | None, options: ModelOptions) -> list[Point]:
    """What --point says; the options of a model are those of every point that is one, and so are views.

    Raises:
        InputError: a text is no point, its model does not exist, or its report cannot be read.
    """
    if not texts:
        return []
    from ..publishing.comparison_rows import Point

    return [Point.parse(text, options.spec, options.protocol) for text in texts]
