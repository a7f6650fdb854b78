"""The points of a comparison: what a network costs, and how accurate others found it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..core.errors import InputError, UncostedError, UnknownNameError
from ..core.model_spec import NAMELESS, ModelSpec
from ..core.one_line import OneLine
from ..core.pricing import Times
from ..core.protocol import ONE_VIEW, Clip, Protocol, Views
from ..core.registries import PREFIXES
from ..core.result import SavedReport
from ..core.units import plural
from ..facts.metrics import TOP1, Metric
from ..facts.pretraining import Pretraining
from ..models import name_in_zoo, require_inputs, require_known

__all__ = ["ACROSS", "OURS", "PER", "ComparedNetworks", "Point", "Row", "Unplotted", "pareto"]

PER = ("view", "video")
ACROSS = ("macs", "time")
OURS = "your own"  # the family of the points that the user adds


@dataclass(frozen=True, slots=True)
class Row(OneLine):
    """One point: cost and parameters counted by us, accuracy as `source` printed it, in the metric of the data set.

    `label` is the network's name in papers, where it has one. `views` is the protocol as printed ("10×3"), `view_count`
    its forward passes per video. `note` says what departs from the source, `unprinted` which of clip and views it does
    not print, and `assumed` what the count had to assume. `times` are the seconds of a view on a device, and `untimed`
    says why there are none, where a device was named.
    """

    name: str
    family: str
    clip: Clip
    views: str
    view_count: int
    macs: int
    params: int
    score: float
    top5: float | None
    pretrain: str
    source: str
    url: str
    locator: str
    label: str = ""
    note: str = ""
    unprinted: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    times: Times | None = None
    untimed: str = ""

    @property
    def title(self) -> str:
        """Its name in papers, or in the zoo."""
        return self.label or self.name

    @property
    def pretraining(self) -> Pretraining | None:
        """The kind of its pre-training; None for a model of the user's own, which has no source."""
        return None if self.family == OURS else Pretraining.of(self.pretrain)

    @property
    def flops(self) -> int:
        """FLOPs per view: 2 * macs."""
        return 2 * self.macs

    @property
    def macs_per_video(self) -> int:
        """MACs of all views of a video."""
        return self.macs * self.view_count

    def cost(self, per: str) -> int:
        """MACs per "view" or per "video".

        Raises:
            UnknownNameError: `per` is neither.
        """
        if per not in PER:
            raise UnknownNameError("unit of cost", per, PER, f"choose {' or '.join(PER)}")
        return self.macs if per == "view" else self.macs_per_video

    def times_per(self, per: str) -> Times | None:
        """Seconds per "view", or of all views of a "video"; None where they are unknown."""
        if self.times is None:
            return None
        return self.times.scaled(1 if per == "view" else self.view_count)

    def across(self, per: str, x: str) -> float | None:
        """What a chart has on its horizontal axis: MACs, or the estimated "time"; None where it is unknown.

        Raises:
            UnknownNameError: there is no such unit or axis.
        """
        if x not in ACROSS:
            raise UnknownNameError("axis", x, ACROSS, f"choose {' or '.join(ACROSS)}")
        cost = self.cost(per)
        times = self.times_per(per)
        return cost if x == "macs" else None if times is None else times.estimate

    def _headline(self) -> str:
        cost = f"{self.macs:,} MACs per view"
        return f"{self.title} on {self.clip}, {self.views} views: {cost}, {self.score:g} in {self.source}"


@dataclass(frozen=True, slots=True)
class Unplotted(OneLine):
    """A network that has no point, and why."""

    name: str
    why: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class ComparedNetworks(OneLine):
    """Networks on one data set: `rows` are points, `unplotted` the others with their reasons, `metric` the accuracy's.

    `view` says what a view is.

    `conditions` say what the times are those of, where a device was named, and `basis` what they rest on.
    """

    dataset: str
    rows: tuple[Row, ...]
    unplotted: tuple[Unplotted, ...]
    conditions: str = ""
    basis: tuple[str, ...] = ()
    metric: Metric = TOP1
    view: str = "view"

    def unit(self, per: str) -> str:
        """What a cost is of, in words: a view is a pair of frames where it is one of optical flow."""
        return self.view if per == "view" else per

    def fronts(self, per: str = "view", x: str = "macs") -> dict[Pretraining, tuple[Row, ...]]:
        """Of each kind of pre-training, if any row is of it, the rows that no other of that kind beats, by cost.

        A model of the user's own is in none, since its pre-training is not known.
        """
        of_kinds = {kind: [row for row in self.rows if row.pretraining is kind] for kind in Pretraining}
        return {kind: pareto(rows, per, x, self.metric) for kind, rows in of_kinds.items() if rows}

    def _headline(self) -> str:
        return f"on {self.dataset}: {plural(len(self.rows), 'point')}, {len(self.unplotted)} networks without one"


