"""The JSON of a report as a JSON Schema: each key with its type and its meaning.

`report_json.py` writes what this file describes, and a test validates reports of every kind against it. Quantities come
from the one table of quantities.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.ops import Kind, Phase
from ..core.quantity import TABLE, Quantity
from ..tracing.input_dependence import AXES
from .report_json import SCHEMA, phase_key, saved_quantities

__all__ = ["report_schema"]

Schema = dict[str, Any]


def report_schema() -> Schema:
    """The schema of `Report.to_json` and of `flopcount model NAME --format json`, in JSON Schema draft 2020-12.

    A key that is not required is absent where it is unknown or was not asked for. Counts are exact integers.
    """
    keys = {
        "schema": {"const": SCHEMA, "description": "name and version of this schema"},
        "model": _text("name of the model"),
        "departures": _list(_text(), "where the network departs from that of its paper, one sentence each"),
        "input": _input(),
        "assumed": _list(_text(), "what the count had to assume, one sentence each"),
        "convention": _text("how MACs and FLOPs relate"),
        "total": _amount(TABLE.values(), "cost of the input as given, batch included"),
        "per_sample": _or_null(
            _amount(_growing("batch")), "cost of one sample of the batch; null where that is unknown"
        ),
        "views": _object({"clips": _count("views in time"), "crops": _count("views in space")}, "views of a video"),
        "per_video": _amount(_growing("batch", "views"), "cost of all views of a video"),
        "uncosted": _list(_uncosted(), "operators without a rule, whose cost no total has"),
        "unknown": _unknown(),
        "modules": _list(_module(), 'modules as in named_modules(); the whole model has the path ""'),
        "operators": _list(_operator(), "operators, each with all its calls"),
        "engine": _text("what the forward pass ran on: meta, fake or real tensors; code for a block that ran itself"),
        "versions": {
            "type": "object",
            "additionalProperties": _text(),
            "description": "versions of flopcount and torch",
        },
        "pricing": _object(
            {
                "conditions": _text("the device, and how the network runs on it"),
                "currency": _text("of its money; absent where it has none"),
                "bound_s": _number("seconds of a pass that the datasheet allows at least"),
                "estimate_s": _number("seconds of a pass to expect"),
                "low_s": _number("what one in ten networks stays below"),
                "high_s": _number("what one in ten networks exceeds"),
                "notes": _list(_text(), "what any of its times, energies and money should be read with"),
            },
            "what the times of the report are those of; absent where it is not priced",
            optional=["currency"],
        ),
        "training": _training(),
    }
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA}
    return dialect | _object(keys, "what a forward pass of a model costs", optional=["pricing", "training"])


def _input() -> Schema:
    keys = {
        "clip": _nullable("string", "frames, height and width as TxHxW; null where the input is no clip of video"),
        "stride": _count("every how many frames of the video the clip has one"),
        "shapes": _list(_shape(), "shapes of the input tensors, batch first"),
        "batch": {"type": ["integer", "null"], "minimum": 0, "description": "samples in the input; null where unknown"},
        "dtype": _text("data type of the input"),
        "values": _list(_text(), "values of inputs given by shape, where the caller says them"),
    }
    return _object(keys, "what was counted", optional=["values"])


def _module() -> Schema:
    field = _object(
        {axis: _count(f"positions along {axis}") for axis in AXES}
        | {
            "global": _list({"enum": list(AXES)}, "axes of which it sees everything"),
            "unknown_since": _text("operator"),
        },
        optional=[*AXES, "global", "unknown_since"],
    )
    quantities = saved_quantities()
    keys = {
        "path": _text("dotted path"),
        "type": _text("class name"),
        "depth": _count("number of names in the path"),
        "calls": _count("how often it was called"),
        "used_elsewhere": {
            "type": "boolean",
            "description": "true where it was never called, but other modules used its parameters; else absent",
        },
        "input_shapes": _list(_shape(), "distinct shapes of its inputs"),
        "output_shapes": _list(_shape(), "distinct shapes of its outputs"),
        **_amounts(quantities, "of the module and its children"),
        **_amounts(quantities, "of the module without its children", "self_"),
        "receptive_field": _list(field, "what a unit of its outputs sees of the clip, where asked for"),
    }
    amounts = [*_names(quantities), *_names(quantities, "self_")]
    return _object(keys, optional=["used_elsewhere", "receptive_field", *amounts])


def _operator() -> Schema:
    keys = {
        "op": _text("name as torch prints it"),
        "kind": {"enum": [kind.value for kind in Kind], "description": "family of work"},
        "calls": _count("how often it was called"),
        **_amounts(_of_operators()),
    }
    return _object(keys, optional=_names(_of_operators()))


def _uncosted(*, of_training: bool = False) -> Schema:
    keys = {
        "op": _text("name as torch prints it, or unknown.NAME for work that torch does not see"),
        "calls": _count("how often it was called"),
        "modules": _list(_text(), "paths of the modules that call it"),
    }
    sizes = {
        "elements": _count("elements that it reads and writes"),
        "upper_macs": _count("an upper estimate of its MACs, without guarantee"),
    }
    return _object(keys if of_training else keys | sizes)


def _unknown() -> Schema:
    keys = {
        "elements_costed": _count("elements that operators with a rule wrote"),
        "elements_written": _count("elements that all operators wrote"),
        "upper_macs": _count("an upper estimate of the MACs of operators without a rule, without guarantee"),
    }
    return _object(keys, "how much of the model has no rule")


def _training() -> Schema:
    phases = {phase_key(phase): phase.value for phase in Phase}
    each = {
        key: _object(
            _amounts(_of_operators()) | _amounts(_of_operators(), "of its own operators", "self_"),
            words,
            [*_names(_of_operators()), *_names(_of_operators(), "self_")],
        )
        for key, words in phases.items()
    }
    module = _object({"path": _text("dotted path"), "type": _text("class name"), "depth": _count()} | each)
    run = _object(
        {"epochs": _count(), "samples": _count("clips of the data set"), "steps": _count()}
        | _amounts(_growing("batch")),
        optional=_names(_growing("batch")),
    )
    keys = {
        "losses": _list(_text(), "losses, in words"),
        "streams": _list(_text(), "parts that are trained apart"),
        "frozen": _list(_text(), "patterns of what is not trained"),
        "trained_params": _count("parameters that are trained"),
        "untrained": _list(_text(), "names of parameters that get no gradient although they require one"),
        "optimizer": _nullable("string", "optimizer, where its step is counted"),
        "total": _amount(_of_operators(), "cost of a training step"),
        "phases": _object({key: _amount(_of_operators(), words) for key, words in phases.items()}, "its parts"),
        "modules": _list(module, "modules, each with the parts of a step"),
        "uncosted": _list(_uncosted(of_training=True), "operators of a step without a rule"),
        "run": _or_null(run, "a whole training run, where its length is given"),
        "engine": _text("what the step ran on: meta, fake or real tensors"),
    }
    return _object(keys, "a training step, where asked for")


def _amount(quantities: Iterable[Quantity], description: str = "") -> Schema:
    """A cost; a quantity that is unknown is absent."""
    shown = list(quantities)
    return _object(_amounts(shown), description, _names(shown))


def _amounts(quantities: Iterable[Quantity], whose: str = "", prefix: str = "") -> dict[str, Schema]:
    return {f"{prefix}{q.key}": (_number if q.pico else _count)(f"{q.title} {whose}".strip()) for q in quantities}


def _of_operators() -> tuple[Quantity, ...]:
    """Without what modules have, whatever is done with them."""
    return tuple(quantity for quantity in saved_quantities() if quantity.of_module is None)


def _growing(*units: str) -> tuple[Quantity, ...]:
    """Of these, what a batch or views multiply."""
    return tuple(quantity for quantity in _of_operators() if set(units) <= set(quantity.grows_with))


def _names(quantities: Iterable[Quantity], prefix: str = "") -> list[str]:
    return [f"{prefix}{quantity.key}" for quantity in quantities]


def _object(keys: dict[str, Schema], description: str = "", optional: Iterable[str] = ()) -> Schema:
    required = [key for key in keys if key not in set(optional)]
    return _described(
        {"type": "object", "properties": keys, "required": required, "additionalProperties": False}, description
    )


def _list(item: Schema, description: str = "") -> Schema:
    return _described({"type": "array", "items": item}, description)


def _shape() -> Schema:
    return _list(_count())


def _count(description: str = "") -> Schema:
    return _described({"type": "integer", "minimum": 0}, description)


def _number(description: str = "") -> Schema:
    return _described({"type": "number", "minimum": 0}, description)


def _text(description: str = "") -> Schema:
    return _described({"type": "string"}, description)


def _nullable(type: str, description: str) -> Schema:
    return _described({"type": [type, "null"]}, description)


def _or_null(schema: Schema, description: str) -> Schema:
    return _described({"oneOf": [schema, {"type": "null"}]}, description)


def _described(schema: Schema, description: str) -> Schema:
    return schema | ({"description": description} if description else {})
