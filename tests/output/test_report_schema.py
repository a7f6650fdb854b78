"""The schema describes the JSON of every kind of report, and nothing that no report has."""

import json

import pytest
import torch
from modules import Apply
from torch import nn
from typer.testing import CliRunner

from flopcount import TensorSpec, count_flops
from flopcount.cli import app
from flopcount.output.report_schema import report_schema

jsonschema = pytest.importorskip("jsonschema")

COMMANDS = [
    "model toy_3d_cnn --receptive-field",
    "model toy_3d_cnn --train --optimizer adamw --epochs 2 --samples 10 --freeze conv1",
    "model toy_3d_cnn --batch 2 --views 10x3 --stride 2",
    "cost toy_3d_cnn --on l4 --batch 2 --views 10x3 --fps 25",
    "cost toy_3d_cnn --on a100-80gb-sxm,l4 --dtype amp --compile",
    "cost toy_3d_cnn --on rtx-3090 --dtype amp --train --epochs 2 --samples 10",
]


def reports():
    for command in COMMANDS:
        result = CliRunner().invoke(app, [*command.split(), "--format", "json"], catch_exceptions=False)
        assert result.exit_code == 0
        yield json.loads(result.stdout)
    lost = Apply(lambda x, conv: torch.linalg.inv(conv(x)), nn.Conv2d(3, 3, 1))
    yield json.loads(count_flops(lost, (1, 3, 8, 8)).with_receptive_field().to_json())
    yield json.loads(count_flops(nn.Embedding(9, 3), TensorSpec((2,), "int64", values=(3, 4))).to_json())
    by_weight = Apply(lambda x, layer: x @ layer.weight, nn.Linear(3, 3))
    yield json.loads(count_flops(by_weight, (2, 3)).to_json())
    trained = Apply(lambda x, layer: torch.cholesky_inverse(layer(x)), nn.Linear(3, 3))
    yield json.loads(count_flops(trained, (3, 3), mode="train").to_json())


def described(schema, place=()):
    """The place of each key of the schema."""
    for key, inner in schema.get("properties", {}).items():
        yield (*place, key)
        yield from described(inner, (*place, key))
    for inner in [*([schema["items"]] if "items" in schema else []), *schema.get("oneOf", [])]:
        yield from described(inner, place)


def present(value, place=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*place, key)
            yield from present(inner, (*place, key))
    if isinstance(value, list):
        for inner in value:
            yield from present(inner, place)


def test_reports_are_as_described_and_what_is_described_occurs():
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    seen = set()
    for report in reports():
        validator.validate(report)
        seen |= set(present(report))
    assert set(described(schema)) <= seen


@pytest.mark.parametrize("change", [{"flops": 1}, {"model": None}, {"operators": [{"op": "aten.add"}]}])
def test_another_object_is_refused(change):
    report = json.loads(count_flops(nn.Linear(3, 3), (2, 3)).to_json())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report | change, report_schema())
