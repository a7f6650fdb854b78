import csv
import json
from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import Apply
from torch import nn
from typer.testing import CliRunner

import flopcount
from flopcount import InputError, count_flops, count_model, diff, read_report
from flopcount.cli import app
from flopcount.core.units import signed
from flopcount.output.terminal import terminal

NETS = """
from torch import nn

def build(width=4):
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 2))
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)

    def invoke(*words):
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return invoke


def net(**widths):
    """Linear layers in a row by name, each of the given width."""
    layers, before = OrderedDict(), 8
    for name, width in widths.items():
        layers[name] = nn.Linear(before, width)
        before = width
    return nn.Sequential(layers)


def reports(old, new):
    return count_flops(old, (1, 8)), count_flops(new, (1, 8))


def by_name(table):
    return {row[0]: dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows}


# The library


def test_every_change_by_hand():
    result = diff(*reports(net(a=4, b=2, c=2), net(a=4, b=3, d=2)))
    rows = by_name(result.table())
    assert list(rows) == ["b", "c", "d", "(1 unchanged)"]
    assert [rows[name]["change"] for name in "bcd"] == ["changed", "removed", "added"]
    assert rows["b"]["output"] == "(2→3)"
    assert (rows["b"]["old MACs"], rows["b"]["new MACs"], rows["b"]["Δ MACs"]) == (4 * 2, 4 * 3, 4)
    assert (rows["b"]["old params"], rows["b"]["new params"], rows["b"]["Δ params"]) == (4 * 2 + 2, 4 * 3 + 3, 5)
    assert (rows["c"]["old MACs"], rows["c"]["new MACs"], rows["c"]["Δ MACs"]) == (2 * 2, 0, -4)
    assert (rows["d"]["old MACs"], rows["d"]["new MACs"]) == (0, 3 * 2)
    assert rows["d"]["Δ other"] == 2  # its bias
    assert rows["(1 unchanged)"]["old MACs"] == 8 * 4
    assert result.macs == (8 * 4 + 4 * 3 + 3 * 2) - (8 * 4 + 4 * 2 + 2 * 2)
    assert result.flops == 2 * result.macs
    assert result.params == (36 + 15 + 8) - (36 + 10 + 6)
    assert result.different


def test_shapes_types_and_modules_inside():
    def two(layer, pool):
        return nn.Sequential(OrderedDict(stem=nn.Sequential(layer, pool), head=nn.Flatten()))

    old, new = two(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)), two(nn.Conv2d(3, 4, 1), nn.AvgPool2d(2))
    result = diff(count_flops(old, (1, 3, 8, 8)), count_flops(new, (1, 3, 8, 8)))
    rows = by_name(result.table())
    assert rows["stem.0"]["output"] == "4×(6→8)×(6→8)"
    assert rows["stem.1"]["type"] == "MaxPool2d → AvgPool2d"
    whole = by_name(result.table(depth=1))
    assert list(whole) == ["stem"]
    assert whole["stem"]["change"] == "changed"
    assert whole["stem"]["Δ MACs"] == 4 * 8 * 8 * 3 - 4 * 6 * 6 * 3 * 9
    other_rank = diff(count_flops(nn.Flatten(), (1, 2, 3)), count_flops(nn.Identity(), (1, 2, 3)))
    assert other_rank.different


def test_a_module_changed_only_inside_is_shown_changed():
    old = nn.Sequential(nn.Sequential(nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)))
    new = nn.Sequential(nn.Sequential(nn.Linear(8, 1, bias=False), nn.Linear(1, 24, bias=False)))
    row = by_name(diff(*reports(old, new)).table(depth=1))["0"]
    assert row["change"] == "changed"
    assert row["Δ MACs"] == 0  # 8·2 + 2·8 = 8·1 + 1·24


def test_notebooks_and_interpreters_show_it():
    result = diff(*reports(net(a=4), net(a=2)))
    assert repr(result) == "<Diff Sequential on 1×8 → Sequential on 1×8: −16 MACs, −18 parameters>"
    assert str(result).startswith("Sequential on 1×8 → Sequential on 1×8\n")
    assert "−16" in result._repr_html_()
    assert r"$\to$" in result.table().to_latex()


def test_equal_reports_do_not_differ():
    old, new = reports(net(a=4), net(a=4))
    result = diff(old, new)
    assert not result.different
    assert [row[0] for row in result.table().rows] == ["(all 1 unchanged)"]
    assert "no layer differs" in result.table().notes
    assert "params: 36, the same" in result.table().notes


def test_what_was_removed_stands_behind_what_was_before_it():
    result = diff(*reports(net(a=4, x=4, y=4, b=4), net(new=8, b=4, a=4, c=4)))
    assert [layer.path for layer in result.layers] == ["", "new", "b", "a", "x", "y", "c"]


def test_a_layer_of_no_cost_is_named_in_a_note():
    old, new = nn.Sequential(nn.Linear(8, 4)), nn.Sequential(nn.Linear(8, 4), nn.Identity())
    result = diff(*reports(old, new))
    assert result.different
    assert "also changed, without cost or parameters: 1" in result.table().notes


def test_what_has_no_rule_is_told_of_either_side():
    known = Apply(lambda x, fc: fc(x), nn.Linear(8, 8))
    unknown = Apply(lambda x, fc: torch.linalg.svd(fc(x)).U, nn.Linear(8, 8))
    notes = diff(count_flops(unknown, (8, 8)), count_flops(known, (8, 8))).table().notes
    assert notes[0].startswith("UNCOSTED aten._linalg_svd: 1 call in the model itself")
    assert notes[0].endswith("(old)")


WIDTHS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 5), min_size=1)


@settings(max_examples=25)
@given(WIDTHS, WIDTHS, st.integers(-1, 2))
def test_laws(one, other, depth):
    old, new = reports(net(**one), net(**other))
    there, back = diff(old, new), diff(new, old)
    assert there.macs == -back.macs == new.macs - old.macs
    assert there.params == -back.params == new.params - old.params
    turned = {"added": "removed", "removed": "added"}
    assert {layer.path: turned.get(layer.change, layer.change) for layer in there.layers} == {
        layer.path: str(layer.change) for layer in back.layers
    }
    assert {layer.path for layer in there.layers} == {row.path for row in (*old.modules, *new.modules)}
    assert there.different == (list(one.items()) != list(other.items()) or old.modules != new.modules)
    table = there.table(depth)
    for position, column in enumerate(table.columns):
        if column.kind in ("count", "delta"):
            assert sum(row[position] for row in table.rows) == table.total[position], column.name
    numbers = dict(zip((column.name for column in table.columns), table.total, strict=True))
    assert (numbers["old MACs"], numbers["new MACs"], numbers["Δ MACs"]) == (old.macs, new.macs, there.macs)
    assert numbers["Δ other"] == there.other_flops


def test_signed():
    assert (signed(1_040_449_536), signed(-512), signed(0), signed(0, blank=True)) == ("+1.04 G", "−512", "0", "")


# Saved reports


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))
        self.first = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        self.first[1].weight = self.first[0].weight
        self.never = nn.Linear(3, 3)

    def forward(self, x):
        return self.first(x * self.scale) + self.first(x[:1])


@pytest.mark.parametrize("count", [lambda: count_model("slowfast_r50_8x8"), lambda: count_flops(Tied(), (2, 8))])
def test_a_saved_report_is_the_report(tmp_path, count):
    report = count()
    path = tmp_path / "report.json"
    path.write_text(report.to_json())
    saved = read_report(path)
    assert saved.modules == report.modules
    for name in ("model", "views", "total", "params", "trainable_params", "uncosted", "engine", "versions", "input"):
        assert getattr(saved, name) == getattr(report, name), name
    assert saved.macs == report.macs
    assert not diff(saved, report).different
    assert diff(report, saved).table() == diff(report, report).table()


def change(data, **at):
    for place, value in at.items():
        *path, last = place.split("__")
        inner = data
        for key in path:
            inner = inner[int(key) if key.isdigit() else key]
        if value is None:
            del inner[last]
        else:
            inner[last] = value


BROKEN = {
    "schema": ({"schema": "flopcount/2"}, "not a report of schema flopcount/1\n  seen    'flopcount/2'"),
    "none": ({"schema": None}, "not a report of schema flopcount/1\n  seen    no schema"),
    "modules": ({"modules": None}, "not a complete report: modules is missing"),
    "macs": ({"modules__1__self_macs": None}, r"not a complete report: modules\[1\].self_macs is missing"),
    "negative": ({"total__macs": -1}, "not a complete report: total.macs is -1, not a count"),
    "float": ({"modules__0__params": 1.5}, r"not a complete report: modules\[0\].params is 1.5, not a count"),
    "list": ({"modules": {"a": 1}}, "not a complete report: modules is {'a': 1}, not a list"),
    "text": ({"model": 3}, "not a complete report: model is 3, not a string"),
    "object": ({"input": 3}, "not a complete report: input is 3, not an object"),
    "versions": ({"versions": 3}, "not a complete report: versions is 3, not an object"),
    "views": ({"views__clips": 0}, "not a complete report: views 0×1 are not at least 1x1"),
    "clip": ({"input__clip": "16x"}, "not a complete report: clip '16x' is not frames x height x width"),
    "sum": ({"modules__1__self_macs": 7}, "not a complete report: its modules sum to"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_report_is_refused(tmp_path, case):
    data = json.loads(count_flops(net(a=4), (1, 8)).to_json())
    changes, message = BROKEN[case]
    change(data, **changes)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=f"broken.json is {message}"):
        read_report(path)


def test_files_that_are_no_json(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(InputError, match="cannot read"):
        read_report(path)
    for content in (b"{", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not JSON: "):
            read_report(path)
    path.write_text("[]")
    with pytest.raises(InputError, match="not a report of schema"):
        read_report(path)


# The command


def test_models_with_clips_of_their_own(run):
    result = run("diff", "c3d@16x112x112", "c3d@32x112x112")
    assert result.exit_code == 0, result.stderr
    assert (
        result.stdout
        == terminal(diff(count_model("c3d"), count_model("c3d", clip=flopcount.Clip(32, 112, 112))).table()) + "\n"
    )
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "64×(16→32)×112×112" in result.stdout


def test_a_saved_report_beside_a_model(run, tmp_path):
    (tmp_path / "old.json").write_text(run("model", "nets.py:build", "--input", "1x8", "--format", "json").stdout)
    words = ("diff", "old.json", "nets.py:build", "--input", "1x8")
    assert run(*words, "--exit-code").exit_code == 0
    wider = run(*words, "--set", "width=6", "--exit-code")
    assert wider.exit_code == 1
    assert "MACs: 40 → 60 (+20, +50.0%)" in wider.stdout
    assert run(*words, "--set", "width=6").exit_code == 0
    rows = list(csv.DictReader(run(*words, "--set", "width=6", "--format", "csv").stdout.splitlines()))
    assert [(row["layer"], row["Δ MACs"]) for row in rows] == [("0", "16"), ("1", "0"), ("2", "4")]
    assert run("diff", "old.json", "old.json", "--exit-code").exit_code == 0


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_other_formats(run, form):
    result = run("diff", "c3d@16x16x16", "c3d@16x32x32", "--depth", "1", "--format", form)
    assert result.exit_code == 0
    assert "conv2" in result.stdout
    assert ("→" in result.stdout) is (form == "markdown") or "%" in result.stdout


ERRORS = {
    "diff c3d c3": "error: no model named 'c3'\n  near    c3d\n",
    "diff c3d nothere.json": "error: cannot read nothere.json: No such file or directory\n",
    "diff c3d@16x112 c3d": "error: clip '16x112' is not frames x height x width\n",
    "diff a.json b.json --clip 16x112x112": "error: --clip is for models, and both sides are saved reports\n",
    "diff a.json b.json --batch 2": "error: --batch is for models, and both sides are saved reports\n",
    "diff a@b c3d": "error: no model named 'a@b'\n",
}


@pytest.mark.parametrize("command", ERRORS)
def test_bad_input_is_one_message_and_exit_code_2(run, command):
    result = run(*command.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(ERRORS[command])


def test_help_has_examples(run):
    assert "flopcount diff c3d@16x112x112 c3d@32x112x112" in run("diff", "--help").stdout


def test_reports_of_before_bytes_were_known_of_layers(tmp_path):
    data = json.loads(count_flops(net(a=4), (1, 8)).to_json())
    for row in data["modules"]:
        for name in [name for name in row if "bytes" in name or "trainable" in name or name == "self_params"]:
            del row[name]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(data))
    old, new = read_report(path), count_flops(net(a=5), (1, 8))
    for result in (diff(old, old), diff(old, count_flops(net(a=4), (1, 8)))):
        assert not result.different
        assert "bytes read: 176 B, the same" in result.table().notes
    table = diff(old, new).table()
    names = [column.name for column in table.columns]
    assert table.total[names.index("old params")] == old.params == 36
    assert [row.own_params for row in old.modules] == [0, 36]
    assert "Δ read" not in [column.name for column in table.columns]
    assert table.total[-2] == new.macs - old.macs
