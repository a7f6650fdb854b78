from pathlib import Path

import pytest
import torch
from torch import nn

from flopcount import InputError, TensorSpec, TraceError, UncostedError, Views, count_flops, count_model, create_model


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.video = nn.Conv3d(3, 4, 1)
        self.text = nn.Embedding(10, 4)

    def forward(self, video, tokens=None):
        out = self.video(video).mean((2, 3, 4))
        return out if tokens is None else out + self.text(tokens).mean(1)


VIDEO = (2, 3, 4, 5, 5)
MACS = 2 * 4 * 4 * 5 * 5 * 3


@pytest.mark.parametrize(
    "given",
    [
        VIDEO,
        list(VIDEO),
        torch.Size(VIDEO),
        torch.zeros(VIDEO),
        torch.empty(VIDEO, device="meta"),
        TensorSpec(VIDEO),
        (VIDEO,),
        {"video": VIDEO},
        (VIDEO, TensorSpec((2, 6), torch.int64)),
        {"video": torch.zeros(VIDEO), "tokens": torch.zeros(2, 6, dtype=torch.int64)},
        {"video": VIDEO, "tokens": TensorSpec((2, 6), "int64")},
    ],
    ids=str,
)
def test_every_way_to_give_an_input(given):
    report = count_flops(Two(), given)
    assert report.macs == MACS
    assert report.input.batch == 2
    assert report.input.shapes[0] == VIDEO


def test_a_list_is_one_argument():
    class Pathways(nn.Module):
        def __init__(self):
            super().__init__()
            self.slow, self.fast = nn.Conv3d(3, 8, 1), nn.Conv3d(3, 2, 1)

        def forward(self, clips):
            slow, fast = clips
            return self.slow(slow), self.fast(fast)

    report = count_flops(Pathways(), [(1, 3, 2, 4, 4), (1, 3, 8, 4, 4)])
    assert report.macs == 8 * 2 * 16 * 3 + 2 * 8 * 16 * 3
    assert report.input.shapes == ((1, 3, 2, 4, 4), (1, 3, 8, 4, 4))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("video", "input is 'video', not a tensor or a shape"),
        (None, "input is None"),
        ((1, -3, 4), "input has a negative size"),
        ({5: (1, 3)}, "a keyword argument is named 5, which is no text"),
    ],
)
def test_bad_inputs_say_what_and_where(given, message):
    with pytest.raises(InputError, match=message):
        count_flops(Two(), given)


def test_what_is_no_module():
    with pytest.raises(InputError, match="takes a module or a callable, not a Tensor"):
        count_flops(torch.ones(2), (1,))


def test_batch_and_views_multiply():
    one = count_flops(Two(), (1, *VIDEO[1:]))
    report = count_flops(Two(), VIDEO, views="10x3")
    assert report.per_sample == one.total.only(["macs", "other_flops"])
    assert report.per_video == one.per_sample * 30
    assert report.per_video.flops == 2 * report.per_video.macs
    assert report.views == Views(10, 3)


def test_batch_that_is_not_the_first_size():
    class TimeFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(4, 5)

        def forward(self, x):
            return self.rnn(x)

    report = count_flops(TimeFirst(), (7, 2, 4), batch=2)
    assert report.per_sample.macs == 7 * (4 * 5 * 4 + 4 * 5 * 5)


def test_clip_is_read_from_the_input():
    assert str(count_flops(Two(), VIDEO).input.clip) == "4×5×5"
    channels_third = nn.Sequential(nn.Flatten(0, 1), nn.Conv2d(3, 1, 1))
    assert str(count_flops(channels_third, (1, 16, 3, 8, 8)).input.clip) == "16×8×8"
    assert count_flops(nn.Conv2d(3, 1, 1), (1, 3, 8, 8)).input.clip is None


