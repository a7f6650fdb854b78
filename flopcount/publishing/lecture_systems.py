"""The lecture's video systems side by side: each counted at one common clip, or at its own where it cannot take that.

What enters is a clip; what leaves is a LectureSystem each, with its cost, its span, and when it merges time, and their
table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..analysis.merging import Merging, merging_of
from ..analysis.receptive_field import Fields, receptive_field
from ..analysis.span import Span, span_of
from ..core.errors import FlopcountError
from ..core.model_spec import ModelSpec
from ..core.one_line import OneLine
from ..core.protocol import ONE_VIEW, Clip
from ..core.result import Result
from ..core.table import Column, Table
from ..count import count_named
from ..models import CARDS
from ..models.by_name import with_model
from ..models.cards import Card

__all__ = ["COMMON_CLIP", "LectureSystem", "count_systems", "systems_table"]

COMMON_CLIP = Clip(16, 224, 224)


@dataclass(frozen=True, slots=True)
class LectureSystem(OneLine):
    """One system: its card, its count, its span, and when it merges time.

    `refused` says why it was not counted at the common clip. `followed_on` is the clip on which its layers were
    followed through time, where that is not the clip of the count.
    """

    card: Card
    result: Result
    span: Span
    merging: Merging
    refused: str = ""
    followed_on: Clip | None = None

    @property
    def name(self) -> str:
        """Its name in the zoo."""
        return self.card.name


def count_systems(
    clip: Clip = COMMON_CLIP, progress: Callable[[str], None] = lambda text: None
) -> tuple[LectureSystem, ...]:
    """Every system of the lecture, in its order.

    Raises:
        FlopcountError: a system cannot be counted at its own clip either.
    """
    cards = [card for card in CARDS.values() if card.lecture]
    systems = []
    for number, card in enumerate(cards, 1):
        progress(f"counting {card.name} ({number} of {len(cards)})")
        systems.append(_system(card, clip))
    return tuple(systems)


def _system(card: Card, clip: Clip) -> LectureSystem:
    spec, refused = ModelSpec(card.name, clip), ""
    try:
        result = count_named(spec, dataflow=True, saving=False)
    except FlopcountError as error:
        spec, refused = ModelSpec(card.name, card.clip), error.message
        result = count_named(spec, dataflow=True, saving=False)
    span, followed_on = span_of(result), None
    if not result.params:  # an algorithm: thousands of steps over every pixel, whose frames do not depend on the size
        followed_on = replace(card.smallest, frames=spec.clip.frames if spec.clip else card.clip.frames)
        spec = replace(spec, clip=followed_on)
    result = replace(result, dataflow=None)
    fields, followed = _fields(spec), result if followed_on is None else count_named(spec)
    return LectureSystem(card, result, span, merging_of(followed, fields), refused, followed_on)


def _fields(spec: ModelSpec) -> Fields:
    return with_model(spec, ONE_VIEW, lambda module, given, _: receptive_field(module, given))


def systems_table(systems: tuple[LectureSystem, ...], clip: Clip = COMMON_CLIP) -> Table:
    """One row per system; the notes say which were counted at another clip, or built otherwise than in their paper."""
    columns = (
        Column("system", "prose"),
        Column("network", "text", drop=1, tone="quiet"),
        Column("family", "text", drop=3),
        Column("clip", "text", drop=2),
        Column("params", drop=6),
        Column("MACs", tone="strong"),
        Column("FLOPs", drop=5),
        Column("other", drop=4, tone="quiet"),
        Column("span", drop=7),
        Column("window", drop=8, tally=True),
        Column("merges time", "prose", drop=9),
    )
    rows = tuple(
        (
            *(
                system.card.label + " *" * bool(system.refused),
                system.name,
                system.card.family,
                str(system.result.input.clip),
                system.result.params,
            ),
            *(system.result.macs, system.result.flops, system.result.other_flops, system.span.span),
            *(system.merging.seen if not system.merging.timeless else "", str(system.merging)),
        )
        for system in systems
    )
    notes = [
        "papers' GFLOPs are GMACs; FLOPs = 2 × MACs; other: every floating-point operation outside contractions",
        "span: arithmetic on the longest chain of dependent operations",
        "window: frames that a unit sees through kernels before attention, recurrence, global pooling or a fully "
        "connected layer takes in the whole clip; frames between sampled ones count, and at the border kernels reach "
        "beyond the clip, so that it may be more than the clip has",
    ]
    notes += [
        f"{system.card.label}: followed through time on {system.followed_on}, counted on {system.result.input.clip}"
        for system in systems
        if system.followed_on
    ]
    notes += _twins(systems)
    notes += [f"{system.card.label} at its own clip: {system.refused}" for system in systems if system.refused]
    notes += [
        f"{system.card.label} departs from its paper: {text}" for system in systems for text in system.result.departures
    ]
    own = "; * at its own clip" if any(system.refused for system in systems) else ""
    title = f"the lecture's systems, one clip of {clip}{own}, the classes of each paper"
    return Table(title, columns, rows, None, tuple(notes))


def _twins(systems: tuple[LectureSystem, ...]) -> list[str]:
    """Systems that differ in the clip of their papers alone, and are one network on this one."""
    alike: dict[tuple[int, ...], list[str]] = {}
    for system in systems:
        result = system.result
        alike.setdefault((result.params, result.macs, result.other_flops), []).append(system.card.label)
    return [f"{' and '.join(labels)} are one network on this clip" for labels in alike.values() if len(labels) > 1]
