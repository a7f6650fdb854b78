"""What may be a point of a comparison: an accuracy that others printed, and the network of the zoo that has it.

What enters is the name of a data set; what leaves are Candidates by network, of published rows or, for a benchmark of
optical flow, of what was printed of its networks. Nothing is counted here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..core.errors import InputError
from ..core.model_spec import ModelSpec
from ..core.protocol import Clip
from ..facts import Published, ZooModel, dataset_classes, find_dataset, metric_of, published, zoo_model
from ..facts.metrics import EPE, MAP, Metric
from ..facts.optical_flow import OpticalFlowFact, optical_flow_facts
from ..facts.pretraining import Pretraining
from ..models import CARDS
from ..models.cards import Card

__all__ = [
    "FLOW_BENCHMARKS",
    "Candidate",
    "Networks",
    "benchmark_metric",
    "candidates_on",
    "find_benchmark",
    "networks_on",
    "of_each_pretraining",
    "require_compared",
]

FLOW_BENCHMARKS = {"sintel_clean": "sintel_clean", "sintel_final": "sintel_final", "kitti15": "kitti15_epe"}
"""Benchmark of optical flow -> the field of optical_flow.csv with its end-point error."""

_FRAMES = {"sintel_clean": (436, 1024), "sintel_final": (436, 1024), "kitti15": (375, 1242)}
"""Height and width of a benchmark's frames: http://sintel.is.tue.mpg.de and
https://www.cvlibs.net/datasets/kitti/eval_scene_flow.php (most of its frames)."""

_STEPS = {"pwc_net": 64, "raft": 8, "raft_small": 8}
"""Frames are padded, or enlarged, to multiples: script_pwc.py of NVlabs/PWC-Net, core/utils/utils.py of RAFT."""

_UNTUNED = "FlyingChairs, FlyingThings3D"  # what all networks are compared after; further training sees the benchmark


@dataclass(frozen=True, slots=True)
class Candidate:
    """An accuracy and what had it; `lacks` says why it cannot be a point, and `rank` puts the preferred ones first."""

    card: Card
    spec: ModelSpec
    clip: Clip
    label: str
    score: float | None
    top5: float | None
    pretrain: str
    views: str
    view_count: int
    source: str
    url: str
    locator: str
    rank: tuple[bool, ...]
    note: str = ""
    unprinted: tuple[str, ...] = ()
    lacks: str = ""


Networks = dict[str, list[Candidate]]
"""Network of the zoo -> its candidates, in the order of the zoo."""


def find_benchmark(name: str) -> str:
    """The data set, or the benchmark of flow, that is meant, however it is written.

    Raises:
        UnknownNameError: there is none; the message offers near names, and those that have a network.
    """
    return find_dataset(name, FLOW_BENCHMARKS, [*networks_on(), *FLOW_BENCHMARKS])


def require_compared(dataset: str) -> None:
    """Refuse a data set on which no network of the zoo has an accuracy, before anything is counted.

    Raises:
        InputError: it is one; the message names those that have some.
    """
    if not candidates_on(dataset):
        fix = [("fix", f"choose {', '.join([*networks_on(), *FLOW_BENCHMARKS])}")]
        raise InputError(f"no network of the zoo has a {benchmark_metric(dataset).name} on {dataset}", fix)


def benchmark_metric(dataset: str) -> Metric:
    """What accuracies on a data set, or errors on a benchmark of flow, are measured in."""
    return EPE if dataset in FLOW_BENCHMARKS else metric_of(dataset)


def networks_on() -> list[str]:
    """Data sets on which some network of the zoo has an accuracy."""
    found = {row.dataset for row in published() if _score(row) is not None and isinstance(zoo_model(row), ZooModel)}
    return [dataset for dataset in dataset_classes() if dataset in found]


def candidates_on(dataset: str) -> Networks:
    """Every accuracy on a data set, or error on a benchmark of flow, by the network of the zoo that has it."""
    found = _of_flow(dataset) if dataset in FLOW_BENCHMARKS else _of_published(dataset)
    networks: Networks = {name: [] for name in CARDS}
    for candidate in found:
        networks[candidate.card.name].append(candidate)
    return {name: candidates for name, candidates in networks.items() if candidates}


