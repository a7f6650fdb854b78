"""What a count had to assume is shown once wherever its number is: in every format, reader and saved report."""

import csv
import io
import json
import warnings

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import flopcount
from flopcount import TensorSpec, count_flops, count_model
from flopcount.analysis.difference import diff
from flopcount.analysis.largest_clip import largest_clips
from flopcount.analysis.memory import memory_of
from flopcount.analysis.streaming import streaming, streaming_table
from flopcount.analysis.survey import Survey, SurveyRow
from flopcount.cli import app
from flopcount.compat.counted import tell_uncosted
from flopcount.output.report_json_reader import read_report
from flopcount.publishing.budget import check_budgets
from flopcount.publishing.budget_file import read_budgets

FILE = '''
import torch
from torch import nn


class Trimmed(nn.Module):
    """Frames past the length of their clip are dropped."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 32)

    def forward(self, frames, lengths):
        return self.fc(frames[torch.arange(frames.shape[1]) < lengths[:, None]])


class Picks(nn.Module):
    """A policy, which is random without training, picks frames."""

    def __init__(self):
        super().__init__()
        self.policy, self.net = nn.Conv3d(3, 2, 1), nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        wanted = self.policy(x).mean((3, 4)).transpose(1, 2).softmax(-1)[..., 1] > 0.5
        return self.net(x.transpose(1, 2)[wanted])
'''
LINE = "assumed: the values of input 1 are zeros, since only its shape is given"
GUESSED = ((2, 8, 64), TensorSpec((2,), "int64"))
SAID = ((2, 8, 64), TensorSpec((2,), "int64", (8, 5)))


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """The module of the file, as a caller imports it."""
    (tmp_path / "nets.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(FILE, names)
    return names


def one_line(text):
    """A text without its line breaks, which wrap notes."""
    return " ".join(str(text).replace("\n", " ").split())


def test_every_format_of_a_report_shows_it_once(nets):
    report = count_flops(nets["Trimmed"](), GUESSED)
    for by in ("module", "operator", "kind"):
        for text in (
            report.table_by(by),
            report.to_markdown(by),
            report.to_latex(by),
            report.table_by(by)._repr_html_(),
        ):
            assert one_line(text).count(LINE) == 1
    assert ", partly assumed, " in report.sentence()
    assert "partly assumed" in repr(report)
    plain = count_flops(nets["Trimmed"](), SAID)
    assert "assumed" not in f"{plain}{plain.sentence()}"
    assert "values as given: input 1: 8,5" in one_line(plain)


def test_json_has_it_and_a_saved_report_reads_it_back(nets, tmp_path):
    report = count_flops(nets["Trimmed"](), GUESSED)
    data = json.loads(report.to_json())
    assert data["assumed"] == list(report.assumed) != []
    assert "values" not in data["input"]
    (tmp_path / "guessed.json").write_text(report.to_json())
    assert read_report(tmp_path / "guessed.json").assumed == report.assumed
    said = count_flops(nets["Trimmed"](), SAID)
    assert json.loads(said.to_json())["input"]["values"] == ["input 1: 8,5"]
    (tmp_path / "said.json").write_text(said.to_json())
    saved = read_report(tmp_path / "said.json")
    assert (saved.assumed, saved.input.values) == ((), said.input.values)
    del data["assumed"]  # as an older version wrote it
    (tmp_path / "older.json").write_text(json.dumps(data))
    assert read_report(tmp_path / "older.json").assumed == ()


def test_every_reader_shows_it(nets, tmp_path):
    module = nets["Trimmed"]()
    report = count_flops(module, GUESSED)
    said = count_flops(module, SAID)
    followed = report.with_dataflow()
    (tmp_path / "saved.json").write_text(report.to_json())
    texts = {
        "explanation": report.explain("fc"),
        "memory": memory_of(followed).table(),
        "span": followed.span.table(),
        "diff": diff(said, report).table(),
        "diff with a saved one": diff(read_report(tmp_path / "saved.json"), said).table(),
        "closed form": report.formula("N", layout=["BND", "B"]).table(),
    }
    for name, text in texts.items():
        assert one_line(text).count(LINE) == 1, name
    assert report.formula("N", layout=["BND", "B"]).assumed == report.assumed
    assert json.loads(report.formula("N", layout=["BND", "B"]).to_json())["assumed"] == list(report.assumed)


def test_a_training_step_shows_it(nets):
    report = count_flops(nets["Trimmed"](), GUESSED, mode="train")
    assert one_line(report).count(LINE) == 1
    assert one_line(report.training.by_kind()).count(LINE) == 1


def test_a_survey_and_other_tools_tell_it(nets):
    report = count_flops(nets["Trimmed"](), GUESSED)
    row = SurveyRow("mine", macs=0, assumed=report.assumed)
    said = f"mine {LINE.replace('assumed:', 'assumes')}; what is counted in the model itself depends on them"
    assert said in one_line(Survey("x", (row,)).table())  # csv has a column of its own for it
    assert row.counted
    with pytest.warns(UserWarning, match="a tool: assumed: the values of input 1 are zeros"):
        tell_uncosted(report, "a tool")
    with warnings.catch_warnings(action="error"):
        tell_uncosted(count_flops(nets["Trimmed"](), SAID), "a tool")


def test_streaming_and_largest_clips_show_it(nets):
    class Gated(nn.Module):
        """A convolution that runs twice where its numbers are finite, which is assumed."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(3, 8, 1)

        def forward(self, x):
            return self.conv(x) + self.conv(x) if torch.isfinite(x[0, 0, 0, 0, 0]) else x

    line = "assumed: numbers without values are taken to be finite"
    assert line in one_line(streaming_table([streaming(Gated().eval(), (1, 3, 4, 8, 8))], 1))
    form = flopcount.closed_form(Gated().eval(), (1, 3, 4, 8, 8), "THW")
    assert form.at("macs", T=4) == 2 * 3 * 8 * 4 * 8 * 8
    assert line in one_line(largest_clips(form, "1GMACs"))


def test_commands_show_it(nets):
    inputs = ["--input", "frames:2x8x64", "--input"]
    model = ["model", "nets.py:Trimmed", *inputs]
    shown = CliRunner().invoke(app, [*model, "lengths:2:int64"])
    assert "assumed: the values of input 'lengths' are zeros" in one_line(shown.stdout)
    table = CliRunner().invoke(app, [*model, "lengths:2:int64", "--format", "csv"])
    head, *rows = csv.DictReader(io.StringIO(table.stdout))
    assert all(row["assumed"].startswith("the values of input 'lengths' are zeros") for row in (head, *rows))
    said = CliRunner().invoke(app, [*model, "lengths:2:int64=8,5", "--format", "csv"])
    assert "assumed" not in said.output
    assert f"{13 * 64 * 32}," in said.stdout
    refused = CliRunner().invoke(app, [*model, "lengths:2:int64=8,5,3"])
    assert refused.exit_code == 2
    assert "3 numbers for 2 elements" in refused.stderr


def test_a_budget_says_values_or_shows_what_it_assumed(nets, tmp_path):
    text = '[tool.flopcount.budgets.{}]\nmodel = "nets.py:Trimmed"\ninput = ["frames:2x8x64", "lengths:2:int64{}"]\n'
    limit = "max-gmacs = 1\n"
    file = tmp_path / "pyproject.toml"
    file.write_text(text.format("guessed", "") + limit + text.format("said", "=8,5") + limit)
    check = check_budgets(read_budgets(file))
    assert [verdict.counted for verdict in check.verdicts] == [0, 13 * 64 * 32]
    assert one_line(check.table()).count("assumed: the values of input 'lengths' are zeros") == 1
    assert "(guessed)" in one_line(check.table())


def test_one_network_has_one_number_whichever_way_it_is_counted(nets):
    """A model that is built for the count has the same weights in a report, in a sweep and by name."""
    shape = (1, 3, 8, 16, 16)
    named = count_model("nets.py:Picks", clip="8x16x16")
    swept = flopcount.sweep(lambda frames: (nets["Picks"]().eval(), (1, 3, frames, 16, 16)), {"frames": [8]})
    built = flopcount.tracing.weighted(nets["Picks"])
    counted = count_flops(built, shape)
    assert named.macs == swept.rows[0].macs == counted.macs
    assert set(named.assumed) == set(swept.rows[0].assumed) == set(counted.assumed)
    assert len(named.assumed) == 2  # the weights and the input
    assert one_line(swept).count("assumed: the weights are those that the model's builder makes") == 1
    assert "assumed" in swept.to_pandas().columns
    torch.manual_seed(7)
    assert count_model("nets.py:Picks", clip="8x16x16").macs == named.macs


def test_a_sweep_says_in_how_many_configurations(nets):
    def build(given):
        return nets["Trimmed"](), SAID if given else GUESSED

    swept = flopcount.sweep(build, {"given": [True, False]})
    assert [row.assumed != () for row in swept.rows] == [False, True]
    assert "(1 of 2 configurations)" in one_line(swept)
    assert not any(row.problem for row in swept.rows)
    plain = flopcount.sweep(build, {"given": [True]})
    assert "assumed" not in f"{plain}{plain.to_pandas().columns}"


def test_a_form_of_what_random_numbers_decide_is_refused(nets):
    module, shape = nets["Picks"]().eval(), (1, 3, 8, 16, 16)
    for form in (lambda: flopcount.closed_form(module, shape, "T"), lambda: count_flops(module, shape).formula("T")):
        with pytest.raises(flopcount.TraceError, match="depends on values, not on sizes alone") as refused:
            form()
        assert dict(refused.value.details)["assumed"].startswith("the values of the input are random numbers")


def test_a_form_keeps_the_values_that_a_spec_says(nets):
    form = flopcount.closed_form(nets["Trimmed"](), SAID, "N", layout=["BND", "B"])
    assert form.assumed == ()
    assert form.at("macs", N=100) == 13 * 64 * 32
