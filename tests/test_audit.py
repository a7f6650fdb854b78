"""The published audit: our column counted again, causes that sum to the differences, and a page that is its JSON."""

import json
import sys
from pathlib import Path

import pytest

from flopcount import count_model
from flopcount.models.cards import CARDS

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))  # as `python benchmarks/audit.py` does

import audit  # noqa: E402
import audit_cell  # noqa: E402
from audit_page import markdown  # noqa: E402

PAGE = ROOT / "reports" / "audit.md"
PUBLISHED = json.loads(PAGE.with_suffix(".json").read_text())
CELLS = {(name, key): cell for name, model in PUBLISHED["models"].items() for key, cell in model["cells"].items()}
EXPLAINED = {place: cell for place, cell in CELLS.items() if "causes" in cell}


def test_the_page_is_what_the_raw_answers_say():
    assert markdown(PUBLISHED) == PAGE.read_text()


def test_every_network_was_put_to_every_tool():
    assert tuple(PUBLISHED["models"]) == audit.MODELS
    keys = {f"{tool} {device}" for tool in audit_cell.METERS for device in audit.DEVICES}
    for model in PUBLISHED["models"].values():
        assert set(model["cells"]) == keys


@pytest.mark.parametrize("name", audit.MODELS)
def test_our_column_is_what_we_count_now(name):
    if CARDS[name].requires:
        pytest.importorskip(CARDS[name].requires)
    published = PUBLISHED["models"][name]
    report = count_model(name)
    assert published["macs"] == report.macs
    assert published["input"] == [list(shape) for shape in report.input.shapes]


@pytest.mark.parametrize("place", EXPLAINED, ids=" ".join)
def test_causes_sum_to_the_difference(place):
    cell, ours = EXPLAINED[place], PUBLISHED["models"][place[0]]["macs"]
    assert cell["unexplained"] == 0
    assert cell["macs"] - ours == sum(cause["macs"] for cause in cell["causes"])
    per_mac = 2 if cell["unit"] == "FLOPs" else 1
    assert cell["printed"] == cell["macs"] * per_mac


RAW = {
    "command": "python benchmarks/audit.py", "date": "2026-01-01", "versions": {"torch": "2"}, "limit_s": 9,
    "models": {"net": {"input": [[1, 3]], "macs": 100, "cells": {
        "fvcore cpu": {"printed": 100, "unit": "flops", "macs": 100, "causes": [], "unexplained": 0},
        "fvcore meta": {"failure": "TypeError: no | data"},
        "torch cpu": {"printed": 101, "unit": "MACs", "macs": 101, "unexplained": 4,
                      "causes": [{"op": "x", "why": "adds", "macs": 5, "calls": 2}]},
        "torch meta": {"macs": 100},
    }}},
}  # fmt: skip


def test_the_page_says_who_is_right_who_failed_and_why():
    page = markdown(RAW)
    assert "| net | 1×3 | 100 | CPU | 1.0000× | 1.0100× |" in page
    assert "|  |  |  | meta | failed | 1.0000× |" in page
    assert "| fvcore | 1 | 0 | 0 | 0 | 0 | 1 |" in page
    assert "| torch | 0 | 0 | 1 | 0 | 1 | 0 |" in page
    assert "- **torch** +1 MACs:\n  - adds: x, +5 in 2 calls\n  - unexplained: 4" in page
    assert "- **fvcore** failed on meta: `TypeError: no | data`" in page


def test_what_ptflops_counts_twice_on_meta_is_figured_out():
    """Two biased layers of 30 products: 40 on the CPU, 40 + 30 on meta, and 2 that nothing explains."""
    cells = {"ptflops cpu": {"macs": 40, "causes": [], "unexplained": 0}, "ptflops meta": {"macs": 72}}
    net = {"input": [[1, 3]], "macs": 40, "linear_with_bias": {"macs": 30, "calls": 2}, "cells": cells}
    page = markdown({**RAW, "models": {"net": net}})
    assert "- **ptflops** on meta, +32 MACs against its answer on the CPU:\n" in page
    assert "torch.mm, which ptflops patches: +30 in 2 calls\n  - unexplained: +2" in page


def test_the_published_answers_of_ptflops_on_meta_are_explained():
    for model in PUBLISHED["models"].values():
        cpu, meta = (model["cells"][f"ptflops {device}"] for device in ("cpu", "meta"))
        if "macs" in meta:
            assert meta["macs"] - cpu["macs"] == model["linear_with_bias"]["macs"]
    assert "unexplained" not in PAGE.read_text().partition("## Why the others differ")[2]


def test_a_cell_that_cannot_be_measured_says_why():
    assert audit_cell.cell("no_such_model", "torch", "cpu")["failure"].startswith("UnknownNameError: no model named")


def test_a_cell_on_both_devices():
    macs = count_model("cnn_lstm").macs
    on_meta = audit_cell.cell("cnn_lstm", "torch", "meta")
    assert on_meta == {"macs": macs}


def test_the_command_writes_page_and_raw_answers_and_keeps_them(tmp_path, monkeypatch):
    asked = []

    def child(model, tool, device, limit):
        asked.append((model, tool, device, limit))
        return {"failure": "not asked"}

    monkeypatch.setattr(audit, "child", child)
    out = tmp_path / "audit.md"
    words = ["--models", "cnn_lstm", "--tools", "torch", "--limit", "7", "--keep", "--out", str(out)]
    assert audit.main(words) == audit.main(words) == 0
    assert asked == [("cnn_lstm", "torch", "cpu", 7), ("cnn_lstm", "torch", "meta", 7)]
    assert out.read_text() == markdown(json.loads(out.with_suffix(".json").read_text()))
