"""The verdict on printed parameters: those of the network, cut off, without its last layer, or with other classes.

Classes are those of data sets that the same source prints. No source is cited to count parameters otherwise than all of
them, so that what is not a match fits at best.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..core.reason import Reason
from ..facts import Printed, Published, ZooModel, dataset_classes, published
from .candidates import Count
from .odds import IN_FULL, by_accident
from .verdict import Finding, Verdict

__all__ = ["params_verdict"]

_CUT_OFF = Reason("digits cut off, not rounded")
_NO_LAST_LAYER = Reason("counted without the last layer")
_NO_NORMS = Reason("counted without the weights of normalisations")


def params_verdict(row: Published, printed: Printed, model: ZooModel, count: Count) -> tuple[Verdict, int]:
    """The verdict, and the classes of the network that was printed.

    Parameters are linear in the classes, so that two counts give them for every number of classes.
    """
    counted, classes = count(model), model.num_classes
    if printed.matches(counted.params):
        return Verdict(Finding.MATCH), classes
    per_class = count(replace(model, num_classes=classes + 1)).params - counted.params
    readings = [
        (_NO_LAST_LAYER, counted.params - classes * per_class, classes),
        (_NO_NORMS, counted.params - counted.norm_params, classes),
    ]
    for other, names in _other_classes(row, classes).items():
        why = Reason("counted with the {} classes of {}, not {}", (other, " and ".join(names), classes))
        readings.append((why, counted.params + (other - classes) * per_class, other))
    fitting = [(_CUT_OFF, counted.params, classes)] if printed.cut_from(counted.params) else []
    fitting += [one for one in readings if printed.matches(one[1]) and one[1] != counted.params]
    odds = None
    if printed.step > IN_FULL * printed.value:
        odds = by_accident((counted.params, *(value for _, value, _ in readings)), printed)
    if not fitting:
        return Verdict(Finding.UNEXPLAINED, (), round(printed.value) - counted.params, odds), classes
    if len(fitting) == 1:
        return Verdict(Finding.FITS, (fitting[0][0],), odds=odds), fitting[0][2]
    either = Reason("either {}", (", or ".join(str(why) for why, _, _ in fitting),))
    return Verdict(Finding.UNDECIDED, (either,), odds=odds), classes


def _other_classes(row: Published, classes: int) -> dict[int, list[str]]:
    """Other numbers of classes, of the data sets that the same page prints."""
    found: dict[int, list[str]] = {}
    for dataset in dict.fromkeys(_data_sets(row)):
        other = dataset_classes()[dataset]
        if other != classes:
            found.setdefault(other, []).append(dataset)
    return found


def _data_sets(row: Published) -> Iterator[str]:
    return (other.dataset for other in published() if other.url == row.url and other.dataset in dataset_classes())
