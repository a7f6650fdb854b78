"""The [tool.flopcount.budgets] tables of a pyproject.toml, read into Budgets; an unknown key is refused.

What enters is such a file, in which `model` is by default the budget's own name:

    [tool.flopcount.budgets.clip_encoder]
    model = "nets.py:build"
    clip = "16x112x112"
    views = "10x3"
    set = {depth = 18}
    max-gmacs = 40
    max-params = "80M"
    max-ms = 12
    on = "t4"
    dtype = "amp"

Instead of a model `pipeline = "job.toml"` names a whole job, with other values of its `parameters`. What leaves are
Budgets, checked by `check_budgets`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import FlopcountError, InputError, UnknownNameError
from ..core.model_spec import ModelSpec
from ..core.protocol import Protocol, Views
from ..models import require_known
from ..pipelines.named_file import PipelineFile
from .budget import Budget, parse_limit
from .measures import measures

if TYPE_CHECKING:
    from ..hardware.setting import Setting

__all__ = ["find_pyproject", "read_budgets"]

_TABLE = "tool.flopcount.budgets"
_DEVICE_KEYS = ("on", "compile", "layout", "price")
_OF_JOB = ("pipeline", "parameters")
_OF_MODEL = ("clip", "video", "batch", "views", "num-classes", "set", "input", "dtype")
_KEYS = (*_OF_JOB, "model", *_OF_MODEL, *_DEVICE_KEYS)
_EXAMPLE = f'write [{_TABLE}.c3d] with clip = "16x112x112" and max-gmacs = 40'


def find_pyproject() -> Path:
    """The pyproject.toml of this folder, or of the nearest one above that has one.

    Raises:
        InputError: there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file():
            return folder / "pyproject.toml"
    raise InputError("no pyproject.toml here or above", [("fix", "name a network and limits, or give --config FILE")])


def read_budgets(path: str | Path) -> tuple[Budget, ...]:
    """Every budget of a pyproject.toml, in the order of the file; models in files are relative to its folder.

    Raises:
        InputError: the file does not exist, is not TOML, has no budgets, or has a malformed value.
        UnknownNameError: an unknown key or model, with near names.
    """
    path = Path(path)
    try:
        data: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", [("fix", "name a pyproject.toml")]) from None
    except ValueError as error:  # of TOML, or of UTF-8
        raise InputError(f"{path} is not TOML: {error}") from None
    for key in _TABLE.split("."):
        data = data.get(key, {}) if isinstance(data, dict) else {}
    if not isinstance(data, dict) or not data:
        raise InputError(f"{path} has no [{_TABLE}]", [("fix", _EXAMPLE)])
    return tuple(_budget(name, table, path) for name, table in data.items())


def _budget(name: str, table: Any, path: Path) -> Budget:
    where = f"[{_TABLE}.{name}]"
    if not isinstance(table, dict):
        raise InputError(f"{where} of {path} is {table!r}, not a table", [("fix", _EXAMPLE)])
    for key in table:
        keys = (*_KEYS, *measures())
        if key not in keys:
            raise UnknownNameError(f"key in {where} of {path}", key, keys, f"choose {', '.join(keys)}")
    try:
        return _read(name, table, path.parent)
    except FlopcountError as error:  # with its place
        raise InputError(error.message, [("in", f"{where} of {path}"), *error.details]) from error


def _read(name: str, table: dict[str, Any], folder: Path) -> Budget:
    def value(key: str, kind: type) -> Any:
        if key in table and type(table[key]) is not kind:
            raise InputError(f"{key} is {table[key]!r}, not {_TOML[kind]}")
        return table.get(key)

    price = table.get("price")
    device = {"on": value("on", str), "compile": value("compile", bool), "layout": value("layout", str), "price": price}
    counted, setting = _setting(value("dtype", str), device)
    limits = {key: parse_limit(key, table[key]) for key in measures() if key in table}
    if "pipeline" in table:
        for key in ("model", *_OF_MODEL):
            if key in table and key != "dtype":
                raise InputError(
                    f"{key} is of a model, and this budget is of a pipeline", [("fix", f"leave {key} out")]
                )
        file = PipelineFile(folder / value("pipeline", str), value("parameters", dict) or {})
        return Budget(name, file, limits, setting=setting)
    if "parameters" in table:
        raise InputError("parameters are of a pipeline", [("fix", 'add pipeline = "job.toml", or leave them out')])
    model = value("model", str) or name
    require_known(model)
    spec = ModelSpec.of(
        _beside(model, folder),
        clip=value("clip", str),
        video=value("video", str),
        num_classes=value("num-classes", int),
        options=value("set", dict),
        inputs=map(str, value("input", list) or ()),
        dtype=counted,
    )
    protocol = Protocol(Views.parse(value("views", str)), batch=value("batch", int))
    spec.require_batch(protocol.batch)
    return Budget(name, spec, limits, protocol, setting)


def _setting(dtype: str | None, device: Mapping[str, Any]) -> tuple[str | None, Setting | None]:
    """The dtype to count in, and what the network runs on; a precision such as amp is counted in float32."""
    on, price = device["on"], device["price"]
    if on is None:
        for key, given in device.items():
            if given is not None:
                raise InputError(f"{key} needs a device", [("fix", 'add on = "t4", or leave it out')])
        return dtype, None
    from ..hardware.precision import PRECISIONS  # here, since most budgets name no device
    from ..hardware.setting import Setting

    setting = Setting.named(on, dtype, bool(device["compile"]), device["layout"] or "nchw", price=price)
    setting.conditions().require_peaks()
    return None if dtype in PRECISIONS else dtype, setting


_TOML = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    dict: "a table",
    list: "a list of strings",
}


def _beside(model: str, folder: Path) -> str:
    """A model in a file, as a path from here; any other name unchanged."""
    source, colon, attribute = model.rpartition(":")
    return f"{folder / source}{colon}{attribute}" if source.endswith(".py") else model