@dataclass(frozen=True, slots=True)
class Point(OneLine):
    """One of the user's own models: what to count, and the accuracy that the user measured (in percent).

    `saved` is its report where it was counted before; then nothing is counted, and `model` has the name of the file.
    """

    label: str
    model: ModelSpec
    top1: float
    protocol: Protocol = ONE_VIEW
    saved: SavedReport | None = None

    @classmethod
    def parse(cls, text: str, options: ModelSpec = NAMELESS, protocol: Protocol = ONE_VIEW) -> Point:
        """Read "LABEL=MODEL@TOP1", "...@TOP1@TxHxW" or "...@TOP1@TxHxW@CLIPSxCROPS"; MODEL may be a saved report.

        Arguments:
            text: one point.
            options: those of the model, unless the text says its clip.
            protocol: the batch, and the views, unless the text or the report says them.

        Raises:
            InputError: the text is none of these, the accuracy is not a percentage, the model does not exist, or the
                report cannot be read or is of another clip.
        """
        label, _, rest = text.partition("=")
        model, *parts = rest.split("@")
        if not label or not model or len(parts) not in (1, 2, 3):
            raise InputError(
                f"point {text!r} is not LABEL=MODEL@TOP1",
                [("fix", "write 'Ours=my.py:Net@78.9', or 'Ours=my.py:Net@78.9@16x224x224@10x3' with clip and views")],
            )
        try:
            top1 = float(parts[0])
        except ValueError:
            top1 = -1.0
        if not 0 <= top1 <= 100:
            raise InputError(f"accuracy {parts[0]!r} of point {label} is not a percentage", [("fix", "write @78.9")])
        clip = Clip.parse(parts[1]) if len(parts) > 1 else None
        views = Views.parse(parts[2]) if len(parts) > 2 else None
        if model.endswith(".json") and model.partition(":")[0] not in PREFIXES:
            saved = _saved(model, clip)
            return cls(label, ModelSpec(model), top1, Protocol(views or saved.views), saved)
        model = name_in_zoo(model)
        require_known(model)
        spec = replace(options, name=model, clip=clip or options.clip)
        require_inputs(spec)
        return cls(label, spec, top1, Protocol(views or protocol.views, batch=protocol.batch))


def _saved(path: str, clip: Clip | None) -> SavedReport:
    """A report that is complete, of this clip where one was said."""
    from ..output.report_json_reader import read_report  # here, since torch comes with it

    saved = read_report(path)
    if saved.uncosted:
        names = ", ".join(row.op for row in saved.uncosted)
        why = f"the report {path} lacks the cost of {names}, so its point would look better than it is"
        raise UncostedError(why, [("fix", "give a rule, as CONTRIBUTING.md says, and save the report anew")])
    if clip is not None and clip != saved.input.clip:
        seen = str(saved.input.clip or "no clip")
        raise InputError(
            f"the report {path} is not of the clip {clip}", [("seen", seen), ("fix", "name the model, to count it")]
        )
    return saved


def pareto(rows: Iterable[Row], per: str = "view", x: str = "macs", metric: Metric = TOP1) -> tuple[Row, ...]:
    """The rows that no other beats: none costs as little or less and is as accurate or more, one of them strictly.

    Sorted by cost, which is in MACs or time; rows of equal cost and accuracy all stay, those of unknown cost none.
    """
    sign = -1 if metric.lower_is_better else 1
    costs = [(cost, sign * row.score, row) for row in rows if (cost := row.across(per, x)) is not None]
    front: list[tuple[float, float, Row]] = []
    for cost, score, row in sorted(costs, key=lambda entry: (entry[0], -entry[1])):
        if not front or score > front[-1][1] or (cost, score) == front[-1][:2]:
            front.append((cost, score, row))
    return tuple(row for _, _, row in front)
