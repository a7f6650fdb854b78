"""What a shell completes: names of networks, devices, data sets and of whatever else an option can be.

Nothing here imports torch, since the shell asks at each press of the tab key. What knows the names is loaded when it
is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..core.errors import FlopcountError
from ..core.registries import PREFIXES, TOOLS
from .settings import PRECISION_NAMES

__all__ = ["Completion", "completing", "completion_of", "some"]

Names = Iterable[tuple[str, str]]
"""Names, each with what it says to a person."""
Completion = Callable[[str], list[tuple[str, str]]]
"""The part of a value that is typed -> the values that it can become."""


def completion_of(command: str, parameter: str) -> Completion | None:
    """What completes the value of a parameter of a command, of which a part is typed; None where the shell decides."""
    names = _NAMES.get((command, parameter)) or _NAMES.get(("", parameter))
    return None if names is None else completing(names, several=parameter in _LISTS)


def completing(names: Callable[[str], Names], *, several: bool = False) -> Completion:
    """What completes a name, or the last of several with commas between."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        before, comma, part = incomplete.rpartition(",") if several else ("", "", incomplete)
        try:
            return [(f"{before}{comma}{name}", _short(says)) for name, says in names(part) if name.startswith(part)]
        except FlopcountError:  # a file that is not there, or no Python: the command says so, and the shell nothing
            return []

    return complete


def _short(text: str) -> str:
    """What a shell has room for beside a name."""
    return text if len(text) <= _ROOM else f"{text[: _ROOM - 1]}…"


_ROOM = 60
_LISTS = ("on", "against")
"""Options whose values are several names with commas between."""


def _networks(part: str) -> Names:
    """The zoo, models of known sizes, and what a file defines, once its name is typed."""
    from ..models import CARDS
    from ..models.definitions import definitions_in
    from ..models.sized_names import sized_names

    file, colon, _ = part.rpartition(":")
    if colon and file.endswith(".py"):
        return ((f"{file}:{each.name}", each.summary) for each in definitions_in(file))
    sized = ((name, "") for name in sized_names() if part)  # many, so not before a letter is typed
    return [*((card.name, card.title) for card in CARDS.values()), *sized]


def _of_zoo(part: str) -> Names:
    from ..models import CARDS

    return ((card.name, card.title) for card in CARDS.values())


def _jobs(part: str) -> Names:
    from ..facts.model_sizes import model_sizes

    return ((sizes.name, sizes.task) for sizes in model_sizes().values() if sizes.task in ("generation", "language"))


def _devices(part: str) -> Names:
    from ..facts.devices import devices

    return [*((device.name, f"{device.maker} {device.year}") for device in devices()), ("here", "this machine")]


def _datasets(part: str) -> Names:
    from ..facts.datasets import datasets

    return ((each.name, f"{each.classes} classes, {each.metric.name}") for each in datasets().values())


def _families(part: str) -> Names:
    from ..models import CARDS

    return ((family, "") for family in dict.fromkeys(card.family for card in CARDS.values()))


def _published_families(part: str) -> Names:
    from ..facts.published import published

    return ((family, "") for family in dict.fromkeys(row.family for row in published()))


def _samplings(part: str) -> Names:
    from ..models.cards import SAMPLINGS

    return ((name, "") for name in SAMPLINGS)


def _optimizers(part: str) -> Names:
    from ..training.optimizers import OPTIMIZERS

    return ((name, "") for name in OPTIMIZERS)


def _dtypes(part: str) -> Names:
    from ..core.parsing import DTYPES

    return ((name, "") for name in dict.fromkeys(DTYPES.values()))


def _device_kinds(part: str) -> Names:
    from ..facts.devices import DEVICE_KINDS

    return ((kind, "") for kind in DEVICE_KINDS)


def _tasks(part: str) -> Names:
    from ..facts.model_sizes import TASKS

    return ((task, "") for task in TASKS)


def _kinds(part: str) -> Names:
    from ..core.ops import Kind

    return ((kind.value, "") for kind in Kind)


def some(*names: str) -> Callable[[str], Names]:
    """These names, whatever is typed."""
    return lambda part: ((name, "") for name in names)


_NAMES: dict[tuple[str, str], Callable[[str], Names]] = {
    ("", "name"): _networks,
    ("", "names"): _networks,
    ("compare", "names"): _of_zoo,
    ("diff", "old"): _networks,
    ("diff", "new"): _networks,
    ("video", "model"): _networks,
    ("verify", "what"): lambda part: [("published", ""), ("lecture", ""), *_networks(part)],
    ("survey", "what"): some("zoo", *PREFIXES),
    ("generate", "name"): _jobs,
    ("tokens", "name"): _jobs,
    ("devices", "name"): _devices,
    ("devices", "kind"): _device_kinds,
    ("datasets", "name"): _datasets,
    ("rules", "word"): _kinds,
    ("list", "word"): _of_zoo,
    ("list", "family"): _families,
    ("verify", "family"): _published_families,
    ("", "task"): _tasks,
    ("", "dataset"): _datasets,
    ("", "on"): _devices,
    ("", "against"): some(*TOOLS),
    ("", "optimizer"): _optimizers,
    ("", "dtype"): _dtypes,
    **dict.fromkeys(
        [(command, "dtype") for command in ("cost", "pipeline", "generate", "measure", "calibrate")],
        some(*PRECISION_NAMES),
    ),
    ("video", "sampling"): _samplings,
}
"""(Command, parameter) -> names; "" is every command that has the parameter, and no row of its own."""
