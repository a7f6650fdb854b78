"""Module + stride -> what a new frame of a video costs in steady state, against computing the whole clip again.

What enters is a network with a `step` (models/streamable.py); what leaves is a Streaming: the cost of one step on S new
frames, counted with the state that a whole clip leaves behind, beside the cost of one clip. For a network without a
step it says what prevents one: the first operator whose results depend on where the clip begins and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

from torch import Tensor, nn

from ..core.amount import Amount
from ..core.errors import InputError
from ..core.model_spec import ModelSpec
from ..core.protocol import ONE_VIEW, Clip, Protocol
from ..core.result import Result
from ..core.shown_as_tables import ShownAsTable
from ..core.table import Column, Table
from ..core.units import plural, times
from ..core.wording import assumed_lines
from ..count import count
from ..models.by_name import with_model
from ..models.networks.streamable import ALL, WINDOW, Streamable
from ..tracing import module_of
from ..tracing.arguments import Input, arguments_of
from ..tracing.input_dependence import AXES, DependenceMode, InputDependence, Lost
from ..tracing.inputs import specs_of
from ..tracing.intervals import FAR
from .receptive_field import follow
from .steps import state_after, steady_step

__all__ = ["Streaming", "stream_model", "streaming", "streaming_table"]


PADS = "pads in time"
SEES_ALL = "sees all frames at once"
BY_PLACE = "selects frames by their position in the clip"
MOVES = "moves {} frames at a time"
NO_TIME = "treats frames as channels"
NO_STEP = "no step(frames, state), though nothing prevents one"

_MEANING = {
    WINDOW: "as if it were computed again",
    ALL: "on the first clip as if computed at once, and nothing is forgotten later",
    PADS: "it sees zeros where a clip ends; a longer video has frames there",
    SEES_ALL: "all layers after it are recomputed; a step(frames, state) could keep the results before it",
    BY_PLACE: "each clip selects other frames",
    "moves": "a step of that many new frames, or a multiple, would keep its results",
}


@dataclass(frozen=True, slots=True)
class Prevented:
    """Why a network cannot stream: the first layer whose results depend on where the clip lies, and what it does."""

    layer: str
    type: str
    reason: str

    def __str__(self) -> str:
        return f"{self.layer or 'the model itself'} ({self.type}) {self.reason}" if self.type else self.reason


@dataclass(frozen=True, slots=True)
class Streaming(ShownAsTable):
    """One network on a stream. Where it cannot stream `step` is None and `prevented` says what prevents it.

    `window` is one clip, `step` is `stride` new frames in steady state, both per sample; `state_bytes` is what is kept
    between steps. Where the batch of the input is unknown, `window` is the cost of all of it; `clip` is None where the
    input is no clip. `sees` says which frames a step's output covers: the last clip, or all since the beginning.
    """

    model: str
    clip: Clip | None
    stride: int
    window: Amount
    step: Amount | None = None
    state_bytes: int | None = None
    sees: str = ""
    prevented: Prevented | None = None
    assumed: tuple[str, ...] = ()

    @property
    def saving(self) -> Fraction | None:
        """The cost of a clip over that of a step (in MACs; in all operations where there are none)."""
        if self.step is None:
            return None
        whole, part = (self.window.macs, self.step.macs) if self.step.macs else _operations(self.window, self.step)
        return Fraction(whole, part) if part else None

    def table(self) -> Table:
        """The cost of a step and of the clip that it saves recomputing, in one row."""
        return streaming_table([self], self.stride)

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model,
            "clip": self.clip.code if self.clip else None,
            "stride": self.stride,
            "window": _amount(self.window),
            "step": _amount(self.step) if self.step is not None else None,
            "state_bytes": self.state_bytes,
            "step_sees": self.sees or None,
            "prevented": asdict(self.prevented) if self.prevented else None,
        }

    def _headline(self) -> str:
        if self.step is None:
            return f"{self.model} on {self.clip}: cannot stream, {self.prevented}"
        new = plural(self.stride, "new frame")
        return f"{self.model} on {self.clip}: {self.step.macs:,} MACs for {new}, {self.window.macs:,} for a clip"


def _operations(window: Amount, step: Amount) -> tuple[int, int]:
    return window.total_flops, step.total_flops


def _amount(amount: Amount) -> dict[str, int]:
    return {"macs": amount.macs, "flops": amount.flops, "other_flops": amount.other_flops}


def streaming(module: Callable[..., Any], input: Input, *, stride: int = 1, batch: int | None = None) -> Streaming:
    """What a step of `stride` new frames costs in steady state, or what prevents it.

    Arguments:
        module: a network of the zoo, or any nn.Module with a `step(frames, state)` as models/streamable.py has it.
        input: one clip, as `count_flops` takes it: (B, 3, T, H, W).
        stride: new frames per step, at most those of a clip.
        batch: samples in the input, as count_flops takes it.

    Raises:
        InputError: the stride is not at least one frame and at most the clip.
        ForwardError: the step raises.
    """
    if not isinstance(stride, int) or stride < 1:
        raise InputError(f"stride is {stride!r}", [("fix", "give at least one new frame per step")])
    network = module_of(module, input)
    report = count(network, input, Protocol(batch=batch))
    base = Streaming(report.model, report.input.clip, stride, report.per_view, assumed=report.assumed)
    if _is_image_network(report):
        one = base.clip or Clip(1, *report.input.shapes[0][-2:])
        return _stepped(replace(base, clip=one), report.per_view * stride, 0, "one frame")
    if not isinstance(module, Streamable):  # a method of one has no step of its own
        return _prevented(base, what_prevents(network, input, stride))
    specs = specs_of(*arguments_of(input, module))
    if [spec.ndim for spec in specs] != [5]:
        shapes = ", ".join(times(spec.shape) for spec in specs)
        why = f"{report.model} steps through one clip, B×C×T×H×W, but its input is {shapes}"
        raise InputError(why, [("fix", "give --clip, or one input of that kind")])
    first = specs[0]
    batch, _, frames, *_ = first.shape
    if stride > frames:
        fix = f"choose a stride up to {frames}: clips further apart do not overlap"
        raise InputError(f"stride {stride} is longer than the clip, {frames} frames", [("fix", fix)])
    state = state_after(module, first)
    step = steady_step(module, first, state, stride)
    nbytes = sum(spec.nbytes for spec in specs_of(state)) // batch
    return _stepped(base, step.per_view, nbytes, getattr(module, "step_sees", ""))


def _stepped(base: Streaming, step: Amount, nbytes: int, sees: str) -> Streaming:
    return replace(base, step=step, state_bytes=nbytes, sees=sees)


def _prevented(base: Streaming, reason: Prevented) -> Streaming:
    return replace(base, prevented=reason)


def _is_image_network(report: Result) -> bool:
    return [len(shape) for shape in report.input.shapes] == [4] and report.input.shapes[0][1] == 3


# What prevents it


def what_prevents(module: nn.Module, input: Input, stride: int) -> Prevented:
    """The first layer whose results for the same frames change as the window moves on by `stride` frames."""
    mode = follow(module, input)
    if AXES[0] not in mode.axes:
        return Prevented("", type(module).__name__, NO_TIME)
    types = {name: type(part).__name__ for name, part in module.named_modules()}
    for seen in mode.seen:
        reason = next((reason for state in seen.states if (reason := _border(state, mode, stride))), "")
        if reason:
            return Prevented(seen.module, types[seen.module], reason)
    return Prevented("", "", NO_STEP)


def _border(state: Any, mode: DependenceMode, stride: int) -> str:
    """How results depend on where the window lies; empty where they do not."""
    if isinstance(state, Lost):
        return f"has {state.op}, whose dependences are not known"
    if not isinstance(state, InputDependence):
        return ""
    reach, frames = state.reaches[0], mode.lengths[0]
    low, high = reach.low, -reach.minus_high
    windows = (low > -FAR // 2) & (low <= high)  # neither everything nor nothing
    if bool(((low < 0) | (high >= frames))[windows].any()):
        return PADS
    if bool((low <= -FAR // 2).any()):
        return SEES_ALL
    steps = _steps(low[windows], high[windows])
    if any(len(jumps) > 1 for jumps in steps):
        return BY_PLACE
    jump = next((jumps[0] for jumps in steps if jumps and stride % jumps[0]), 0)
    return MOVES.format(jump) if jump else ""


def _steps(low: Tensor, high: Tensor) -> list[list[int]]:
    """The distances between windows of one width, for each width, whatever the layout of their elements."""
    sizes = high - low
    steps: list[list[int]] = [low[sizes == size].unique().diff().unique().tolist() for size in sizes.unique()]
    return steps


# By name


def stream_model(spec: ModelSpec, protocol: Protocol = ONE_VIEW, *, stride: int = 1) -> Streaming:
    """As `streaming`, of a model by name: what `flopcount streaming` calls."""
    return with_model(spec, protocol, lambda module, input, of: streaming(module, input, stride=stride, batch=of.batch))


def streaming_table(rows: Iterable[Streaming], stride: int) -> Table:
    """One row per network: the cost of a step and of the clip that it saves recomputing."""
    rows = tuple(rows)
    columns = (
        Column("network", "text"),
        Column("clip", "text", drop=3),
        Column("MACs per clip"),
        Column("per step"),
        Column("saved", "text"),
        Column("kept", unit="B", drop=2),
        Column("result is of", "prose" if any(row.prevented for row in rows) else "text"),
    )
    cells = [
        (
            row.model,
            str(row.clip or ""),
            row.window.macs,
            row.step.macs if row.step is not None else 0,
            f"{float(row.saving):.3g}×" if row.saving is not None else "",
            row.state_bytes or 0,
            f"cannot stream: {row.prevented}" if row.prevented else row.sees,
        )
        for row in rows
    ]
    new = "each new frame" if stride == 1 else f"every {stride} new frames"
    notes = (
        f"per step: MACs for {new} in steady state, with the state kept from earlier frames",
        "per clip: MACs to recompute the whole window",
    )
    assumed = [f"{line} ({row.model})" for row in rows for line in assumed_lines(row.assumed)]
    return Table(f"streaming, {new}", columns, tuple(cells), None, (*notes, *assumed, *_meanings(rows)))


def _meanings(rows: Iterable[Streaming]) -> Iterable[str]:
    """The meaning of each phrase that occurs."""
    occurring = [row.prevented.reason if row.prevented else row.sees for row in rows]
    for start, meaning in _MEANING.items():
        if any(text.startswith(start) for text in occurring):
            yield f"{start}: {meaning}"
