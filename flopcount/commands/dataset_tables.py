"""Tables of data sets, and of the accuracies that others printed on one; nothing is counted."""

from __future__ import annotations

from typing import Any

from ..core.table import Column, Table
from ..facts import datasets, published
from ..publishing.candidates import FLOW_BENCHMARKS, Candidate, benchmark_metric, candidates_on, of_each_pretraining

__all__ = ["accuracies_table", "dataset_data", "datasets_data", "datasets_table"]


def datasets_table() -> Table:
    """One row per data set, or benchmark of optical flow, that has a network of the zoo or a published row."""
    columns = (
        Column("name", "text", tone="strong"),
        Column("also", "text", drop=2, tone="quiet"),
        Column("classes", "text"),
        Column("metric", "text"),
        Column("networks", "text"),
        Column("published rows", "text", drop=3),
        Column("source of the classes", "text", drop=1, tone="quiet"),
    )
    rows = tuple(
        (
            row["name"],
            ", ".join(row["aliases"]),
            "" if row["classes"] is None else str(row["classes"]),
            row["metric"],
            str(row["networks"]),
            str(row["published_rows"]),
            row["url"] or "",
        )
        for row in datasets_data()
    )
    notes = (
        "networks: those of the zoo with an accuracy there; flopcount compare --dataset NAME counts them",
        "capitals, blanks and dashes of a name do not matter: Kinetics-400 is kinetics400",
    )
    return Table("data sets", columns, rows, None, notes)


def datasets_data() -> list[dict[str, Any]]:
    """The rows of the table as plain data."""
    rows = {name: sum(row.dataset == name for row in published()) for name in datasets()}
    names = [*(name for name, count in rows.items() if count or candidates_on(name)), *FLOW_BENCHMARKS]
    return [_row(name, rows.get(name)) for name in names]


def _row(name: str, rows: int | None) -> dict[str, Any]:
    facts, found = datasets().get(name), candidates_on(name)
    return {
        "name": name,
        "aliases": list(facts.aliases) if facts else [],
        "classes": facts.classes if facts else None,
        "metric": benchmark_metric(name).name,
        "networks": sum(any(not one.lacks for one in of) for of in found.values()),
        "published_rows": rows if facts else sum(map(len, found.values())),
        "url": facts.url if facts else None,
    }


def accuracies_table(dataset: str) -> Table:
    """The accuracies by which networks are compared on a data set: one row each, of each kind of pre-training."""
    metric = benchmark_metric(dataset)
    columns = (
        Column("network", "text", tone="strong"),
        Column("name", "text", drop=2, tone="quiet"),
        Column("clip", "text", drop=4),
        Column("views", "text", drop=5),
        Column(metric.name, "text"),
        Column("pre-training", "text", drop=3),
        Column("source", "text", drop=1, tone="quiet"),
    )
    rows = tuple(
        (one.label, one.card.name, str(one.clip), one.views, f"{one.score:g}", one.pretrain, one.source)
        for one in _compared(dataset)
    )
    facts = datasets().get(dataset)
    what = f"{facts.classes} classes, " if facts else ""
    notes = (f"what they cost at these clips and views: flopcount compare --dataset {dataset}",)
    return Table(f"{dataset}: {what}{metric.name} in {metric.unit} as its sources print it", columns, rows, None, notes)


def dataset_data(dataset: str) -> dict[str, Any]:
    """A data set with the accuracies of its table."""
    rows = sum(row.dataset == dataset for row in published())
    metric = benchmark_metric(dataset)
    accuracies = [
        {
            "network": one.card.name,
            "label": one.label,
            "clip": str(one.clip),
            "views": one.view_count,
            metric.key: one.score,
            "pretrain": one.pretrain,
            "source": one.source,
            "url": one.url,
            "locator": one.locator,
        }
        for one in _compared(dataset)
    ]
    return {**_row(dataset, rows), "accuracies": accuracies}


def _compared(dataset: str) -> list[Candidate]:
    """What `flopcount compare` would count, the best first."""
    metric = benchmark_metric(dataset)
    found = [one for of in candidates_on(dataset).values() for one in of_each_pretraining(of)]
    usable = [one for one in found if one.score is not None and not one.lacks]
    return sorted(usable, key=lambda one: (one.score or 0.0) * (1 if metric.lower_is_better else -1))
