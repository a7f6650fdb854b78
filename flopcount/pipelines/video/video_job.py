"""A plan -> the whole job as a pipeline: preprocessing, optical flow, and the network on every view.

Decoding is no FLOP: it is frames, pixels and bytes, which the plan has, and time, which `decode_time` has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from ...core.errors import FlopcountError, InputError
from ...core.model_spec import ModelSpec
from ...core.ops import TensorSpec
from ...core.protocol import Clip, Protocol
from ...core.result import Result
from ...core.shown_as_tables import ShownAsTable
from ...core.table import Table
from ...core.units import plural, times
from ...count import count, count_named
from ...facts.devices import Device
from ...facts.prices import Price
from ...hardware.setting import Setting
from ..pipeline import Pipeline
from ..pipeline_json import pipeline_json
from ..stage import Stage
from ..unit import Unit
from .flow_ways import FLOWS
from .job_table import job_table
from .needs import Needs, needs_of
from .online import Steps, count_steps
from .plan import Plan
from .preprocessing import Preprocess
from .video_cost import VideoCost, costs_of

__all__ = ["Counts", "VideoJob", "time_units"]

_HOUR = 3600


@dataclass(frozen=True, repr=False)
class VideoJob(ShownAsTable):
    """One video and what a network makes of it: the plan, and the pipeline without the decoding."""

    plan: Plan
    pipeline: Pipeline

    @property
    def macs(self) -> int:
        """Of all stages together."""
        return self.pipeline.macs

    def table(self) -> Table:
        """One row per stage, the decoding first."""
        return job_table(self.plan, self.pipeline)

    def cost(
        self,
        on: str | Device,
        *,
        dtype: str | None = None,
        compile: bool = False,
        layout: str = "nchw",
        price: float | str | Price | None = None,
        utilisation: float = 1.0,
        measure_decode: bool = False,
    ) -> VideoCost:
        """Time and money of the video on a device, decoding included; it has to be counted with `dataflow=True`.

        Arguments as `Report.cost`; `measure_decode` decodes what is needed here and now, else published rates are used.

        Raises:
            InputError: it was counted without its dataflow, or a frame cannot be decoded.
            UnknownNameError: no such device or precision.
        """
        setting = Setting.named(on, dtype, compile, layout, price=price, utilisation=utilisation)
        (found,) = costs_of(self.plan, self.pipeline, (setting,), measure=measure_decode)
        return found

    def to_json(self) -> str:
        """The job of schema flopcount/1, with the plan among its facts."""
        return pipeline_json(self.pipeline)

    def _headline(self) -> str:
        views, decoded = self.plan.views.count, self.plan.decoding.frames
        return f"{self.pipeline.name}: {self.macs:,} MACs, {views} views, {decoded} frames decoded"


@dataclass
class Counts:
    """What the stages of jobs cost, counted once for each batch and size of frames."""

    spec: ModelSpec
    protocol: Protocol
    dataflow: bool = False
    progress: Callable[[str], None] = lambda what: None
    known: dict[object, Result] = field(default_factory=dict)
    known_steps: dict[int, Steps | None] = field(default_factory=dict)

    def network(self, batch: int) -> Result:
        """The network on so many clips at once.

        Raises:
            FlopcountError: it cannot be counted.
        """

        def counted() -> Result:
            self.progress(f"counting {self.spec.name}")
            return count_named(self.spec, replace(self.protocol, batch=batch), dataflow=self.dataflow, saving=False)

        return self._once(("network", batch), counted)

    def steps(self, most: int) -> Steps:
        """The network as a streaming one, for a video of at most so many frames.

        Raises:
            FlopcountError: it has no step, or cannot be counted.
        """
        short = min(most, self.needs.frames)
        if short not in self.known_steps:
            self.progress(f"counting steps of {self.spec.name}")
            self.known_steps[short] = count_steps(self.spec, short, dataflow=self.dataflow)
        steps = self.known_steps[short]
        if steps is None:
            fix = f"leave out --online; flopcount streaming {self.spec.name} says what prevents a step"
            raise InputError(f"{self.spec.name} has no step for new frames", [("fix", fix)])
        return steps

    def preprocessing(self, frame: tuple[int, int], size: tuple[int, int]) -> Result:
        """One frame (height, width), resized to a size and normalised."""
        module = Preprocess(None if frame == size else size)
        return self._once(
            ("resize", frame, size),
            lambda: count(module, TensorSpec((1, 3, *frame), "uint8"), dataflow=self.dataflow, saving=False),
        )

    def flow(self, name: str, size: tuple[int, int]) -> Result:
        """Optical flow between two frames of a size (height, width)."""
        way = FLOWS[name]
        clip = Clip(2, *way.padded(size))

        def counted() -> Result:
            self.progress(f"counting {way.network}")
            spec = ModelSpec(way.network, clip)
            try:
                return count_named(spec, Protocol(batch=1), dataflow=self.dataflow, saving=False)
            except FlopcountError as error:
                raise InputError(error.message, [("in", f"flow of frames {times(size)}"), *error.details]) from error

        return self._once(("flow", name, clip), counted)

    def _once(self, key: object, counted: Callable[[], Result]) -> Result:
        if key not in self.known:
            self.known[key] = counted()
        return self.known[key]

    @property
    def needs(self) -> Needs:
        """What the network takes of a video."""
        return needs_of(self.network(1))

    def network_stages(self, views: int, batch: int = 1) -> list[Stage]:
        """The network on so many views, `batch` at a time, and those that are left in one smaller batch.

        Raises:
            FlopcountError: it cannot be counted.
        """
        whole, rest = divmod(views, batch)
        stages = [Stage("network", self.network(batch), whole, weights="network")] if whole else []
        if rest:
            stages.append(Stage("last batch" if whole else "network", self.network(rest), 1, weights="network"))
        return stages

    def job(self, plan: Plan, flow: str | None, network: Sequence[Stage], notes: Sequence[str] = ()) -> VideoJob:
        """The whole job of a plan, whose last stages are those of the network.

        `notes` say what else a reader has to know.

        Raises:
            FlopcountError: a stage cannot be counted.
        """
        stages = [Stage("resize", self.preprocessing(plan.frame, plan.size), len(plan.decoding.wanted))]
        if plan.needs.flows and flow is not None:
            stages.append(Stage("flow", self.flow(flow, plan.size), plan.pairs))
        pipeline = Pipeline(
            [*stages, *network],
            name=f"{self.spec.name} on {plan.video.path}",
            units=_units(plan.video.duration, plan.views.count),
            notes=(*notes, *plan.lines(), *self.notes(plan, flow)),
            facts=plan.data(),
        )
        return VideoJob(plan, pipeline)

    def notes(self, plan: Plan, flow: str | None) -> list[str]:
        """What the stages are."""
        height, width = plan.size
        sizes = f"{times(plan.frame)} to {height}×{width}" if plan.frame != plan.size else times(plan.frame)
        crop = times((plan.needs.height, plan.needs.width))
        lines = [
            f"resize: {plural(len(plan.decoding.wanted), 'frame')}, {sizes}, normalised; crops of {crop} cost nothing"
        ]
        if plan.needs.flows and flow is not None:
            padded = FLOWS[flow].padded(plan.size)
            more = "" if padded == plan.size else f" padded to {times(padded)}"
            how = f"between neighbouring frames of {height}×{width}{more}, each once"
            lines.append(f"flow: {flow}, {plural(plan.pairs, 'field')} {how}")
        return lines


def _units(length: Fraction, views: int) -> tuple[Unit, ...]:
    """What a job over so many seconds of video, in so many views, is paid by."""
    return Unit("video", 1), *time_units(length, "video"), Unit("view", views)


def time_units(length: Fraction, what: str) -> tuple[Unit, Unit]:
    """A second and an hour of so many seconds of what is looked at."""
    hours = length / _HOUR
    return (
        Unit(f"second of {what}", f"{length.numerator} / {length.denominator}"),
        Unit(f"hour of {what}", f"{hours.numerator} / {hours.denominator}"),
    )
