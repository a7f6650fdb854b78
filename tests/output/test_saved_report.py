"""A report that was saved as JSON says of each layer what the report said."""

import json

import pytest
from modules import Apply
from torch import nn
from torch.nn import functional as F

from flopcount import InputError, count_flops
from flopcount.output.report_json_reader import read_report


@pytest.fixture
def saved(tmp_path):
    """The file of a report in which one layer is called, one is used by its weight, and one is never called."""
    layers = nn.Linear(3, 4), nn.Linear(4, 5), nn.ReLU()
    module = Apply(lambda x, *parts: F.linear(parts[0](x), parts[1].weight), *layers)
    path = tmp_path / "report.json"
    path.write_text(count_flops(module, (2, 3)).to_json())
    return path


def test_a_layer_that_is_used_without_a_call_stays_so(saved):
    used = {row.path: row.used_elsewhere for row in read_report(saved).modules}
    assert used == {"": False, "parts": True, "parts.0": False, "parts.1": True, "parts.2": False}
    written = {row["path"] for row in json.loads(saved.read_text())["modules"] if "used_elsewhere" in row}
    assert written == {"parts", "parts.1"}


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_another_value_is_refused(saved, value):
    data = json.loads(saved.read_text())
    data["modules"][3]["used_elsewhere"] = value
    saved.write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"modules\[3\]\.used_elsewhere is .*, neither true nor false"):
        read_report(saved)
