"""Advice under an error whose cause is certain: a call that does not fit a signature, a package that is missing."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["Details", "advice_on_call", "advice_on_package"]

Details = list[tuple[str, str]]

_BY_MODULE = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
    "attr": "attrs",
    "mmcv": "openmim, then mim install mmcv",
}
"""Packages whose names differ from those of their modules by more than a dash."""
_LONGEST = 200  # characters of a signature
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def advice_on_package(error: BaseException) -> Details:
    """How to install the package that an import did not find; nothing for any other error."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return []
    name = error.name.partition(".")[0]
    try:
        if importlib.util.find_spec(name) is not None:
            return []  # the package is there, and lacks a part
    except (ImportError, ValueError):
        return []
    return [("fix", f"pip install {_BY_MODULE.get(name, name.replace('_', '-'))}")]


def advice_on_call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Details:
    """What a call lacks or has too much, by the signature; nothing if it fits, or if there is no signature."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return []
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return _misfit(signature, args, kwargs)
    return []


def _misfit(signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Details:
    parameters = signature.parameters.values()
    kinds = [parameter.kind for parameter in parameters]
    by_place = [parameter.name for parameter in parameters if parameter.kind in _BY_PLACE]
    named = [parameter.name for parameter in parameters if parameter.kind in _NAMED]
    bare = [parameter.replace(annotation=parameter.empty) for parameter in parameters]
    takes = str(signature.replace(parameters=bare, return_annotation=signature.empty))
    shown = [("takes", takes if len(takes) <= _LONGEST else f"{takes[:_LONGEST]}…")]
    wrong = [name for name in kwargs if name not in named]
    if wrong and inspect.Parameter.VAR_KEYWORD not in kinds:
        return [*shown, ("fix", _other_names(wrong, named, len(kwargs)))]
    if len(args) > len(by_place) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        difference = ": [a, b] is one list, (a, b) are two arguments" if len(by_place) == 1 else ""
        return [*shown, ("fix", f"give {_arguments(len(by_place))}, not {len(args)}{difference}")]
    given = {*by_place[: len(args)], *kwargs}
    taken = [parameter for parameter in parameters if parameter.kind in (*_BY_PLACE, *_NAMED)]
    needed = [p.name for p in taken if p.default is p.empty and p.name not in given]
    several = ", ".join(name for name in by_place if name in given or name in needed)
    as_tuple = f", in a tuple: ({several})" if args else ""
    return [*shown, ("fix", f"give {' and '.join(needed)} too{as_tuple}")] if needed else shown


def _other_names(wrong: Sequence[str], named: Sequence[str], given: int) -> str:
    near = {name: difflib.get_close_matches(name, named, n=1, cutoff=0.5) for name in wrong}
    if any(near.values()):
        return f"give {', '.join(f'{match[0]} for {name}' for name, match in near.items() if match)}"
    if len(named) == 1:
        by_name = f", or name it {named[0]}" if given == 1 else ""
        return f"give the mapping as one argument, in a tuple: ({named[0]},){by_name}"
    return "name them as it does"


def _arguments(count: int) -> str:
    return f"{count} argument" + "s" * (count != 1)
