"""The JSON of a report as a JSON Schema: each key with its type and its meaning.

`report_json.py` writes what this file describes, and a test validates reports of every kind against it. Quantities come
from the one table of quantities.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.ops import Kind, Phase
from ..core.quantity import TABLE, Quantity
from ..tracing.input_dependence import AXES
from .cost_json import cost_schema
from .report_json import SCHEMA, phase_key, saved_quantities
from .schema_words import Schema, count, list_of, nullable, number, or_null, record, shape, text

__all__ = ["amount_schema", "report_schema", "uncosted_schema"]


def report_schema() -> Schema:
    """The schema of `Report.to_json` and of `flopcount model NAME --format json`, in JSON Schema draft 2020-12.

    A key that is not required is absent where it is unknown or was not asked for. Counts are exact integers.
    """
    keys = {
        "schema": {"const": SCHEMA, "description": "name and version of this schema"},
        "model": text("name of the model"),
        "departures": list_of(text(), "where the network departs from that of its paper, one sentence each"),
        "input": _input(),
        "assumed": list_of(text(), "what the count had to assume, one sentence each"),
        "convention": text("how MACs and FLOPs relate"),
        "total": amount_schema(TABLE.values(), "cost of the input as given, batch included"),
        "per_sample": or_null(
            amount_schema(_growing("batch")), "cost of one sample of the batch; null where that is unknown"
        ),
        "views": record({"clips": count("views in time"), "crops": count("views in space")}, "views of a video"),
        "per_video": amount_schema(_growing("batch", "views"), "cost of all views of a video"),
        "uncosted": list_of(uncosted_schema(), "operators without a rule, whose cost no total has"),
        "unknown": _unknown(),
        "modules": list_of(_module(), 'modules as in named_modules(); the whole model has the path ""'),
        "operators": list_of(_operator(), "operators, each with all its calls"),
        "engine": text("what the forward pass ran on: meta, fake or real tensors; code for a block that ran itself"),
        "versions": {
            "type": "object",
            "additionalProperties": text(),
            "description": "versions of flopcount and torch",
        },
        "training": _training(),
        "cost": list_of(
            cost_schema(),
            "time, energy and money on each device that was named; a forward pass on one device also has them in "
            "total, modules and operators, and on several devices or of a training step no layer has them",
        ),
    }
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA}
    return dialect | record(keys, "what a forward pass of a model costs", optional=["training", "cost"])


def _input() -> Schema:
    keys = {
        "clip": nullable("string", "frames, height and width as TxHxW; null where the input is no clip of video"),
        "stride": count("every how many frames of the video the clip has one"),
        "shapes": list_of(shape(), "shapes of the input tensors, batch first"),
        "batch": {"type": ["integer", "null"], "minimum": 0, "description": "samples in the input; null where unknown"},
        "dtype": text("data type of the input"),
        "values": list_of(text(), "values of inputs given by shape, where the caller says them"),
    }
    return record(keys, "what was counted", optional=["values"])


def _module() -> Schema:
    field = record(
        {axis: count(f"positions along {axis}") for axis in AXES}
        | {
            "global": list_of({"enum": list(AXES)}, "axes of which it sees everything"),
            "unknown_since": text("operator"),
        },
        optional=[*AXES, "global", "unknown_since"],
    )
    quantities = saved_quantities()
    keys = {
        "path": text("dotted path"),
        "type": text("class name"),
        "depth": count("number of names in the path"),
        "calls": count("how often it was called"),
        "used_elsewhere": {
            "type": "boolean",
            "description": "true where it was never called, but other modules used its parameters; else absent",
        },
        "input_shapes": list_of(shape(), "distinct shapes of its inputs"),
        "output_shapes": list_of(shape(), "distinct shapes of its outputs"),
        **_amounts(quantities, "of the module and its children"),
        **_amounts(quantities, "of the module without its children", "self_"),
        "receptive_field": list_of(field, "what a unit of its outputs sees of the clip, where asked for"),
    }
    amounts = [*_names(quantities), *_names(quantities, "self_")]
    return record(keys, optional=["used_elsewhere", "receptive_field", *amounts])


def _operator() -> Schema:
    keys = {
        "op": text("name as torch prints it"),
        "kind": {"enum": [kind.value for kind in Kind], "description": "family of work"},
        "calls": count("how often it was called"),
        **_amounts(_of_operators()),
    }
    return record(keys, optional=_names(_of_operators()))


def uncosted_schema(*, of_training: bool = False) -> Schema:
    """An operator without a rule."""
    keys = {
        "op": text("name as torch prints it, or unknown.NAME for work that torch does not see"),
        "calls": count("how often it was called"),
        "modules": list_of(text(), "paths of the modules that call it"),
    }
    sizes = {
        "elements": count("elements that it reads and writes"),
        "upper_macs": count("an upper estimate of its MACs, without guarantee"),
    }
    return record(keys if of_training else keys | sizes)


def _unknown() -> Schema:
    keys = {
        "elements_costed": count("elements that operators with a rule wrote"),
        "elements_written": count("elements that all operators wrote"),
        "upper_macs": count("an upper estimate of the MACs of operators without a rule, without guarantee"),
    }
    return record(keys, "how much of the model has no rule")


def _training() -> Schema:
    phases = {phase_key(phase): phase.value for phase in Phase}
    each = {
        key: record(
            _amounts(_of_phases()) | _amounts(_of_phases(), "of its own operators", "self_"),
            words,
            [*_names(_of_phases()), *_names(_of_phases(), "self_")],
        )
        for key, words in phases.items()
    }
    module = record({"path": text("dotted path"), "type": text("class name"), "depth": count()} | each)
    run = record(
        {"epochs": count(), "samples": count("clips of the data set"), "steps": count()} | _amounts(_growing("batch")),
        optional=_names(_growing("batch")),
    )
    keys = {
        "losses": list_of(text(), "losses, in words"),
        "streams": list_of(text(), "parts that are trained apart"),
        "frozen": list_of(text(), "patterns of what is not trained"),
        "trained_params": count("parameters that are trained"),
        "untrained": list_of(text(), "names of parameters that get no gradient although they require one"),
        "optimizer": nullable("string", "optimizer, where its step is counted"),
        "total": amount_schema(_of_phases(), "cost of a training step"),
        "phases": record({key: amount_schema(_of_phases(), words) for key, words in phases.items()}, "its parts"),
        "modules": list_of(module, "modules, each with the parts of a step"),
        "uncosted": list_of(uncosted_schema(of_training=True), "operators of a step without a rule"),
        "run": or_null(run, "a whole training run, where its length is given"),
        "engine": text("what the step ran on: meta, fake or real tensors"),
    }
    return record(keys, "a training step, where asked for")


def amount_schema(quantities: Iterable[Quantity], description: str = "") -> Schema:
    """A cost; a quantity that is unknown is absent."""
    shown = list(quantities)
    return record(_amounts(shown), description, _names(shown))


def _amounts(quantities: Iterable[Quantity], whose: str = "", prefix: str = "") -> dict[str, Schema]:
    return {f"{prefix}{q.key}": (number if q.pico else count)(f"{q.title} {whose}".strip()) for q in quantities}


def _of_operators() -> tuple[Quantity, ...]:
    """Without what modules have, whatever is done with them."""
    return tuple(quantity for quantity in saved_quantities() if quantity.of_module is None)


def _of_phases() -> tuple[Quantity, ...]:
    """Those of a training step, whose time is that of all its phases together."""
    return tuple(quantity for quantity in _of_operators() if not quantity.pico)


def _growing(*units: str) -> tuple[Quantity, ...]:
    """Of these, what a batch or views multiply."""
    return tuple(quantity for quantity in _of_operators() if set(units) <= set(quantity.grows_with))


def _names(quantities: Iterable[Quantity], prefix: str = "") -> list[str]:
    return [f"{prefix}{quantity.key}" for quantity in quantities]
