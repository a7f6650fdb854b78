"""What a network takes of a video, by the shapes of its input: frames, fields of optical flow, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.errors import InputError
from ...core.one_line import OneLine
from ...core.result import Result
from ...core.units import times
from ...models import CARDS

__all__ = ["Needs", "needs_of"]

_RGB, _FLOW = 3, 2
_PICTURE, _CLIP = 4, 5  # axes
_BOXES, _CORNERS = 3, 4  # (B, boxes, 4)


@dataclass(frozen=True, slots=True)
class Needs(OneLine):
    """One clip of a network.

    Arguments:
        frames: of the video, between whose first and last `stride` frames lie each.
        height: of a frame, in pixels.
        width: of a frame.
        flows: fields of optical flow; 0 for a network that takes none.
        beside: fields between neighbouring frames that are stacked beside each of `frames`.
        boxes: boxes whose content a detector classifies, in each clip.
    """

    frames: int
    height: int
    width: int
    flows: int = 0
    beside: int = 0
    boxes: int = 0

    @property
    def colours(self) -> int:
        """Numbers of a clip in frames, three a pixel."""
        return _RGB * self.frames * self.height * self.width


def needs_of(result: Result) -> Needs:
    """What the network of a count takes.

    Raises:
        InputError: it takes no frames of a video.
    """
    card = CARDS.get(result.model)
    if card is not None and card.clip_axes != "THW":
        raise InputError(
            f"{result.model} takes skeletons, not frames",
            [("fix", "choose a network of frames; flopcount list has them")],
        )
    shapes = result.input.shapes
    flow = next((need for shape in shapes if (need := _flow(shape)) is not None), None)
    if flow is not None:
        return flow
    clip = result.input.clip
    if clip is not None and _latents(shapes, (clip.height, clip.width)):
        seen = ", ".join(map(times, shapes))
        fix = f"choose a network of frames, or count what it makes: flopcount generate {result.model.partition('/')[0]}"
        raise InputError(f"{result.model} takes latents, not frames of a video", [("seen", seen), ("fix", fix)])
    if clip is not None:
        boxes = next((shape[-2] for shape in shapes if len(shape) == _BOXES and shape[-1] == _CORNERS), 0)
        return Needs(clip.frames, clip.height, clip.width, boxes=boxes)
    picture = next((shape for shape in shapes if len(shape) == _PICTURE and shape[1] == _RGB), None)
    if picture is None:
        seen = ", ".join(times(shape) for shape in shapes) or "no tensor"
        raise InputError(
            f"{result.model} takes no frames of a video",
            [("seen", seen), ("fix", "choose a network of frames; flopcount list has them")],
        )
    return Needs(1, picture[2], picture[3])


def _latents(shapes: Sequence[Sequence[int]], size: tuple[int, int]) -> bool:
    """Whether a network takes clips, and none with frames as large as those of the clip that it is counted for."""
    large = any(tuple(shape[at : at + 2]) == size for shape in shapes for at in range(len(shape) - 1))
    return not large and any(len(shape) == _CLIP for shape in shapes)


def _flow(shape: Sequence[int]) -> Needs | None:
    """Of a clip of flow (B, 2, T, H, W), T fields; of a stack (B, 2L, H, W), L of them beside one frame."""
    if len(shape) == _CLIP and shape[1] == _FLOW:
        return Needs(shape[2], shape[3], shape[4], flows=shape[2], beside=1)
    if len(shape) == _PICTURE and shape[1] > _RGB and shape[1] % _FLOW == 0:
        return Needs(1, shape[2], shape[3], flows=shape[1] // _FLOW, beside=shape[1] // _FLOW)
    return None
