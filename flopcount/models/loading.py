"""A model by name: of the zoo, of a library ("timm:resnet50"), or your own ("package.module:build", "file.py:build").

User code is imported only when named. The name is that of a module, or of a callable that returns one.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..core.advice import Details, advice_on_call, advice_on_package
from ..core.errors import FlopcountError, InputError, UnknownNameError
from ..core.model_spec import ModelSpec
from ..core.registries import PREFIXES
from .cards import CARDS
from .sized_names import is_sized
from .zoo import build_network

__all__ = ["find_model"]


def find_model(spec: ModelSpec) -> Callable[[], nn.Module]:
    """A callable that builds the model, in eval mode and in its dtype; code is imported here, and built later.

    A user's callable gets the options, and `num_classes` if there is one; a clip sizes networks of the zoo and of
    libraries.

    Raises:
        UnknownNameError: there is no such model, file, module or callable; the message offers near names.
        InputError: the code raises on import or on the call, or returns no torch.nn.Module.
    """
    bare = _builder(spec)

    def build() -> nn.Module:
        module = bare()
        module.eval()  # the cost of a network is its cost at inference
        return module.to(getattr(torch, spec.dtype)) if spec.dtype else module

    return build


def _builder(spec: ModelSpec) -> Callable[[], nn.Module]:
    prefix, _, rest = spec.name.partition(":")
    if prefix in PREFIXES and rest:
        from .library_registry import library_model  # here, since networks of the zoo do not need it

        return library_model(prefix, replace(spec, name=rest))
    if spec.name not in CARDS and is_sized(spec.name):
        from .library_registry import sized_model

        return sized_model(spec.name, spec)
    if spec.video is not None:
        fix = f"give --clip {spec.video.code}"
        raise InputError(f"{spec.name} takes a clip, not a video of which it makes latents", [("fix", fix)])
    source, colon, attribute = spec.name.rpartition(":")
    if not colon:
        return lambda: build_network(spec)
    options = dict(spec.options)
    if spec.clip is not None and spec.inputs:
        why = f"{spec.name} takes a clip or inputs, not clip {spec.clip} beside {len(spec.inputs)} of them"
        raise InputError(why, [("fix", "leave out --clip or --input")])
    if spec.num_classes is not None:
        options["num_classes"] = spec.num_classes
    target = _attribute(_import(source, spec.name), attribute, spec.name)
    if options and isinstance(target, nn.Module):
        why = f"{spec.name} is already built, and takes no {', '.join(options)}"
        raise InputError(why, [("fix", "name a class or a function that builds it")])
    return lambda: _built(target, options, spec.name)


def _built(target: Any, options: dict[str, Any], name: str) -> nn.Module:
    if not isinstance(target, nn.Module):
        if not callable(target):
            raise InputError(
                f"{name} is of type {type(target).__name__}, not a model",
                [("fix", "name a module or a callable that builds one")],
            )
        target = _called(target, options, name)
    if not isinstance(target, nn.Module):
        raise InputError(
            f"{name} returned a {type(target).__name__}, not a torch.nn.Module", [("fix", "return the module itself")]
        )
    return target


def _import(source: str, name: str) -> ModuleType:
    try:
        return _import_file(Path(source)) if source.endswith(".py") else _import_module(source)
    except FlopcountError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user code may raise anything, SystemExit included
        details = [("in", name), *advice_on_package(error)]
        raise InputError(f"importing {source} raised {type(error).__name__}: {error}", details) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        here = path.parent if path.parent.is_dir() else Path()
        files = [str(file) for file in here.glob("*.py")]
        raise UnknownNameError("file", str(path), files, "write file.py:callable with a path from here")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # so that the file can import its neighbours
    sys.modules.setdefault(path.stem, module)  # so that its dataclasses and pickles find their module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module


def _import_module(source: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(source)
    except ModuleNotFoundError as error:
        if error.name is None or not source.startswith(error.name):
            raise
        fix = "install it, write package.module:callable, or see `flopcount list` for the zoo"
        raise UnknownNameError("module", source, CARDS, fix) from error
    finally:
        sys.path.remove(str(Path.cwd()))


def _attribute(module: ModuleType, attribute: str, name: str) -> Any:
    value: Any = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            callables = [key for key, member in vars(value).items() if callable(member) and not key.startswith("_")]
            raise UnknownNameError(
                f"callable in {name.rpartition(':')[0]}", attribute, callables, "name a callable that builds the model"
            )
        value = getattr(value, part)
    return value


def _called(build: Any, options: dict[str, Any], name: str) -> Any:
    try:
        return build(**options)
    except FlopcountError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user code may raise anything, SystemExit included
        arguments = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise InputError(
            f"{name} raised {type(error).__name__}: {error}",
            [("given", arguments or "no arguments"), *_advice(build, options, error)],
        ) from error


def _advice(build: Any, options: dict[str, Any], error: BaseException) -> Details:
    """A package to install, or how the options fit the builder."""
    if isinstance(error, ModuleNotFoundError):
        return advice_on_package(error)
    details = advice_on_call(build, (), options) if isinstance(error, TypeError) else []
    return [(label, f"{text}, with --set key=value" if label == "fix" else text) for label, text in details]
