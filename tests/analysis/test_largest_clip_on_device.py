"""The largest clips within a time: against every clip counted one by one, and what is said where none fits."""

from fractions import Fraction
from itertools import pairwise
from math import ceil

import pytest
from typer.testing import CliRunner

from flopcount import InputError, Views, closed_form_of, count_model
from flopcount.analysis.largest_clip import Allowance, largest_clips
from flopcount.analysis.largest_clip_on_device import largest_clips_on
from flopcount.cli import app
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Clip, Protocol
from flopcount.core.quantity import PICO
from flopcount.hardware.setting import Setting

FRAMES, SIZES = (4, 8, 16, 32), tuple(range(32, 257, 32))
NETS = """
import torch
from torch import nn

class Picky(nn.Module):
    def __init__(self, sides=96):
        super().__init__()
        self.sides = sides
        self.conv = nn.Conv3d(3, 8, 3, padding=1)

    def forward(self, x):
        if x.shape[-1] % self.sides:
            raise ValueError("odd sides")
        return self.conv(x)

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 8, 3, padding=1)

    def forward(self, x):
        return torch.linalg.svd(self.conv(x))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "sides.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)


def every(on="t4", quantity="time", batch=1):
    """The amount of one view at every clip."""
    return {
        (t, s): Fraction(count_model("toy_3d_cnn", clip=(t, s, s), batch=batch).cost(on).result.total[quantity], batch)
        for t in FRAMES
        for s in SIZES
    }


def by_hand(amounts, allowed):
    """Clips within an amount of which none other is as long and as large."""
    fitting = [clip for clip, amount in amounts.items() if amount <= allowed]
    best = [c for c in fitting if not any(o != c and o[0] >= c[0] and o[1] >= c[1] for o in fitting)]
    return sorted(best, reverse=True)


@pytest.mark.parametrize(("quantity", "unit", "batch", "views"), [
    ("time", "s", 1, Views(1, 1)), ("time", "s", 4, Views(2, 3)), ("energy", "J", 1, Views(1, 1)),
])  # fmt: skip
def test_as_if_every_clip_were_counted(quantity, unit, batch, views):
    amounts = every(quantity=quantity, batch=batch)
    assert all(amounts[t, s] < amounts[t, r] for t in FRAMES for s, r in pairwise(SIZES))
    levels = sorted(amounts.values())
    for allowed in (levels[0], levels[10], levels[20], levels[20] - Fraction(1, 2), levels[-1]):
        budget = Allowance(ceil(allowed * views.count), f"some {unit}", Allowance.parse(f"1{unit}").quantity)
        found = largest_clips_on(
            "toy_3d_cnn", budget, "t4", protocol=Protocol(views, batch=batch), frames=FRAMES, sizes=SIZES
        )
        assert [(clip.frames, clip.side) for clip in found.clips] == by_hand(
            amounts, Fraction(budget.amount, views.count)
        )
        assert [clip.amount for clip in found.clips] == [amounts[clip.frames, clip.side] for clip in found.clips]


def test_next_to_every_clip_a_larger_one_was_counted_and_each_once():
    counted = []
    found = largest_clips_on(
        "toy_3d_cnn", "1ms", "t4", frames=FRAMES, sizes=range(32, 513, 16), progress=counted.append
    )
    assert len(counted) == len(set(counted)) < 12 * len(FRAMES)
    for clip in found.clips:
        if clip.side < 512:
            assert f"{clip.frames}×{clip.side + 16}×{clip.side + 16}" in counted
    assert any(note.endswith(f"{len(counted)} were counted") for note in found.notes)


def test_a_clip_that_the_model_refuses_is_no_choice():
    spec = ModelSpec("sides.py:Picky", clip=Clip(4, 96, 96))
    found = largest_clips_on(spec, "1s", "t4", frames=(4,), sizes=range(32, 513, 16))
    assert [(clip.frames, clip.side) for clip in found.clips] == [(4, 480)]
    tight = Allowance(int(found.clips[0].amount) - 1, "less", found.budget.quantity)
    assert largest_clips_on(spec, tight, "t4", frames=(4,), sizes=range(32, 513, 16)).clips[0].side == 384
    with pytest.raises(InputError, match="takes no clip of 4 to 4 frames and sides of 32 to 64") as error:
        largest_clips_on(spec, "1s", "t4", frames=(4,), sizes=(32, 64))
    assert "odd sides" in str(error.value)


def test_the_table_and_its_notes():
    protocol = Protocol(Views(10, 3))
    found = largest_clips_on("toy_3d_cnn", "30ms", "t4", protocol=protocol, frames=FRAMES, sizes=SIZES)
    table = found.table()
    names = [column.name for column in table.columns]
    assert names == ["clip", "time per view", "low", "high", "time per video", "of budget"]
    cost = count_model("toy_3d_cnn", clip=(found.clips[0].frames,) + 2 * (found.clips[0].side,)).cost("t4")
    spans = [round(seconds * PICO) for seconds in (cost.estimate, cost.low, cost.high)]
    of_video = 30 * cost.result.total.time
    assert table.rows[0] == (str(found.clips[0]), *spans, of_video, (of_video, 30 * PICO // 1000))
    text = str(table)
    assert text.startswith("toy_3d_cnn within 30ms in 10×3 views on t4, fp32, eager, nchw")
    assert "basis: zero-shot" in text
    assert max(map(len, text.splitlines())) <= 80


def test_inputs_move_together():
    spec = ModelSpec.of("sides.py:Picky", inputs=["1x3x4x96x96"])
    found = largest_clips_on(spec, "1s", "t4", frames=(4, 8), sizes=(96, 192))
    assert [(clip.frames, clip.side) for clip in found.clips] == [(8, 192)]


def test_what_has_no_rule_is_named():
    spec = ModelSpec("sides.py:Odd", clip=Clip(4, 32, 32))
    notes = largest_clips_on(spec, "1s", "t4", frames=(4,), sizes=(32,)).notes
    assert notes[0].startswith("UNCOSTED aten._linalg_svd")


def test_nothing_fits():
    with pytest.raises(InputError, match="no clip of toy_3d_cnn fits 1us") as error:
        largest_clips_on("toy_3d_cnn", "1us", Setting.of("t4"), frames=FRAMES, sizes=SIZES)
    cost = count_model("toy_3d_cnn", clip=(4, 32, 32)).cost("t4")
    assert f"4×32×32 takes {cost.estimate * 1e6:.1f} µs on t4, fp32, eager, nchw" in str(error.value)


@pytest.mark.parametrize(
    ("text", "quantity", "amount"),
    [
        ("33ms", "time", 33 * PICO // 1000),
        ("0.5s", "time", PICO // 2),
        ("2J", "energy", 2 * PICO),
        ("1 GMACs", "macs", 10**9),
    ],
)
def test_allowances(text, quantity, amount):
    allowance = Allowance.parse(text)
    assert (allowance.quantity.name, allowance.amount, allowance.text) == (quantity, amount, text)


def test_what_is_refused():
    with pytest.raises(InputError, match="is of time, which has no closed form"):
        largest_clips(closed_form_of("toy_3d_cnn", "TS", rebuild=True), "33ms")
    with pytest.raises(InputError, match="is no time and no energy"):
        largest_clips_on("toy_3d_cnn", "1GMACs", "t4")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--budget 33ms", "--budget 33ms is of time, and no device is named"),
        ("--budget 5GMACs --on t4", "--budget 5GMACs is of the work"),
        ("--budget 33ms --on t4,l4", "--on names 2 devices"),
        ("--budget 33 --on t4", "budget '33' is not an amount of work"),
    ],
)
def test_what_the_command_refuses(words, message):
    result = CliRunner().invoke(app, ["fit", "toy_3d_cnn", *words.split()])
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_command():
    words = "fit toy_3d_cnn --budget 1ms --on t4 --dtype amp --frames 8,16 --size 64:128:32 --format csv"
    result = CliRunner().invoke(app, words.split(), catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "clip,time per view (s),low (s),high (s),of budget"
    assert result.stdout.splitlines()[1].startswith("16×128×128,")
