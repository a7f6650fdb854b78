"""thop, torchinfo, ptflops and calflops, run for real: every cause has a small module and its amount written out."""

import copy
import logging
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import torch
from modules import Apply
from torch import nn
from torch.nn import functional as F
from typer.testing import CliRunner
from zoo import every, undrawn

from flopcount import InputError, UnknownNameError, Work, check
from flopcount.cli import app
from flopcount.core.model_spec import ModelSpec
from flopcount.core.registries import DEFAULT_TOOLS, TOOLS
from flopcount.crosscheck import check_model, peers
from flopcount.crosscheck.tools import find_peer
from flopcount.rules import registry

PEERS = ("thop", "torchinfo", "ptflops", "calflops")


def needed(tool):
    """Skips a test whose tool is missing, except where all libraries are promised."""
    if find_spec(tool) is None:
        if os.environ.get("FLOPCOUNT_ALL_LIBRARIES") == "1":
            pytest.fail(f"{tool} is missing, and FLOPCOUNT_ALL_LIBRARIES promises it")
        pytest.skip(f"{tool} is not installed")


@pytest.fixture(params=PEERS)
def peer(request):
    needed(request.param)
    return request.param


def causes(tool, module, shape):
    needed(tool)
    result = check(module, shape, against=tool)
    assert result.agrees, str(result.table())
    return {(cause.op, str(cause.why)): cause.amount for row in result.rows for cause in row.causes}


class Subclassed(nn.Conv2d):
    pass


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))

    def forward(self, x):
        return F.conv2d(x, self.weight)