def test_strict_names_the_operator_its_place_and_the_fix():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.linalg.svd(x)

    lenient = count_flops(nn.Sequential(Odd()), (1, 4, 4))
    (row,) = lenient.uncosted
    assert (row.calls, row.modules, row.elements) == (1, ("0",), 16 + 16 + 4 + 16)
    assert lenient.macs == lenient.other_flops == 0
    with pytest.raises(UncostedError) as raised:
        count_flops(nn.Sequential(Odd()), (1, 4, 4), strict=True)
    assert str(raised.value) == (
        f"no cost rule for {row.op} (1 call)\n"
        f"  in      0, first of 1: {lenient.ops[0].op.signature}\n"
        f'  fix     add @rule("{row.op}") or count without strict to list it as uncosted'
    )


def test_the_dtype_of_a_shape_is_the_modules():
    report = count_flops(Two().bfloat16(), VIDEO)
    assert report.input.dtype == "bfloat16"
    assert 2 * report.bytes_written == count_flops(Two(), VIDEO).bytes_written


def test_zero_and_negative_protocols():
    for argument in ({"stride": 0}, {"fps": 0}, {"batch": 0}):
        with pytest.raises(InputError, match=f"{next(iter(argument))} is 0"):
            count_flops(Two(), VIDEO, **argument)
    with pytest.raises(InputError, match="at least 1x1"):
        count_flops(Two(), VIDEO, views=0)


def test_a_model_by_name_equals_the_model_built_by_hand():
    by_name = count_model("c3d", num_classes=10)
    by_hand = count_flops(create_model("c3d", num_classes=10).eval(), (1, 3, 16, 112, 112))
    assert by_name.to_json() == by_hand.to_json()


def test_a_model_that_needs_weights_is_built_with_them(tmp_path):
    (tmp_path / "needs.py").write_text(
        "import torch\n"
        "class Needs(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = torch.nn.Linear(3, 4)\n"
        "    def forward(self, x):\n"
        "        return x[self.fc(x).sum(1) > -1e9]\n"
    )
    report = count_model(f"{tmp_path}/needs.py:Needs", inputs=[("x", TensorSpec((5, 3)))])
    assert report.engine == "real"
    assert report.macs == 5 * 3 * 4
    assert report.module("").output_shapes == ((5, 3),)


def test_an_attribute_that_happens_to_be_called_recipe_is_the_modules_own():
    module = nn.Linear(2, 2)
    module.recipe = "flour, water, salt"
    assert count_flops(module, (1, 2)).model == "Linear"


class Chooses(nn.Module):
    """Reads its weights."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 32), nn.Linear(64, 48)

    def forward(self, x):
        return (self.a if self.a.weight.sum().item() > 0 else self.b)(x)


def test_weights_that_would_not_fit_are_not_built(monkeypatch):
    name = f"{Path(__file__).stem}:Chooses"
    inputs = [("x", TensorSpec((2, 64)))]
    assert count_model(name, inputs=inputs).macs in (2 * 64 * 32, 2 * 64 * 48)  # built for real
    monkeypatch.setattr("flopcount.tracing.building.free_memory", lambda: 5 * 4096)
    with pytest.raises(TraceError, match=r"20\.8 kB do not fit into memory\n(.*\n)*  seen    20\.5 kB are free"):
        count_model(name, inputs=inputs)


DECIDES = """
import torch
from torch import nn

class Decides(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 5)

    def forward(self, x):
        for _ in range(1 + int(self.first.weight.sum().item() * 1e6) % 97):
            y = self.first(x)
        return self.second(y)
"""


def test_a_model_that_needs_its_weights_has_the_same_ones_every_time(tmp_path):
    (tmp_path / "net.py").write_text(DECIDES)
    name = f"{tmp_path / 'net.py'}:Decides"
    given = [("", TensorSpec((2, 3)))]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = count_model(name, inputs=given)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert first.engine == "real"
    assert first.macs == count_model(name, inputs=given).macs
    assert (first.macs - 2 * 4 * 5) % (2 * 3 * 4) == 0


def test_a_model_too_large_to_be_made_is_told_so(tmp_path):
    (tmp_path / "net.py").write_text(DECIDES)
    with pytest.raises(TraceError, match="seen    41 parameters, more than the limit of 40"):
        count_model(f"{tmp_path / 'net.py'}:Decides", inputs=[("", TensorSpec((2, 3)))], max_params=40)
