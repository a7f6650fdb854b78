"""`flopcount devices`: what it prints is what the facts hold, and names stay whole."""

import csv
import io
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from flopcount.cli import app
from flopcount.facts import PEAK_DTYPES, devices, find_device, price_of


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    runner = CliRunner()
    return lambda *words: runner.invoke(app, ("devices", *words), catch_exceptions=False)


def listed(text):
    """The line of each device, by the name that it begins with."""
    lines = text.partition("─\n")[2].partition("\n\n")[0].splitlines()
    return {line.split()[0]: line for line in lines}


def test_every_name_is_whole_in_80_columns(run):
    result = run()
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert list(listed(result.stdout)) == [device.name for device in devices()]
    assert "mi250x and mi250: the numbers are of both GCDs" in result.stdout


def test_the_list_says_what_each_can_be_used_for(run):
    lines = listed(run().stdout)
    for device in devices():
        line = lines[device.name]
        assert line.endswith("yes") == device.energy
        assert line.endswith("no TDP") != device.energy
        if device.time_dtypes:
            assert f" {' '.join(device.time_dtypes)} " in line
        else:
            assert "unknown bandwidth" in line or "unknown peaks" in line


def test_a_wide_terminal_has_the_numbers(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (line,) = [line for line in run("--kind", "gpu").stdout.splitlines() if line.startswith("rtx-4090")]
    assert "165 TFLOP/s" in line
    assert "1.01 TB/s" in line
    assert "450 W" in line


def test_kind(run):
    rows = json.loads(run("--kind", "tpu", "--format", "json").stdout)
    assert [row["name"] for row in rows] == [device.name for device in devices() if device.kind == "tpu"]
    result = run("--kind", "gp")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: no kind of device named 'gp'\n  near    gpu\n")


def test_csv_has_exact_numbers_and_says_what_is_unknown(run):
    rows = {row["device"]: row for row in csv.DictReader(io.StringIO(run("--format", "csv").stdout))}
    assert len(rows) == 72
    for device in devices():
        for column, value in {
            "memory": device.memory,
            "bandwidth": device.bandwidth,
            "TDP": device.tdp,
            **{dtype: device.peak(dtype) for dtype in PEAK_DTYPES},
        }.items():
            shown = rows[device.name][column]
            assert shown == "unknown" if value is None else float(shown) == value
        assert rows[device.name]["source"] == device.source
        assert rows[device.name]["notes"] == device.remarks
    (one,) = csv.DictReader(io.StringIO(run("rtx-4090", "--format", "csv").stdout))
    assert one == rows["rtx-4090"]


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_other_formats(run, form):
    assert "jetson-orin-nano-super-8gb" in run("--format", form).stdout


def test_json_of_one_device(run):
    data = json.loads(run("MI250X", "--format", "json").stdout)
    assert data["torch_devices"] == 2
    assert data["peak_flop_per_s"]["fp8"] is None
    assert data["peak_flop_per_s"]["fp16"] == 383 * 10**12
    assert data["price"] is None
    price = json.loads(run("h100-sxm", "--format", "json").stdout)["price"]
    assert price["per_hour"] == price_of("h100-sxm").amount_per_hour
    assert all(price[key] for key in ("currency", "region", "date", "source"))


@pytest.mark.parametrize("name", ["rtx-4090", "mi250x", "core-i9-10940x", "h100-sxm", "tpu-v2"])
def test_one_device_shows_its_source_and_notes(run, name):
    device = find_device(name)
    result = run(name)
    assert max(map(len, result.stdout.splitlines())) <= 80
    shown = "".join(result.stdout.split())
    assert "".join(device.source.split()) in shown
    assert "".join(device.notes.split()) in shown
    if name == "mi250x":
        assert "2; one of them is 1/2 of every number here" in result.stdout
    if name == "tpu-v2":
        assert "unknown; give your own" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a100"], "error: device 'a100' does not say which variant it is\n  known   a100-40gb-sxm, "),
        (["rtx-490"], "error: no device named 'rtx-490'\n  near    rtx-4090, "),
        (["t4", "--kind", "gpu"], "error: --kind gpu is for the list, and 't4' is one device\n"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(run, words, message):
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)


def test_help_has_examples(run):
    assert "flopcount devices rtx-4090" in run("--help").stdout


def test_answers_without_importing_torch():
    code = (
        "import sys\nfrom flopcount.cli import app\n"
        "for words in (['devices'], ['devices', 't4']):\n"
        "    try: app(words)\n"
        "    except SystemExit: pass\n"
        "import flopcount.hardware\n"
        "assert not {'torch', 'pandas', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