class Shared(nn.Module):
    """One layer under two parents, called twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4, bias=False)
        self.second = nn.Sequential(self.first)

    def forward(self, x):
        return self.second(self.first(x))


def tied():
    layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    layers[1].weight = layers[0].weight
    return layers


def attention(**options):
    return Apply(lambda x, part: part(x, x, x, **options)[0], nn.MultiheadAttention(8, 2, batch_first=True)).eval()


def first_of(layer):
    return Apply(lambda x, part: part(x)[0], layer)


def test_a_plain_convolution_is_equal_in_every_tool(peer):
    result = check(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False)), (1, 3, 6, 6), against=peer)
    macs = 4 * 16 * 3 * 9
    assert [(row.path, row.macs, row.counts, row.causes) for row in result.rows] == [("0", macs, {peer: macs}, ())]
    assert result.peers[0].printed == macs
    assert result.agrees


SMALL = {
    "attention": (lambda: attention(need_weights=False), (2, 5, 8)),
    "attention with weights": (attention, (2, 5, 8)),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), (2, 5, 8)),
    "lstm": (lambda: first_of(nn.LSTM(4, 5, num_layers=2, bidirectional=True)), (6, 2, 4)),
    "gru": (lambda: first_of(nn.GRU(4, 5, batch_first=True, bias=False)), (6, 2, 4)),
    "lstm cell": (lambda: first_of(nn.LSTMCell(4, 5)), (3, 4)),
    "functional": (Functional, (1, 3, 6, 6)),
    "subclass": (lambda: nn.Sequential(Subclassed(3, 4, 3)), (2, 3, 6, 6)),
    "shared": (Shared, (2, 3, 4)),
    "tied": (tied, (2, 4)),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2)), (2, 4, 5, 5)),
    "same": (lambda: nn.Sequential(nn.Conv2d(4, 6, (3, 5), padding="same", dilation=2)), (2, 4, 9, 9)),
    "training": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train(), (2, 3, 6, 6)),
    "resized": (
        lambda: nn.Sequential(nn.Conv2d(3, 2, 1), nn.Upsample(scale_factor=2), nn.Upsample((9, 9), mode="bilinear")),
        (2, 3, 6, 6),
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_modules_are_explained_in_every_tool(peer, name):
    build, shape = SMALL[name]
    result = check(build(), shape, against=peer)
    assert result.agrees, str(result.table())
    (count,) = result.peers
    assert sum(row.counts[peer] for row in result.rows) == count.printed
    assert count.printed - result.report.macs == sum(cause.amount for row in result.rows for cause in row.causes)


ZOO = {
    "c3d": "16x16x16",
    "r3d_18": "4x32x32",
    "slowfast_r50_4x16": "32x32x32",
    "single_frame": "1x64x64",
    "cnn_lstm": "4x64x64",
    "tsn_r50": "3x32x32",
}


@pytest.mark.parametrize("name", every(ZOO))
def test_the_zoo_is_explained_in_every_tool(peer, name):
    with undrawn():
        result = check_model(ModelSpec.of(name, clip=ZOO[name], num_classes=5), against=peer)
    assert result.agrees, str(result.table())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timesformer_b", "vivit_b_16x2"])
def test_video_transformers_are_explained_in_every_tool(peer, name):
    needed("transformers")
    with undrawn():
        result = check_model(ModelSpec.of(name, clip="4x32x32", num_classes=5), against=peer)
    assert result.agrees, str(result.table())


# What each tool's formulas add or leave out, by hand

ELEMENTS = 2 * 4 * 6 * 6


@pytest.mark.parametrize(
    ("layer", "why", "amount"),
    [
        (nn.BatchNorm2d(4), "adds 4 per element", 4 * ELEMENTS),
        (nn.LayerNorm(6, elementwise_affine=False), "adds 2 per element", 2 * ELEMENTS),
        (nn.PReLU(), "adds 1 per element", ELEMENTS),
        (nn.Softmax(-1), "adds 3 per element, less 1 per row", 2 * 4 * 6 * (6 + 5 + 6)),
        (nn.AvgPool2d(2), "adds 1 per output element", 2 * 4 * 3 * 3),
        (nn.AdaptiveAvgPool2d(2), "adds the size of the window plus 1 per output element", 2 * 4 * 2 * 2 * (3 * 3 + 1)),
        (nn.Upsample(scale_factor=2, mode="bicubic"), "adds 259 per output element", 259 * 4 * ELEMENTS),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_thop_adds_to_layers_without_products(layer, why, amount):
    module = nn.Sequential(layer).eval()
    assert causes("thop", module, (2, 4, 6, 6)) == {(type(layer).__name__, why): amount}


def test_thop_on_convolutions():
    transposed = nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2))
    claimed, true = 2 * 6 * 11 * 11 * 2 * 9, 2 * 4 * 5 * 5 * 3 * 9
    key = "ConvTranspose2d", "counts a transposed convolution per output position"
    assert causes("thop", transposed, (2, 4, 5, 5)) == {key: claimed - true}
    unbatched = causes("thop", nn.Sequential(nn.Conv2d(4, 6, 3)), (4, 5, 5))
    assert unbatched == {("Conv2d", "treats the second axis as channels"): 6 * 9 * 9 * (5 - 4)}


def test_thop_on_recurrence():
    rows = 6 * 2
    found = causes("thop", first_of(nn.LSTM(4, 5)), (6, 2, 4))
    assert found == {("LSTM", "adds 8 per hidden unit"): rows * 8 * 5, ("LSTM", "adds the bias"): rows * 8 * 5}
    cell = causes("thop", nn.Sequential(nn.GRUCell(4, 5, bias=False)), (3, 4))
    assert cell == {("GRUCell", "adds 7 per hidden unit"): 3 * 7 * 5}


def test_thop_fills_packed_sequences_up():
    def pack(x, part):
        return part(nn.utils.rnn.pack_padded_sequence(x, [4, 2], batch_first=True))[0].data

    found = causes("thop", Apply(pack, nn.LSTM(4, 5, bias=False)), (2, 4, 4))
    why = "assumes plain layers and sequences of full length"
    assert found == {
        ("LSTM", why): (2 * 4 - (4 + 2)) * (4 * 20 + 5 * 20),
        ("LSTM", "adds 8 per hidden unit"): 2 * 4 * 8 * 5,
    }


def test_thop_sees_registered_types_alone():
    macs = 4 * 16 * 3 * 9
    subclass = causes("thop", nn.Sequential(Subclassed(3, 4, 3)), (1, 3, 6, 6))
    assert subclass == {("aten.convolution", "does not recognise Subclassed, a subclass of Conv2d"): -macs}
    functional = causes("thop", Functional(), (1, 3, 6, 6))
    assert functional == {("aten.convolution", "has no hook for Functional"): -macs}


def test_thop_multiplies_shared_modules():
    macs = 2 * (2 * 3 * 4 * 4)  # called twice, which is right,
    why = "hooks a module once for each of its 2 places, and adds the sum again for each place"
    assert causes("thop", Shared(), (2, 3, 4)) == {("Linear", why): (2 * 2 - 1) * macs}


def test_torchinfo_multiplies_parameters():
    linear = causes("torchinfo", nn.Sequential(nn.Linear(3, 4)), (2, 7, 3))
    weight = ("Linear", "multiplies weight by samples")
    assert linear == {weight: 3 * 4 * (2 - 2 * 7), ("Linear", "adds the bias"): 2 * 4}
    norm = causes("torchinfo", nn.Sequential(nn.BatchNorm2d(4)).eval(), (2, 4, 6, 6))
    assert norm == {("BatchNorm2d", "adds weight × samples"): 2 * 4, ("BatchNorm2d", "adds the bias"): 2 * 4}
    cell = causes("torchinfo", nn.Sequential(nn.GRUCell(4, 5, bias=False)), (3, 4))
    assert cell == {
        ("GRUCell", "multiplies weight_ih by the first two output sizes"): 3 * 5 * 4 * (3 * 5 - 3),
        ("GRUCell", "multiplies weight_hh by the first two output sizes"): 3 * 5 * 5 * (3 * 5 - 3),
    }
    convolution = causes("torchinfo", nn.Sequential(nn.Conv2d(3, 4, 3)), (2, 3, 6, 6))
    assert convolution == {("Conv2d", "adds the bias"): 2 * 16 * 4}


def test_torchinfo_counts_leaves_alone():
    found = causes("torchinfo", attention(need_weights=False), (2, 5, 8))
    why = "counts only modules without children, not MultiheadAttention's own code"
    projections, scores = 2 * 5 * 8 * 8, 2 * 2 * 5 * 5 * (4 + 4)
    assert found == {("aten.linear", why): -4 * projections, ("aten.scaled_dot_product_attention", why): -scores}


def test_ptflops_is_per_sample_and_counts_functions_on_top():
    found = causes("ptflops", nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (2, 3, 6, 6))
    macs, elements = 2 * 4 * 16 * 3 * 9, 2 * 4 * 16
    assert found == {
        ("Conv2d", "adds the bias"): elements,
        ("ReLU", "adds 1 per element"): elements,
        ("F.relu", "adds 1 per input element"): elements,  # which ReLU calls, and which is not divided
        ("Sequential", "divides what modules count by the length of the first argument, 2"): -(macs + 2 * elements)
        // 2,
    }


def test_ptflops_on_products_of_functions():
    found = causes("ptflops", Apply(lambda x: torch.matmul(x, x) @ x), (1, 4, 4))
    why = "has no hook for Apply, and patches no function that the module calls here"
    assert found == {("aten.matmul", why): -4 * 4 * 4}
    summand = causes("ptflops", Apply(lambda x: torch.addmm(x, x, x)), (3, 3))
    assert summand == {("torch.addmm", "adds 1 per element of the summand"): 3 * 3}
    several = check(Apply(torch.addmm), ((3, 5), (3, 4), (4, 5)), against="ptflops")
    assert "one positional argument or named ones" in several.peers[0].failure


def test_ptflops_counts_the_products_of_attention_twice():
    found = causes("ptflops", attention(), (1, 5, 8))
    assert found["torch.bmm", "counts the same products a second time"] == 2 * 2 * 5 * 5 * 4
    assert found["MultiheadAttention", "adds 1 per score"] == 2 * 5 * 5
    assert found["MultiheadAttention", "adds the bias"] == 3 * 5 * 8 + 5 * 8


def test_ptflops_adds_shared_modules_once_per_place():
    found = causes("ptflops", Shared(), (1, 3, 4))
    why = "adds a shared module once for each of its 2 places"
    assert found == {("Linear", why): 2 * 3 * 4 * 4}


class Attention(nn.Module):
    """As timm's, which ptflops knows by its type."""

    def __init__(self):
        super().__init__()
        self.num_heads, self.head_dim = 2, 4
        self.qkv = nn.Linear(8, 24, bias=False)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, self.head_dim)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def test_ptflops_adds_nothing_below_a_hooked_module(monkeypatch):
    needed("ptflops")
    check(nn.Sequential(nn.Linear(3, 4)), (2, 3), against="ptflops")  # imports it without its warnings
    from ptflops import pytorch_ops

    monkeypatch.setitem(pytorch_ops.MODULES_MAPPING, Attention, pytorch_ops.timm_attention_counter_hook)
    assert causes("ptflops", nn.Sequential(Attention()), (1, 5, 8)) == {
        ("Attention", "adds the scaling"): 5 * 4 * 2,
        ("Attention", "adds 1 per score"): 2 * 5 * 5,
        ("Linear", "adds nothing below a hooked module"): -5 * 8 * 24,
    }


