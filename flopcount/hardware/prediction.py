"""A time on a device, as data: its bound, estimate and range, and what follows for a sample, a video or a whole run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.ops import CostedOp
from ..core.pricing import Times
from ..core.protocol import Views
from ..core.result import Result
from ..core.units import duration, exact
from .conditions import Conditions
from .constants import Basis
from .energy import Energy
from .kernels import Family, peak_of
from .money import Money
from .precision import peaks_of

__all__ = ["JOB", "LIMITS", "KindTime", "Prediction", "UnitCost"]

JOB = "job"
"""What the numbers of a whole job are per."""

LIMITS = ("compute", "bytes", "launch")
"""What most of a time can be: arithmetic, data movement, or the launches of kernels."""

_HOUR = 3600
_MANY = 10**6
_DEPTHWISE = (Family.DEPTHWISE, Family.DEPTHWISE3D, Family.DEPTHWISE_BACKWARD)


@dataclass(frozen=True, slots=True)
class KindTime:
    """What the kernels of one family take: MACs, bytes moved, seconds, kernels, and what limits them."""

    kind: str
    macs: int
    nbytes: int
    seconds: float
    kernels: int
    limit: str


@dataclass(frozen=True, slots=True)
class UnitCost(OneLine):
    """What so many passes cost: seconds, joules and money, as `Prediction` has them of one.

    `unit` says what the passes are for, such as "video", and `words` describes it further.
    """

    unit: str
    words: str
    passes: float
    bound: float
    estimate: float
    low: float
    high: float
    energy: Energy | None
    money: Money | None

    @property
    def is_million(self) -> bool:
        """Whether it is there for amounts of money that one can read."""
        return self.unit.startswith("million ")

    @property
    def range_text(self) -> str:
        """The estimate and its range in words."""
        return f"{duration(self.estimate)} ({duration(self.low)} to {duration(self.high)})"

    def _headline(self) -> str:
        return f"{self.unit}: {self.range_text}" + (f"; {self.words}" if self.words else "")


@dataclass(frozen=True, repr=False)
class Prediction(OneLine):
    """What a result costs on a device, per forward pass of the input as counted (of a training result: per step).

    Arguments:
        conditions: the device, and how the network runs on it.
        bound: seconds that the datasheet allows at least, if all but contractions is fused away.
        estimate: seconds to expect; never below the bound.
        low: the tenth percentile of what networks of unseen families took, given such an estimate.
        high: the ninetieth.
        basis: what the estimate rests on.
        basis_words: the same in words, with the rows that it was fitted on.
        energy: joules of the device alone, or None where its power limit is unknown.
        money: the amount, or None without a price.
        widened: kinds of kernel that the fit knows little of, which make the range wider.
        by_kind: seconds by family of kernel, the longest first.
        result: the result, priced: its operators have their time, energy and money.
        roofline: seconds by the datasheet and the formula alone, with every factor at 1: what ranks networks where
            nothing was fitted.
        ran: the operators that ran, with what each spends: of a training step those of autograd, whose times `result`
            has by module, and of a forward pass those of `result`.
        planned: epochs, and samples of the data set, of a training run whose length is given.
        job: of a whole job what each of its own units costs; None of one pass.
    """

    conditions: Conditions
    bound: float
    estimate: float
    low: float
    high: float
    basis: Basis
    basis_words: str
    energy: Energy | None
    money: Money | None
    widened: tuple[str, ...]
    by_kind: tuple[KindTime, ...]
    result: Result
    roofline: float = 0.0
    ran: tuple[CostedOp, ...] = ()
    planned: tuple[int, int] | None = field(default=None)
    job: tuple[UnitCost, ...] | None = None

    @property
    def times(self) -> Times:
        """Bound, estimate and range together."""
        return Times(self.bound, self.estimate, self.low, self.high)

    @property
    def batch(self) -> int | None:
        """Samples in one pass."""
        return self.result.input.batch

    @property
    def peak(self) -> float:
        """FLOP/s of contractions at the datasheet's peaks; where kinds have different ones, at the mix of its own."""
        peaks = peaks_of(self.conditions.device, self.conditions.precision)
        flops = seconds = 0.0
        for kind in self.by_kind:
            flops += 2 * kind.macs
            seconds += 2 * kind.macs / peaks[self._peak_of(Family(kind.kind))]
        return flops / seconds if seconds else peaks[self.conditions.precision.contraction]

    def _peak_of(self, family: Family) -> str:
        """A depthwise convolution is held against what other convolutions reach, as published utilisations are."""
        precision = self.conditions.precision
        return precision.convolution if family in _DEPTHWISE else peak_of(family, precision)

    @property
    def utilisation(self) -> float:
        """FLOPs of contractions per second over `peak` (MFU)."""
        return 2 * sum(kind.macs for kind in self.by_kind) / self.estimate / self.peak if self.estimate else 0.0

    @property
    def range_text(self) -> str:
        """The estimate of one pass and its range in words."""
        return self.over(1).range_text

    @property
    def pass_word(self) -> str:
        """What the numbers are per."""
        if self.job is not None:
            return JOB
        return "training step" if self.conditions.training else "forward pass"

    def over(self, passes: float, unit: str = "pass", words: str = "") -> UnitCost:
        """What so many passes cost."""
        energy = self.energy and Energy(*(getattr(self.energy, name) * passes for name in ("low", "mid", "high")))
        money = self.money and replace(self.money, amount=self.money.amount * passes)
        bound, estimate, low, high = (value * passes for value in (self.bound, self.estimate, self.low, self.high))
        return UnitCost(unit, words, passes, bound, estimate, low, high, energy, money)

    @property
    def per_sample(self) -> UnitCost | None:
        """Of one sample of the batch, that is of one clip and one view; None where the batch is unknown."""
        return None if self.batch is None else self.over(1 / self.batch, "sample", f"batch {self.batch}")

    def per_video(self, views: str | int | tuple[int, int] | Views | None = None) -> UnitCost | None:
        """Of all views of a video, by default those of the result; None for a training step.

        Where the batch is unknown the input as given is one view.
        """
        if self.conditions.training:
            return None
        views = self.result.views if views is None else Views.parse(views)
        return self.over(views.count / (self.batch or 1), "video", f"{views} = {views.count} views")

    @property
    def per_hour_of_video(self) -> UnitCost | None:
        """Of an hour of video, clips end to end, one view each; None without a frame rate, a clip or a batch."""
        input = self.result.input
        if self.conditions.training or input.clip is None or not input.fps or not self.batch:
            return None
        clips = _HOUR * input.fps / (input.clip.frames * input.stride)
        return self.over(clips / self.batch, "hour of video", f"clips end to end, {clips:,.0f} of them")

    def run(self, epochs: int, samples: int) -> UnitCost | None:
        """Of so many epochs over a data set; a last batch that is smaller takes as long. None without a batch.

        Raises:
            InputError: a number is not a whole one above 0.
        """
        for name, number in (("epochs", epochs), ("samples", samples)):
            if type(number) is not int or number < 1:
                raise InputError(f"{name} is {number!r}", [("fix", "give a whole number above 0")])
        if not self.batch:
            return None
        steps = epochs * -(-samples // self.batch)
        return self.over(steps, "run", f"{exact(epochs)} × {exact(samples)} samples in {exact(steps)} steps")

    @property
    def units(self) -> tuple[UnitCost, ...]:
        """Of everything that is asked for, and of a million samples, which has amounts of money that one can read."""
        return tuple(self._units())

    def _units(self) -> Iterator[UnitCost]:
        if self.job is not None:
            yield from self.job
            return
        sample, hour = self.per_sample, self.per_hour_of_video
        video = self.per_video() if self.result.views.count > 1 else None
        if sample is not None and self.batch != 1:
            yield sample
        if video is not None:
            yield video
        if hour is not None:
            yield hour
        if self.planned is not None:
            epochs, samples = self.planned
            for unit, times in (("epoch", 1), ("run", epochs)):
                run = self.run(times, samples)
                if run is not None:
                    yield replace(run, unit=unit)
        each = video or sample
        if each is not None and not self.conditions.training:
            noun = "video" if video is not None else "clip" if self.result.input.clip is not None else "sample"
            yield self.over(_MANY * each.passes, f"million {noun}s")

    def _headline(self) -> str:
        return f"of {self.result.model} on {self.conditions}: {self.range_text}"
