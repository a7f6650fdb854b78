"""The zoo: `create_model` builds a network for a clip, `list_models` names them.

Importing this does not import torch; building a network does.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..core.errors import InputError, UnknownNameError
from ..core.model_spec import ModelSpec
from ..core.protocol import Clip
from ..core.spelling import spelled
from .cards import CARDS
from .definitions import definitions_in
from .recipe import Recipe
from .sized_names import is_sized, sized_names

if TYPE_CHECKING:
    from torch import nn

    from .networks.sized_network import SizedNetwork

__all__ = ["build_network", "create_model", "list_models", "name_in_zoo", "require_known"]


def name_in_zoo(typed: str) -> str:
    """The network that is meant by a name as people and papers write it ("C3D", "X3D-M", "SlowFast R50 8×8").

    What is a place of one's own code, or means no network, stays as it is.
    """
    if typed in CARDS or ":" in typed or is_sized(typed):
        return typed
    labels: dict[str, list[str]] = {}
    for card in CARDS.values():
        labels.setdefault(card.label.replace("×", "x"), []).append(card.name)
    of_one = {label: names[0] for label, names in labels.items() if len(names) == 1}
    return spelled(typed.replace("×", "x"), CARDS, of_one)


def require_known(name: str) -> None:
    """Refuse a name that is neither in the zoo nor "where:callable", with near names.

    Raises:
        UnknownNameError: there is no such network.
    """
    if name not in CARDS and ":" not in name and not is_sized(name):
        _refuse(name)


def _refuse(name: str) -> NoReturn:
    if Path(name).expanduser().is_dir():
        fix = f"say whose: diffusers:{name} or transformers:{name}; flopcount generate {name} counts the whole job"
        raise InputError(f"{name} is a folder, and no library is named", [("fix", fix)])
    if name.endswith(".py"):
        _refuse_file(name)
    fix = "see `flopcount list`; your own models are package.module:callable or file.py:callable"
    raise UnknownNameError("model", name, [*CARDS, *sized_names()], fix)


def _refuse_file(name: str) -> NoReturn:
    """A file alone does not say which of its classes and functions is meant: the message has them."""
    found = definitions_in(name)
    if not found:
        fix = "name a file with a class of torch.nn.Module, or a function that builds one"
        raise InputError(f"nothing in {name} can be counted", [("fix", fix)])
    shown = [each.name + (each.signature if each.kind != "instance" else "") for each in found[:_SHOWN]]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    fix = f"name one: {name}:{found[0].name}; `flopcount show {name}` says more of them"
    raise InputError(
        f"{name} is a file, and what to count in it is not named", [("has", ", ".join(shown) + more), ("fix", fix)]
    )


_SHOWN = 8  # names in an error at most


def list_models() -> list[str]:
    """Names that `create_model` knows."""
    return list(CARDS)


def create_model(
    name: str, *, clip: str | tuple[int, ...] | Clip | None = None, num_classes: int | None = None, **options: Any
) -> nn.Module:
    """Build a network of the zoo for one clip, with fresh weights.

    Arguments:
        name: one of `list_models()`.
        clip: T×H×W as "16x112x112", (16, 112, 112) or a Clip; by default the paper's. Parts that depend on the clip are
            sized to it, and `module.recipe.departures` states each departure from the paper's network.
        num_classes: by default the paper's.
        options: of that network, such as `pool5_padding=False` for c3d.

    Raises:
        UnknownNameError: there is no such network or option; the message offers near names.
        InputError: the clip is too small for the network; the message names the layer and the shape it would get.
    """
    return build_network(ModelSpec.of(name, clip=clip, num_classes=num_classes, options=options))


def build_network(spec: ModelSpec) -> nn.Module:
    """The network of the zoo that a spec names, with fresh weights; errors as `create_model`."""
    name, options = spec.name, dict(spec.options)
    if name not in CARDS:
        _refuse(name)
    card = CARDS[name]
    if card.requires and importlib.util.find_spec(card.requires) is None:
        from .library_registry import find_library

        fix = [("fix", str(find_library(card.requires).installation))]
        raise InputError(f"{name} wraps a network of {card.requires}, which is not installed", fix)
    builder = getattr(importlib.import_module(f".networks.{card.file}", __package__), name)
    _check_options(name, builder, options)
    built_for = spec.clip or card.clip
    classes = card.num_classes if spec.num_classes is None else spec.num_classes
    if classes < 1:
        raise InputError(f"num_classes is {classes}", [("fix", "give at least one class")])
    try:
        network: SizedNetwork = builder(built_for, classes, **options)
    except (TypeError, ValueError, ArithmeticError, RuntimeError, MemoryError) as error:  # impossible sizes
        options_text = "".join(f", {key}={value!r}" for key, value in options.items())
        raise InputError(
            f"{name} cannot be built: {type(error).__name__}: {next(iter(str(error).splitlines()), 'no message')}",
            [
                ("given", f"clip {built_for}, {classes} classes{options_text}"),
                ("fix", "give sizes and options closer to the paper's"),
            ],
        ) from error
    departures = network.departures
    if classes != card.num_classes:
        departures += (f"{classes} classes, the paper's network has {card.num_classes}",)
    inputs = network.inputs if network.inputs is not None else ((3, *built_for.sizes),)
    recipe = Recipe(
        name,
        built_for,
        card.stride,
        departures,
        inputs,
        network.streams,
        in_pixels=network.in_pixels,
        layouts=network.layouts,
    )
    network.module.recipe = recipe  # type: ignore[assignment]
    return network.module


def _check_options(name: str, builder: Any, options: dict[str, Any]) -> None:
    parameters = inspect.signature(builder).parameters.values()
    option_names = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for option in options:
        if option not in option_names:
            raise UnknownNameError(
                f"option of {name}",
                option,
                option_names,
                f"choose {', '.join(option_names)}" if option_names else "it takes none",
            )
