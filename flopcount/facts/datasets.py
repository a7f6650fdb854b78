"""Data sets that accuracies are measured on: their classes, their metric, and how else they are called.

The data are in datasets.csv; a line without a source is refused. `aliases` are further names, with semicolons between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from ..core.errors import UnknownNameError
from ..core.spelling import spelled
from .metrics import METRICS, Metric
from .rows import read, sourced

__all__ = ["Dataset", "classes_of", "dataset_classes", "datasets", "find_dataset", "metric_of"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set: how many classes it has, what accuracies on it are measured in, and where the classes were read."""

    name: str
    aliases: tuple[str, ...]
    classes: int
    metric: Metric
    url: str
    locator: str


@cache
def datasets() -> dict[str, Dataset]:
    """Name -> data set, in the order of the data file."""
    found = {}
    for place, row in read("datasets.csv"):
        sourced(place, row)
        aliases = tuple(filter(None, row["aliases"].split(";")))
        metric = METRICS[row["metric"]]
        found[row["name"]] = Dataset(row["name"], aliases, int(row["classes"]), metric, row["url"], row["locator"])
    return found


def find_dataset(name: str, more: Iterable[str] = (), choices: Iterable[str] = ()) -> str:
    """The name of the data set that is meant; capitals, dashes and blanks do not matter, and "k400" is kinetics400.

    Arguments:
        name: as it was typed.
        more: names beside those of datasets.csv.
        choices: what the message offers; by default every name.

    Raises:
        UnknownNameError: there is none, with near names.
    """
    if name in datasets():
        return name
    names = [*datasets(), *more]
    found = spelled(name, names, {alias: each.name for each in datasets().values() for alias in each.aliases})
    if found not in names:
        raise UnknownNameError("data set", name, names, f"choose {', '.join(choices or names)}")
    return found


def dataset_classes() -> dict[str, int]:
    """Data set -> its classes."""
    return {name: each.classes for name, each in datasets().items()}


def classes_of(dataset: str) -> int:
    """Classes of a data set.

    Raises:
        UnknownNameError: datasets.csv does not have it.
    """
    return datasets()[find_dataset(dataset)].classes


def metric_of(dataset: str) -> Metric:
    """What accuracies on a data set are measured in.

    Raises:
        UnknownNameError: datasets.csv does not have it.
    """
    return datasets()[find_dataset(dataset)].metric
