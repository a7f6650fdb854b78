"""When a network merges time: which layers see more frames of the clip than those before them, and after how much work.

What enters is a result and the receptive fields of its layers; what leaves is a frozen Merging. The lecture sorts video
networks by this: early fusion sees all frames in its first layer, late fusion in its last, and a 3D CNN sees more and
more of them in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ..core.one_line import OneLine
from ..core.ops import Kind
from ..core.result import Result
from .receptive_field import Field, Fields

__all__ = ["Merge", "Merging", "merging_of"]

_SPACE = 2  # axes of an image, which has no time
_POINTWISE = (Kind.ELEMENTWISE, Kind.ACTIVATION)  # one such layer may serve behind many others, and merges nothing


@dataclass(frozen=True, slots=True)
class Merge:
    """A layer that sees more frames than any before it: how many, and the operations done before it runs.

    `whole`: it takes in every frame, by attention, recurrence, global pooling or a fully connected layer.
    """

    layer: str
    frames: int
    before: int
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Merging(OneLine):
    """How the frames of a clip come together.

    `clip` is the clip's frames, `work` all floating-point operations of the pass. `at_the_end`: layers have not taken
    in every frame when the last one has run, and what comes between layers, such as a mean of scores, does.
    `timeless`: no input has an axis of time, since frames are its channels or it has one. `lost` names the operator
    behind which the field is unknown, if there is one.
    """

    clip: int
    work: int
    merges: tuple[Merge, ...]
    at_the_end: bool = False
    timeless: bool = False
    lost: str = ""

    @property
    def seen(self) -> int:
        """The most frames that a unit of any layer sees by its windows; more than the clip where they reach beyond."""
        return max((merge.frames for merge in self.merges if not merge.whole), default=1)

    @property
    def complete(self) -> Merge | None:
        """The first layer that sees every frame of the clip, if one does."""
        return next((merge for merge in self.merges if merge.whole or merge.frames >= self.clip), None)

    def profile(self) -> tuple[tuple[float, int], ...]:
        """(share of the work done, frames of the clip seen from there on), the first at 0."""
        points: list[tuple[float, int]] = [(0.0, 1)]
        for merge in self.merges:
            share, frames = merge.before / self.work if self.work else 0.0, min(merge.frames, self.clip)
            if points[-1][0] == share:
                points.pop()
            if not points or points[-1][1] < frames:
                points.append((share, frames))
        if self.at_the_end:
            points.append((1.0, self.clip))
        return tuple(points)

    def __str__(self) -> str:
        """In words: "from conv1 (3 frames) on, as long as the clip at pool3"; "all at fc" takes in every frame.

        A window that is as long as the clip reaches beyond it, except in the middle.
        """
        if self.lost:
            return f"unknown behind {self.lost}"
        if self.timeless:
            return "frames come as channels of its inputs, without an axis of time"
        complete = self.complete
        partial = [merge for merge in self.merges if complete is None or merge.before < complete.before]
        ending = "all behind the last layer" if self.at_the_end else "never all"
        if complete:
            ending = f"{'all' if complete.whole else 'as long as the clip'} at {_part(complete.layer)}"
        if not partial:
            return ending
        first, last = partial[0], partial[-1]
        beginning = f"from {_part(first.layer)} ({first.frames} frames)"
        if complete is None and last is not first:
            return f"{beginning} to {_part(last.layer)} ({last.frames}), {ending}"
        return f"{beginning} on, {ending}"

    def _headline(self) -> str:
        return f"of {self.clip} frames: {self}"


def _part(layer: str) -> str:
    """The part of the network that a layer is in."""
    return ".".join(layer.split(".")[:2])


def merging_of(result: Result, fields: Fields) -> Merging:
    """When the network of a result merges time.

    Arguments:
        result: what was counted, on a clip.
        fields: the receptive fields of its layers, as `receptive_field` finds them.
    """
    clip = max((field.clip[0] for found in fields.values() for field in found if _timed(field)), default=0)
    inner = {path.rpartition(".")[0] for path in fields if path}
    containers = inner | {parent for path in inner for parent in _parents(path)}
    merges: list[Merge] = []
    most, work = 1, 0
    for costed in result.ops:
        layer = costed.op.module
        if layer not in containers and costed.kind not in _POINTWISE:
            frames, whole = _frames(fields.get(layer, ()), clip)
            if frames > most or (whole and not (merges and merges[-1].whole)):
                most = max(frames, most)
                merges.append(Merge(layer, frames, work, whole))
        work += 2 * costed.work.macs + costed.work.other_flops
    merges = _distinct(merges)
    root = fields.get("", ())
    lost = next((field.lost for field in root if field.lost), "")
    whole_at_end = any(_timed(field) and (field.is_global or field.sizes[0] is None) for field in root)
    reached = any(merge.whole or merge.frames >= clip for merge in merges)
    return Merging(clip, work, tuple(merges), whole_at_end and not reached, not clip, lost)


def _timed(field: Field) -> bool:
    return not field.lost and len(field.clip) > _SPACE


def _parents(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(len(parts))]


def _frames(fields: tuple[Field, ...], clip: int) -> tuple[int, bool]:
    """The most frames that an output of a layer sees, and whether it takes in all of them whatever their number."""
    sizes = [field.sizes[0] for field in fields if _timed(field)]
    if any(size is None for size in sizes):
        return clip, True
    return max((size for size in sizes if size is not None), default=0), False


def _distinct(merges: list[Merge]) -> list[Merge]:
    """One for each layer in a row: the one with its final field, at its first operation."""
    kept = merges[:1]
    for before, merge in pairwise(merges):
        if merge.layer == before.layer:
            kept[-1] = Merge(merge.layer, merge.frames, kept[-1].before, merge.whole)
        else:
            kept.append(merge)
    return kept
