"""`flopcount show`, `datasets`, `list WORD` and `rules WORD`: what there is, without torch."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from flopcount.cli import app
from flopcount.models import CARDS
from flopcount.publishing.candidates import candidates_on
from flopcount.rules import RULES

NETS = """
from torch import nn

class TwoStream(nn.Module):
    "Frames and flow -> scores."
    def __init__(self, depth, width=32):
        super().__init__()

    def forward(self, rgb, flow):
        return rgb

def build(width=4):
    return nn.Linear(8, width)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def invoke(*words):
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return invoke


def test_show_lists_a_file(run):
    lines = run("show", "nets.py").stdout.splitlines()
    assert lines[4].split()[:5] == ["TwoStream", "class", "(depth,", "width=32)", "depth"]
    assert "rgb, flow" in lines[4]
    assert lines[5].split()[:3] == ["build", "function", "(width=4)"]
    assert "count one as flopcount model nets.py:build --clip 16x112x112" in lines
    data = json.loads(run("show", "nets.py", "--json").stdout)
    assert [(each["name"], each["inputs"]) for each in data] == [
        ("nets.py:TwoStream", ["rgb", "flow"]),
        ("nets.py:build", None),
    ]
    assert data[0]["parameters"][0] == {"name": "depth", "annotation": "", "default": None, "needed": True}


def test_show_tells_of_one_what_it_needs(run):
    shown = run("show", "nets.py:TwoStream").stdout
    assert "count it as flopcount model nets.py:TwoStream --set depth=... --input rgb:1x... --input flow:1x..." in shown
    assert run("show", "nets.py:TwoStream", "--format", "csv").stdout.splitlines()[1:] == ["depth,,needed", "width,,32"]


ERRORS = {
    "show nets.py:bild": "error: no class or function in nets.py named 'bild'\n  near    build\n",
    "show c3d": "error: c3d is a network of the zoo, not a file\n",
    "show empty.py": "error: nothing in empty.py can be counted\n",
    "model nets.py": "error: nets.py is a file, and what to count in it is not named\n"
    "  has     TwoStream(depth, width=32), build(width=4)\n  fix     name one: nets.py:TwoStream;",
    "model empty.py": "error: nothing in empty.py can be counted\n",
    "cost nts.py:build --on t4": "error: no file named 'nts.py'\n  near    nets.py\n",
    "model nets.py:TwoStream --clip 8x32x32": "error: TwoStream takes rgb and flow, and there is no flow\n",
    "compare --point Ours=nets.py:TwoStream@70@8x32x32": "error: TwoStream takes rgb and flow, and there is no flow\n",
    "datasets kinetics40": "error: no data set named 'kinetics40'\n  near    kinetics400",
    "report c3d --dataset kinetics40 --out x": "error: no data set named 'kinetics40'\n  near    kinetics400",
    "compare --dataset kinetics40": "error: no data set named 'kinetics40'\n  near    kinetics400",
    "list slwfast": "error: no network or family named 'slwfast'\n  near    slowfast_r50_8x8\n",
    "list zzz --task language": "error: no model for language named 'zzz'\n",
    "list zzz --task recognition": "error: no model for recognition named 'zzz'\n",
    "list --family 4DCNN": "error: no family named '4DCNN'\n",
    "rules convolutoin": "error: no operator, module type or kind named 'convolutoin'\n  near    convolution",
    "model c3d --json --format csv": "error: --json is --format json, and --format csv is given too\n",
    "model c3d --format jsn": "error: no format named 'jsn'\n  near    json\n",
    "compare --out nets.py": "error: cannot write to nets.py: nets.py is not a folder\n",
}


@pytest.mark.parametrize("line", ERRORS)
def test_what_is_refused(run, line, tmp_path):
    (tmp_path / "empty.py").write_text("class Config:\n    pass\n")
    result = run(*line.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(ERRORS[line])


def test_it_is_refused_and_shown_without_torch(run):
    lines = [line.split() for line in ERRORS]
    lines += [["show", "nets.py"], ["datasets"], ["datasets", "k400"], ["list", "x3d"], ["rules", "conv3d"]]
    code = (
        "import sys\nfrom flopcount.cli import app\n"
        f"for words in {lines!r}:\n"
        "    try: app(words)\n"
        "    except SystemExit: pass\n"
        "    if {'torch', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules): sys.exit(str(words))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr[-500:]


def test_data_sets_with_their_networks(run):
    data = {row["name"]: row for row in json.loads(run("datasets", "--json").stdout)}
    assert {"kinetics400", "ssv2", "sintel_final"} <= set(data)
    assert (data["kinetics400"]["classes"], data["kinetics400"]["metric"]) == (400, "top-1")
    assert (data["kitti15"]["classes"], data["kitti15"]["networks"]) == (None, 3)
    found = candidates_on("ssv2")
    assert data["ssv2"]["networks"] == sum(any(not one.lacks for one in of) for of in found.values())
    assert all(row["networks"] or row["published_rows"] for row in data.values())
    table = run("datasets").stdout.splitlines()
    assert [line.split()[0] for line in table[4 : 4 + len(data)]] == list(data)


def test_one_data_set_however_it_is_written(run):
    assert (
        run("datasets", "Kinetics-400").stdout
        == run("datasets", "k400").stdout
        == run("datasets", "kinetics400").stdout
    )
    data = json.loads(run("datasets", "SSv2", "--json").stdout)
    scores = [row["top1_percent"] for row in data["accuracies"]]
    assert scores == sorted(scores, reverse=True) != []
    assert all(row["url"].startswith("https://") for row in data["accuracies"])


def test_errors_of_flow_begin_with_the_smallest(run):
    scores = [
        row["end_point_error_px"] for row in json.loads(run("datasets", "kitti15", "--json").stdout)["accuracies"]
    ]
    assert scores == sorted(scores)


def test_list_with_a_word(run):
    def names(*words):
        return [line.partition(",")[0] for line in run("list", *words, "--format", "csv").stdout.splitlines()[1:]]

    assert names("X3D") == [name for name in CARDS if name.startswith("x3d")]
    assert set(names("2024")) == {card.name for card in CARDS.values() if card.year == 2024}
    assert names("--family", "3d-cnn") == [card.name for card in CARDS.values() if card.family == "3D CNN"]
    assert names("qwen2.5", "--task", "language") == ["qwen2.5-vl-3b", "qwen2.5-vl-7b", "qwen2.5-vl-72b"]
    assert set(names("v-jepa", "--task", "recognition")) > {"v-jepa2-vit-l"}
    assert [row["name"] for row in json.loads(run("list", "x3d", "--json").stdout)["networks"]] == names("x3d")


def test_rules_with_a_word(run):
    shown = run("rules", "conv3d").stdout
    assert shown.startswith("aten.convolution\n")
    assert RULES["aten.conv3d"].source.partition(" ")[0] in shown
    assert "convolution in flopcount.rules.conv" in shown
    assert run("rules", "pool").stdout.count("pool ") >= 10
    assert run("rules", "conv3d", "--format", "csv").stdout.startswith(
        "operator,kind,counts,source\naten.convolution (+5),conv,"
    )
