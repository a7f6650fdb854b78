"""How a network is asked to look at videos."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...core.errors import InputError, UnknownNameError
from ...core.one_line import OneLine
from ...core.protocol import Views
from ...models.cards import SAMPLINGS
from .flow_ways import find_flow
from .resize import Resize
from .sampling import SEGMENTS

__all__ = ["ViewRequest"]


@dataclass(frozen=True, slots=True)
class ViewRequest(OneLine):
    """How a network is to look at videos; what is None follows from the network, and a note says what it became.

    Arguments:
        views: clips spread over the video, and crops of each.
        hop: frames from the beginning of one clip to that of the next, instead of a number of clips.
        sampling: "dense" or "segments".
        resize: how large frames become.
        flow: how optical flow is computed, for networks that take it.
        online: whether a streaming network sees each frame once, instead of clips.

    Raises:
        InputError: views and a hop at once, or either with `online`.
        UnknownNameError: no such sampling or flow.
    """

    views: Views | None = None
    hop: int | None = None
    sampling: str | None = None
    resize: Resize = field(default_factory=Resize)
    flow: str | None = None
    online: bool = False

    def __post_init__(self) -> None:
        if self.hop is not None and self.hop < 1:
            raise InputError(f"hop is {self.hop}", [("fix", "give a hop above 0, a whole number of frames")])
        if self.hop is not None and self.views is not None and self.views.clips > 1:
            why = f"--hop {self.hop} and --views {self.views.clips}x{self.views.crops} both say where clips are"
            raise InputError(why, [("fix", f"leave one out, or give --views 1x{self.views.crops} for the crops")])
        if self.sampling is not None and self.sampling not in SAMPLINGS:
            raise UnknownNameError("sampling", self.sampling, SAMPLINGS, f"choose {' or '.join(SAMPLINGS)}")
        if self.hop is not None and self.sampling == SEGMENTS:
            why = "a clip of segments spans the whole video, so there is no hop between clips"
            raise InputError(why, [("fix", "leave out --hop or --sampling")])
        for option, value in (("--views", self.views), ("--hop", self.hop), ("--sampling", self.sampling)):
            if self.online and value is not None:
                why = f"a network that runs online sees each frame once, and {option} says where clips are"
                raise InputError(why, [("fix", f"leave out --online or {option}")])
        if self.flow is not None:
            find_flow(self.flow)
