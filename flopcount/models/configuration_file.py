"""The files of a model's folder as data: config.json, model_index.json and a scheduler's.

Nothing beside them is read, and no code is run: a configuration that names code of its own is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import InputError, UnknownNameError

__all__ = ["CONFIG", "INDEX", "Configuration", "is_path", "read_configuration", "read_json", "real_path"]

CONFIG, INDEX = "config.json", "model_index.json"
_LARGEST = 4 * 2**20
"""Bytes of a configuration; one with every token of a vocabulary has about one million."""
_CODE = "auto_map"
"""The key under which a configuration names classes in files beside it."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A model as its config.json says it: the library, the class and its arguments; `path` is the file."""

    path: Path
    library: str
    class_name: str
    values: Mapping[str, Any]
    version: str = ""

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self.path.parent


def is_path(name: str) -> bool:
    """Whether a name can only be a path: it has a slash, or begins with a dot or a tilde."""
    return name.startswith((".", "~")) or "/" in name or "\\" in name


def real_path(path: str | Path) -> Path:
    """The folder or file of this name, `~` replaced.

    Raises:
        InputError: there is no home for the `~`.
        UnknownNameError: there is none; the message offers the folders beside it.
    """
    try:
        found = Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path} has no home folder: {error}", [("fix", "write the whole path")]) from None
    try:
        if found.exists():
            return found
        parent = found.parent
        beside = [str(parent / entry.name) for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}", [("fix", "write the path of a folder")]) from None
    fix = "write the path of a folder with config.json or model_index.json; nothing is downloaded"
    raise UnknownNameError("folder", str(path), beside, fix)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: it cannot be read, is too large, is no JSON, or is not an object.
    """
    fix = "write the configuration as the library saves it"
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            seen = f"{size:,} bytes, where {_LARGEST:,} are allowed"
            raise InputError(f"{path} is too large for a configuration", [("seen", seen), ("fix", fix)])
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}", [("fix", fix)]) from None
    except RecursionError:
        raise InputError(f"{path} is nested too deep", [("fix", fix)]) from None
    except ValueError as error:  # JSON, UTF-8, or a number with too many digits
        raise InputError(f"{path} is not JSON: {error}", [("fix", fix)]) from None
    if not isinstance(found, dict):
        seen = f"a {type(found).__name__}"
        raise InputError(f"{path} is not an object of JSON", [("seen", seen), ("fix", fix)])
    return found


def read_configuration(path: Path) -> Configuration:
    """The model of a folder with config.json, or of that file.

    Raises:
        InputError: there is no such file, it is malformed, it names no class, or it names code of its own.
    """
    file = path / CONFIG if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise InputError(f"{path} has no {CONFIG}", [("seen", _contents(path)), ("fix", _advice(path))])
    values = read_json(file)
    _refuse_code(values, file)
    name, version = _text(values, "_class_name", file), ""
    if name is not None:
        version = _text(values, "_diffusers_version", file) or ""
        own = {key: value for key, value in values.items() if not key.startswith("_")}
        return Configuration(file, "diffusers", name, own, version)
    version = _text(values, "transformers_version", file) or ""
    return Configuration(file, "transformers", _architecture(values, file), values, version)


def _architecture(values: Mapping[str, Any], file: Path) -> str:
    """The class of a model of transformers, or its type where it names none: "model_type:vivit"."""
    classes = values.get("architectures")
    if classes is not None:
        listed = isinstance(classes, list) and all(isinstance(each, str) for each in classes)
        if not listed or len(classes) > 1:
            fix = 'write one class, such as "architectures": ["VivitForVideoClassification"]'
            raise InputError(f"{file}: architectures is {_short(classes)}", [("fix", fix)])
        if classes:
            return str(classes[0])
    kind = _text(values, "model_type", file)
    if kind is None:
        keys = ", ".join(list(values)[:8]) or "nothing"
        fix = "add _class_name (diffusers), or architectures or model_type (transformers)"
        raise InputError(f"{file} does not say which class it configures", [("seen", keys), ("fix", fix)])
    return f"model_type:{kind}"


def _refuse_code(values: Mapping[str, Any], file: Path) -> None:
    if not values.get(_CODE):
        return
    named = values[_CODE]
    items = named.items() if isinstance(named, dict) else [("", named)]
    listed = ", ".join(f"{key} = {value}" if key else str(value) for key, value in items)
    fix = f"count your own code as file.py:callable, or remove {_CODE} to count the library's class of this name"
    raise InputError(f"{file} is for code of its own, which is not run", [("seen", f"{_CODE}: {listed}"), ("fix", fix)])


def _text(values: Mapping[str, Any], key: str, file: Path) -> str | None:
    value = values.get(key)
    if value is None or (isinstance(value, str) and value.isprintable() and value):
        return value
    if key == "_class_name" and isinstance(value, list):
        fix = "count your own code as file.py:callable"
        raise InputError(f"{file} is for code of its own, which is not run", [("seen", str(value)), ("fix", fix)])
    raise InputError(f"{file}: {key} is {_short(value)}", [("fix", "write a name, as text")])


def _short(value: Any, longest: int = 60) -> str:
    text = json.dumps(value)
    return text if len(text) <= longest else f"{text[:longest]}…"


def _contents(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing in it"


def _advice(folder: Path) -> str:
    """The folders in it that have a configuration, or what a folder must have."""
    if (folder / INDEX).is_file():
        return "it holds a whole pipeline: name one part of it"
    inner = sorted(entry.name for entry in folder.iterdir() if (entry / CONFIG).is_file())
    return f"name {' or '.join(str(folder / name) for name in inner)}" if inner else f"name a folder with {CONFIG}"