def test_calflops_gives_macs_to_some_functions():
    lstm = causes("calflops", first_of(nn.LSTM(4, 5)), (6, 2, 4))
    assert lstm == {("aten.lstm", "gives LSTM FLOPs and no MACs"): -6 * 2 * (4 * 20 + 5 * 20)}
    layer = nn.Linear(3, 4, bias=False)
    contracted = Apply(lambda x, part: torch.einsum("bi,ij->bj", part(x), torch.ones(4, 5)), layer)
    (found,) = causes("calflops", contracted, (2, 3)).items()
    assert found[0][1] == "gives torch.einsum FLOPs and no MACs"
    assert found[1] == -2 * 4 * 5
    transposed = nn.Sequential(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2))
    true = 2 * 4 * 5 * 5 * 3 * 9
    key = "F.conv_transpose2d", "divides by the groups twice"
    assert causes("calflops", transposed, (2, 4, 5, 5)) == {key: true // 3 - true}  # 3 output channels // 2 groups


def test_calflops_loses_a_position_of_odd_same_padding():
    with pytest.warns(UserWarning, match="even kernel"):
        found = causes("calflops", nn.Sequential(nn.Conv1d(4, 6, 4, padding="same")), (2, 4, 9))
    why = "loses a position of padding='same' where the padding is odd"
    assert found == {("F.conv1d", why): -2 * 6 * 4 * 4}


# Trust: nothing hidden, nothing left behind


@pytest.mark.parametrize("surplus", [1, -7])
def test_a_wrong_count_of_ours_is_left_over(monkeypatch, peer, surplus):
    true = registry._RULES["aten.conv2d"]

    def wrong(signature):
        work = true.formula(signature)
        return Work(macs=work.macs + surplus)

    monkeypatch.setitem(registry._RULES, "aten.conv2d", replace(true, formula=wrong))
    result = check(nn.Sequential(nn.Conv2d(3, 4, 3)), (1, 3, 6, 6), against=peer)
    assert not result.agrees
    assert [row.unexplained(peer) for row in result.rows] == [-surplus]
    sign = "−" if surplus > 0 else "+"
    assert f"unexplained: {peer} {sign}{abs(surplus)} MACs in 0" in result.table().notes


def test_a_formula_of_theirs_that_we_do_not_know_is_left_over(monkeypatch):
    needed("thop")
    check(nn.Sequential(nn.Linear(3, 4)), (2, 3), against="thop")  # imports it without its warnings
    from thop.profile import register_hooks

    def odd(module, inputs, output):
        module.total_ops += 13

    monkeypatch.setitem(register_hooks, nn.Linear, odd)
    result = check(nn.Sequential(nn.Linear(3, 4)), (2, 3), against="thop")
    assert [row.unexplained("thop") for row in result.rows] == [13 - 2 * 3 * 4]


class Raising(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.armed = False

    def forward(self, x):
        x = F.relu(self.layer(x))
        if not x.is_meta and self.armed:
            raise ValueError("not on real tensors")
        return torch.matmul(x, x)


def state(module):
    parts = [(name, part.training, sorted(part.__dict__), len(part._forward_hooks), len(part._forward_pre_hooks))
             for name, part in module.named_modules()]  # fmt: skip
    return parts, sorted(module.state_dict()), list(logging.root.handlers), logging.root.manager.disable


@pytest.mark.parametrize("armed", [False, True])
def test_nothing_is_left_behind_and_nothing_printed(peer, armed, capsys):
    module = Raising().train()
    module.armed = armed
    module.layer.custom = [1, 2]
    before, weights = state(module), copy.deepcopy(module.state_dict())
    patched = [dict(vars(owner)) for owner in (F, torch, torch.Tensor)]
    result = check(module, (3, 3), against=peer)
    assert state(module) == before
    assert all(torch.equal(weights[name], value) for name, value in module.state_dict().items())
    for owner, names in zip((F, torch, torch.Tensor), patched, strict=True):
        changed = {name for name, value in vars(owner).items() if names.get(name) is not value}
        assert not changed, f"{owner} has {changed}"
    assert capsys.readouterr() == ("", "")
    assert (result.peers[0].failure is not None) == armed
    if armed:
        assert "not on real tensors" in result.peers[0].failure
        assert not result.agrees
        assert f"{peer} failed: {result.peers[0].failure}" in result.table().notes


def test_parts_of_torch_that_load_meanwhile_stay():
    needed("thop")
    loaded, name = ModuleType("torch._late"), "_late"

    class Loading(nn.Linear):
        def forward(self, x):
            setattr(torch, name, loaded)
            return super().forward(x)

    try:
        check(nn.Sequential(Loading(3, 4)), (2, 3), against="thop")
        assert getattr(torch, name) is loaded
    finally:
        delattr(torch, name)


def test_a_second_check_gives_the_same(peer):
    module = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    first, second = (check(module, (2, 5, 8), against=peer) for _ in range(2))
    assert (first.rows, first.peers) == (second.rows, second.peers)


def test_after_a_failure_the_next_count_is_right(peer):
    broken = Raising()
    broken.armed = True
    assert check(broken, (3, 3), against=peer).peers[0].failure
    test_a_plain_convolution_is_equal_in_every_tool(peer)


# Names


def test_every_tool_has_a_file_that_offers_it():
    files = {path.stem for path in Path(peers.__file__).parent.iterdir()}
    assert files - {"__init__", "__pycache__"} == set(TOOLS) > set(DEFAULT_TOOLS)
    assert [find_peer(name).name for name in TOOLS] == list(TOOLS)


def test_the_extra_installs_what_the_tools_need():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    installations = {name: find_peer(name).installation for name in TOOLS}
    needed = {text for each in installations.values() if each is not None for text in each.requirements}
    assert set(project["optional-dependencies"]["peers"]) == needed
    always = {re.split(r"[^\w-]", text)[0] for text in project["dependencies"]}
    assert set(DEFAULT_TOOLS) <= {name for name, each in installations.items() if each is None} <= always


def test_help_names_every_tool():
    text = " ".join(CliRunner().invoke(app, ["check", "--help"]).stdout.split())
    assert f"--against {','.join(TOOLS)}" in text
    assert "default: fvcore,torch" in text


def test_our_files_import_no_tool():
    code = (
        "import sys; from importlib import import_module; from flopcount.core.registries import TOOLS\n"
        "for name in TOOLS: import_module(f'flopcount.crosscheck.peers.{name}')\n"
        "assert set(TOOLS) & set(sys.modules) == {'torch'}, set(TOOLS) & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tools_by_name(monkeypatch):
    module = nn.Sequential(nn.Linear(3, 4))
    with pytest.raises(UnknownNameError, match=r"no tool named 'thopp'(.|\n)*near +thop"):
        check(module, (2, 3), against="fvcore,thopp")
    with pytest.raises(InputError, match="no tool to check against"):
        check(module, (2, 3), against=[])
    monkeypatch.setattr("flopcount.crosscheck.peer.find_spec", lambda name: None)
    fix = r"pip install calflops transformers, or pip install -e '\.\[peers\]' in a checkout of flopcount, or check"
    with pytest.raises(InputError, match=rf"calflops is not installed\n  fix     {fix}"):
        check(module, (2, 3), against=("calflops",))


def test_tools_are_asked_in_the_order_given():
    result = check(nn.Sequential(nn.Linear(3, 4)), (2, 3), against="torch, fvcore,torch")
    assert [peer.tool for peer in result.peers] == ["torch", "fvcore"]
    assert [column.name for column in result.table().columns] == ["layer", "ours", "torch", "fvcore", "verdict"]
    assert "torch: prints 48 FLOPs, 2 per MAC: 1.0000 × ours" in result.table().notes