def of_each_pretraining(candidates: Sequence[Candidate]) -> Iterable[Candidate]:
    """The preferred one, and of every other kind of pre-training the preferred one of the same network and clip.

    Networks of different labels are different networks.
    """
    chosen: dict[tuple[str, Pretraining], Candidate] = {}
    labels: set[str] = set()
    for candidate in sorted(candidates, key=lambda candidate: candidate.rank):
        label, kind = candidate.label, Pretraining.of(candidate.pretrain)
        spec, own = candidate.spec, candidate.card.clip
        same = not spec.options and candidate.clip.frames == own.frames and not candidate.lacks
        if label not in labels or (same and kind is not Pretraining.UNSAID):
            labels.add(label)
            chosen.setdefault((label, kind), candidate)
    return chosen.values()


def _of_published(dataset: str) -> Iterable[Candidate]:
    for row in published():
        if row.dataset == dataset and (_score(row) is not None or row.top5 is not None):
            model = zoo_model(row)
            if isinstance(model, ZooModel):
                yield _candidate(row, model)


def _candidate(row: Published, model: ZooModel) -> Candidate:
    if row.accuracy_frames is not None and row.accuracy_frames != row.frames:
        note = f"its source counts the cost at {row.frames} frames, its accuracy is at {row.accuracy_frames}"
        model = replace(model, clip=replace(model.clip, frames=row.accuracy_frames), note=note)
    card, score, views = CARDS[model.name], _score(row), _view_count(row)
    lacks = f"the source prints no {metric_of(row.dataset).name}" if score is None else ""
    return Candidate(
        card=card,
        spec=model.spec,
        clip=model.clip,
        label=card.label,
        score=score,
        top5=row.top5,
        pretrain=row.pretrain,
        views=f"{row.clips}×{row.crops}" if row.clips and row.crops else str(views),
        view_count=views,
        source=row.source,
        url=row.url,
        locator=row.locator,
        rank=_rank(card, row, model),
        note=model.note,
        unprinted=row.assumed,
        lacks=lacks or ("" if views else "the source does not say how many views"),
    )


def _rank(card: Card, row: Published, model: ZooModel) -> tuple[bool, ...]:
    """Smaller is better: the network as the zoo has it and its paper's row, even where that is too little for a point.

    Among other sources: one that gives the views, read first hand, the network's own code, trained from scratch.
    """
    return (
        bool(model.options),
        model.clip.frames != card.clip.frames,
        row.url.rstrip("/") != card.paper.rstrip("/"),
        _score(row) is None or not _view_count(row),
        row.secondary,
        not row.url.startswith(card.code),
        row.pretrain != "none",
    )


def _score(row: Published) -> float | None:
    """The accuracy of a row in the metric of its data set."""
    return row.mean_ap if metric_of(row.dataset) is MAP else row.top1


def _view_count(row: Published) -> int:
    """Views per video; 0 where the source does not say."""
    return row.views if row.views is not None else (row.clips or 0) * (row.crops or 0)


def _of_flow(benchmark: str) -> Iterable[Candidate]:
    """Errors on frames that a network was not trained on, after the training that all of them share."""
    for fact in optical_flow_facts():
        error: float | None = getattr(fact, FLOW_BENCHMARKS[benchmark])
        split = fact.kitti15_split if benchmark == "kitti15" else fact.sintel_split
        if fact.network and error is not None and (split, fact.training) == ("train", _UNTUNED):
            yield _flow_candidate(fact, error, _FRAMES[benchmark])


def _flow_candidate(fact: OpticalFlowFact, error: float, frame: tuple[int, int]) -> Candidate:
    card, options = CARDS[fact.network], dict(fact.options)
    step = _STEPS[card.name]
    height, width = (-(-side // step) * step for side in frame)
    clip = Clip(2, height, width)
    words = ", ".join(f"{value} {key}" for key, value in options.items())
    return Candidate(
        card=card,
        spec=ModelSpec(card.name, clip, None, options),
        clip=clip,
        label=f"{card.label} ({words})" if words else card.label,
        score=error,
        top5=None,
        pretrain="none",
        views="1",
        view_count=1,
        source=_host(fact.url),
        url=fact.url,
        locator=fact.locator,
        rank=(fact.secondary,),
        note=fact.notes,
    )


def _host(url: str) -> str:
    host, _, path = url.partition("://")[2].partition("/")
    return "/".join(path.split("/")[:2]) if host == "github.com" else host
