"""A pipeline from a TOML file: parameters, units and stages, each a model, a saved report or another pipeline.

What enters is such a file:

    name = "two-stream"

    [parameters]
    views = 25

    [units]
    video = 1

    [[stages]]
    name = "flow"
    model = "optical_flow_tvl1"
    clip = "11x224x224"
    times = "views"

A stage takes the keys of a model (model, clip, video, batch, num-classes, set, input, dtype), or `generate = "NAME"`
with the options of `flopcount generate` (video, steps, prompt, new-tokens ...), or `report = "saved.json"`, or
`pipeline = "other.toml"` with `parameters` of it. Files are beside the file. What leaves is a Pipeline.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.amount import Amount
from ..core.errors import FlopcountError, InputError, UnknownNameError
from ..core.model_spec import ModelSpec
from ..core.parsing import parse_settings
from ..core.protocol import Protocol
from ..models import require_known
from .expression import Expression
from .jobs_of_models import ModelJob
from .pipeline import Pipeline
from .pipeline_reader import read_saved_pipeline
from .saved_stage import SavedStage
from .stage import Stage
from .unit import Unit

__all__ = ["read_pipeline"]

Progress = Callable[[str], None]
_KEYS = ("name", "parameters", "units", "notes", "stages")
_KINDS = ("model", "generate", "report", "pipeline")
_OF_MODEL = ("clip", "video", "batch", "num-classes", "set", "input", "dtype")
_OF_VIDEO = ("steps", "guidance", "text-tokens", "reuse")
_OF_ANSWER = ("fps", "prompt", "new-tokens", "kv-dtype", "all-logits")
_OF_JOB = ("video", *_OF_VIDEO, *_OF_ANSWER, "batch", "dtype", "density")
_STAGE = tuple(dict.fromkeys(("name", "times", "weights", *_KINDS, *_OF_MODEL, *_OF_JOB, "parameters")))
_OF_KIND = {
    "model": (*_OF_MODEL, "weights"),
    "generate": _OF_JOB,
    "report": ("weights",),
    "pipeline": ("parameters",),
}
"""Keys of a stage by what it runs; a job within says itself which of its stages share weights."""
_DEEPEST = 8  # pipelines within pipelines
_EXAMPLE = 'write [[stages]] with name = "network", model = "c3d" and times = 10'


def read_pipeline(
    path: str | Path,
    *,
    parameters: Mapping[str, object] | None = None,
    dataflow: bool = False,
    progress: Progress = lambda what: None,
) -> Pipeline:
    """A pipeline from a TOML file, whose models are counted, or from a JSON file that was saved.

    Arguments:
        path: of a .toml or a .json file.
        parameters: other values of its parameters.
        dataflow: follow the data of every stage, as a time on a device needs it.
        progress: called with what is being counted.

    Raises:
        InputError: the file does not exist, is malformed, or refers to itself.
        UnknownNameError: a key, a model or a parameter does not exist; the message offers near names.
        FlopcountError: a model cannot be counted; the message names the stage.
    """
    path = Path(path)
    if path.suffix == ".json":
        return read_saved_pipeline(path).with_parameters(**(parameters or {}))
    parsed = _parse(path, parameters or {}, ())
    return _counted(parsed, dataflow, progress, [])


@dataclass(frozen=True, slots=True)
class _ParsedStage:
    """A stage before it is counted: exactly one of a model, a pipeline, the job of a model and what was saved."""

    name: str
    times: int | str
    weights: str
    spec: ModelSpec | None = None
    protocol: Protocol | None = None
    pipeline: _ParsedFile | None = None
    job: ModelJob | None = None
    changes: Mapping[str, object] = field(default_factory=dict)
    saved: Any = None


@dataclass(frozen=True, slots=True)
class _ParsedFile:
    path: Path
    name: str
    parameters: Mapping[str, object]
    units: tuple[Unit, ...]
    notes: tuple[str, ...]
    stages: tuple[_ParsedStage, ...]


def _parse(path: Path, changes: Mapping[str, object], above: tuple[Path, ...]) -> _ParsedFile:
    """The file with all that it refers to; nothing is counted before everything is read."""
    here = path.resolve()
    if here in above or len(above) > _DEEPEST:
        raise InputError(f"{path} is a pipeline within itself", [("fix", "name another file")])
    data = _toml(path)
    _known_keys(data, _KEYS, str(path))
    parameters = dict(_table(data, "parameters", path))
    for name, value in changes.items():
        if name not in parameters and "." not in name:
            fix = f"the parameters are {', '.join(parameters) or 'none'}"
            raise UnknownNameError(f"parameter of {path}", name, parameters, fix)
        parameters[name] = value
    inner = {name: value for name, value in parameters.items() if "." in name}
    own = {name: value for name, value in parameters.items() if "." not in name}
    stages = data.get("stages")
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        raise InputError(f"{path} has no stages", [("fix", _EXAMPLE)])
    units = tuple(_unit(name, value, path) for name, value in _table(data, "units", path).items())
    named = {str(stage.get("name")): stage for stage in stages}
    for name in inner:
        outer = name.partition(".")[0]
        if outer not in named:
            raise UnknownNameError(f"stage of {path}", outer, named, "name a stage of the file")
        if not {"pipeline", "generate"} & named[outer].keys():
            fix = "name a parameter of the file, or of a stage with pipeline or generate"
            raise InputError(f"stage {outer} of {path} has no parameters", [("seen", name), ("fix", fix)])
    notes = data.get("notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise InputError(f"notes of {path} is {notes!r}, not a list of strings")
    parsed = tuple(_placed_stage(stage, number, path, inner, (*above, here)) for number, stage in enumerate(stages))
    file = _ParsedFile(path, _text(data, "name", path) or path.stem, own, units, tuple(notes), parsed)
    _pipeline(file, [Stage(stage.name, _NOT_COUNTED, stage.times) for stage in parsed])
    return file


_NOT_COUNTED = SavedStage("", Amount({}), "")
"""What a stage runs while only the arithmetic of a file is checked."""


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}", [("fix", "name a .toml or a .json file")]) from None
    except (ValueError, RecursionError) as error:  # of TOML, or of UTF-8
        raise InputError(f"{path} is not TOML: {error}") from None


def _known_keys(table: Mapping[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in keys:
            raise UnknownNameError(f"key in {where}", key, keys, f"choose {', '.join(keys)}")


def _table(data: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    table = data.get(key, {})
    if not isinstance(table, dict):
        raise InputError(f"{key} of {path} is {table!r}, not a table", [("fix", f"write [{key}]")])
    return table


def _text(data: Mapping[str, Any], key: str, path: Path) -> str:
    value = data.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"{key} of {path} is {value!r}, not a string")
    return value


def _unit(name: str, value: Any, path: Path) -> Unit:
    """`video = 1`, `second = "frames / fps"`, or `step = {of = "denoise", count = "steps"}`."""
    try:
        if isinstance(value, dict):
            _known_keys(value, ("of", "count"), f"[units] of {path}")
            return Unit(name, value.get("count", 1), str(value.get("of", "")))
        return Unit(name, value)
    except FlopcountError as error:
        raise InputError(error.message, [("in", f"unit {name} of {path}"), *error.details]) from error


def _placed_stage(
    table: dict[str, Any], number: int, path: Path, inner: Mapping[str, object], above: tuple[Path, ...]
) -> _ParsedStage:
    where = f"stage {table.get('name', number + 1)} of {path}"
    _known_keys(table, _STAGE, where)
    try:
        return _stage(table, path, inner, above)
    except FlopcountError as error:  # with its place
        if any(label == "in" for label, _ in error.details):
            raise
        raise InputError(error.message, [("in", where), *error.details]) from error


def _stage(table: dict[str, Any], path: Path, inner: Mapping[str, object], above: tuple[Path, ...]) -> _ParsedStage:
    name = table.get("name")
    if not isinstance(name, str):
        raise InputError(f"its name is {name!r}, not a string", [("fix", _EXAMPLE)])
    kinds = [key for key in _KINDS if key in table]
    if len(kinds) != 1 or not isinstance(table[kinds[0]], str):
        fix = "give one of model, generate, report and pipeline, a string"
        raise InputError(f"it has {' and '.join(kinds) or 'nothing'} to run", [("fix", fix)])
    Expression.of(table.get("times", 1))
    (kind,) = kinds
    for key in table:
        if key not in ("name", "times", kind, *_OF_KIND[kind]):
            owners = [owner for owner, keys in _OF_KIND.items() if key in keys]
            raise InputError(f"{key} is for a stage with {' or '.join(owners)}", [("fix", f"leave {key} out")])
    common = (name, table.get("times", 1), _text(table, "weights", path))
    if kind == "model":
        spec, protocol = _model(table, path.parent)
        return _ParsedStage(*common, spec=spec, protocol=protocol)
    changes = {key.removeprefix(f"{name}."): value for key, value in inner.items() if key.startswith(f"{name}.")}
    if kind == "generate":
        asked = {key.replace("_", "-"): value for key, value in changes.items() if key.replace("_", "-") in _OF_JOB}
        others = {key: value for key, value in changes.items() if key.replace("_", "-") not in _OF_JOB}
        return _ParsedStage(*common, job=_job({**table, **_numbers(asked)}, path.parent), changes=others)
    file = path.parent / table[kind]
    if kind == "report":
        from ..output.report_json_reader import read_report

        return _ParsedStage(*common, saved=read_report(file))
    changes = {**_table(table, "parameters", path), **changes}
    if file.suffix == ".json":
        return _ParsedStage(*common, saved=read_saved_pipeline(file).with_parameters(**changes))
    return _ParsedStage(*common, pipeline=_parse(file, changes, above))


def _numbers(texts: Mapping[str, object]) -> dict[str, object]:
    """Values as a command gives them, read as those of a file are: numbers, true and false, and else text."""
    return {key: parse_settings([f"value={value}"])["value"] for key, value in texts.items()}


def _job(table: dict[str, Any], folder: Path) -> ModelJob:
    """What a generator or a video-language model does; a folder is beside the file."""
    name = table["generate"]
    if name.startswith("."):
        name = str(folder / name)
    return ModelJob.of(name, **{key.replace("-", "_"): table[key] for key in _OF_JOB if key in table})


def _model(table: dict[str, Any], folder: Path) -> tuple[ModelSpec, Protocol]:
    def value(key: str, kind: type) -> Any:
        if key in table and type(table[key]) is not kind:
            raise InputError(f"{key} is {table[key]!r}, not {_TOML[kind]}")
        return table.get(key)

    name = table["model"]
    require_known(name)
    source, colon, attribute = name.rpartition(":")
    spec = ModelSpec.of(
        f"{folder / source}{colon}{attribute}" if source.endswith(".py") else name,
        clip=value("clip", str),
        video=value("video", str),
        num_classes=value("num-classes", int),
        options=value("set", dict),
        inputs=map(str, value("input", list) or ()),
        dtype=value("dtype", str),
    )
    protocol = Protocol(batch=value("batch", int))
    spec.require_batch(protocol.batch)
    return spec, protocol


_TOML = {str: "a string", int: "a whole number", dict: "a table", list: "a list of strings"}


def _counted(parsed: _ParsedFile, dataflow: bool, progress: Progress, known: list[tuple[Any, ...]]) -> Pipeline:
    """The pipeline; stages of the same model and input are counted once."""
    total = len(parsed.stages)

    def told(number: int) -> Progress:
        """Says at which of the stages it is."""
        return lambda what: progress(f"{what} (stage {number} of {total})")

    stages = enumerate(parsed.stages, 1)
    return _pipeline(parsed, [_counted_stage(stage, parsed, dataflow, told(number), known) for number, stage in stages])


def _pipeline(parsed: _ParsedFile, stages: list[Stage]) -> Pipeline:
    try:
        return Pipeline(stages, name=parsed.name, units=parsed.units, parameters=parsed.parameters, notes=parsed.notes)
    except FlopcountError as error:
        raise InputError(error.message, [("in", str(parsed.path)), *error.details]) from error


def _counted_stage(
    stage: _ParsedStage, parsed: _ParsedFile, dataflow: bool, progress: Progress, known: list[tuple[Any, ...]]
) -> Stage:
    if stage.saved is not None:
        return Stage(stage.name, stage.saved, stage.times, weights=stage.weights)
    if stage.pipeline is not None:
        return Stage(stage.name, _counted(stage.pipeline, dataflow, progress, known), stage.times)
    if stage.job is not None:
        return Stage(stage.name, _counted_job(stage, stage.job, parsed, dataflow, progress), stage.times)
    asked = (stage.spec, dict(stage.spec.options) if stage.spec else {}, stage.protocol)
    for earlier, result in known:
        if earlier == asked:
            return Stage(stage.name, result, stage.times, weights=stage.weights)
    from ..count import count_named  # imports torch, which a mistyped file does not need

    assert stage.spec is not None
    assert stage.protocol is not None
    progress(f"counting {stage.name}: {stage.spec.name}")
    try:
        result = count_named(stage.spec, stage.protocol, dataflow=dataflow, saving=False)
    except FlopcountError as error:
        place = f"stage {stage.name} of {parsed.path}"
        raise InputError(error.message, [("in", place), *error.details]) from error
    known.append((asked, result))
    return Stage(stage.name, result, stage.times, weights=stage.weights)


def _counted_job(
    stage: _ParsedStage, job: ModelJob, parsed: _ParsedFile, dataflow: bool, progress: Progress
) -> Pipeline:
    progress(f"counting {stage.name}: {job.sizes.name}")
    try:
        whole = job.count(dataflow=dataflow, progress=lambda what: progress(f"counting {stage.name}: {what}"))
        return whole.with_parameters(**stage.changes)
    except FlopcountError as error:
        raise InputError(error.message, [("in", f"stage {stage.name} of {parsed.path}"), *error.details]) from error
