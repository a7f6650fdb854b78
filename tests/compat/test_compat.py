"""Units and result shapes are those of each tool, run for real where it is installed; every other number is named."""

import copy
import importlib.util
import inspect
import io
import sys
import warnings
from collections import Counter, defaultdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import flopcount.compat
from flopcount import InputError, count_flops
from flopcount.compat import FlopCountAnalysis, fvcore, mmengine, profile, ptflops, thop, torchinfo
from flopcount.crosscheck.peer import quiet
from flopcount.models.torchvision_operators import ready_torchvision


def tool(name):
    """The real one, whose import warns."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"needs {name} (extra: peers)")
    with quiet():
        ready_torchvision()  # which ptflops imports
        return importlib.import_module(f"{name}.nn" if name == "fvcore" else name)


def cnn(rank=2, bias=True):
    """Convolution, pooling and a classifier: what every tool counts, and nothing that they differ in."""
    conv, pool = (nn.Conv2d, nn.MaxPool2d) if rank == 2 else (nn.Conv3d, nn.MaxPool3d)
    return nn.Sequential(
        conv(3, 4, 3, padding=1, bias=bias),
        nn.Sequential(pool(2), conv(4, 6, 1, groups=2, bias=bias)),
        nn.Flatten(),
        nn.Linear(6 * 4**rank, 5, bias=bias),
    )


def cnn_macs(rank):
    return 4 * 8**rank * 3 * 3**rank + 6 * 4**rank * 2 + 6 * 4**rank * 5


def clip(rank, batch=1):
    return torch.randn(batch, 3, *[8] * rank)


class Attention(nn.Module):
    """Two functional matrix products and a fused attention: 2 heads of 4 on 6 tokens."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(8, 8, bias=False)

    def forward(self, x):
        q = x.view(1, 6, 2, 4).transpose(1, 2)
        return self.out(F.scaled_dot_product_attention(q, q, q).transpose(1, 2).reshape(1, 6, 8))


TOKENS = torch.randn(1, 6, 8)
FUSED = 2 * (6 * 6 * 4) * 2  # heads · (QKᵀ and PV)
OUT = 6 * 8 * 8


class Unknown(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4, bias=False)
        self.spare = nn.Linear(2, 2)

    def forward(self, x):
        return torch.linalg.svd(self.fc(x)).U


@pytest.fixture
def untouched():
    """A module is the same afterwards."""
    kept = []

    def keep(module):
        parts = list(module.modules())
        kept.append((module, parts, [dict(p.__dict__) for p in parts], copy.deepcopy(module.state_dict())))
        return module

    yield keep
    for module, parts, before, state in kept:
        assert list(module.modules()) == parts
        assert [dict(part.__dict__) for part in parts] == before
        after = module.state_dict()
        assert all(torch.equal(state[name], after[name]) for name in state)
        assert list(after) == list(state)


def test_names_of_one_import_line():
    offered = {*fvcore.__all__, *thop.__all__, *ptflops.__all__, *torchinfo.__all__}
    assert set(flopcount.compat.__all__) == offered
    for name in offered - {"get_model_complexity_info"}:  # which decides between ptflops and mmengine
        (home,) = (module for module in (fvcore, thop, ptflops, torchinfo) if name in module.__all__)
        assert getattr(flopcount.compat, name) is getattr(home, name)
    macs, params = flopcount.compat.get_model_complexity_info(cnn(), (3, 8, 8), print_per_layer_stat=False)
    assert (macs, params) == ("7.58 KMac", "615")
    by_mmengine = flopcount.compat.get_model_complexity_info(cnn(), input_shape=(3, 8, 8))
    assert by_mmengine["flops"] == cnn_macs(2) == 7584


def test_importing_them_imports_none_of_the_tools():
    before = set(sys.modules)
    tools = {"fvcore", "thop", "ptflops", "mmengine", "torchinfo"}
    code = f"import sys, flopcount.compat; assert not {tools} & set(sys.modules)"
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(sys.modules) == before


# fvcore


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("batch", [1, 2])
def test_fvcore_agrees_on_a_cnn_in_every_view(rank, batch, untouched):
    model, x = untouched(cnn(rank)), clip(rank, batch)
    real = tool("fvcore")
    theirs, ours = real.FlopCountAnalysis(cnn(rank), x), FlopCountAnalysis(model, x)
    theirs.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    assert ours.total() == theirs.total() == batch * cnn_macs(rank)
    assert type(ours.total()) is int
    assert ours.total("1") == theirs.total("1")
    assert ours.by_operator() == theirs.by_operator()
    assert ours.by_module() == theirs.by_module()
    assert ours.by_module_and_operator() == theirs.by_module_and_operator()
    for view in ("by_operator", "by_module", "by_module_and_operator", "unsupported_ops", "uncalled_modules"):
        assert type(getattr(ours, view)()) is type(getattr(theirs, view)()), view
    for printer in ("flop_count_table", "flop_count_str"):
        assert getattr(fvcore, printer)(ours) == getattr(real, printer)(theirs)
    acts = fvcore.ActivationCountAnalysis(model, x)
    assert acts.by_module() == real.ActivationCountAnalysis(cnn(rank), x).by_module()
    giga, unknown = fvcore.flop_count(model, (x,))
    assert giga == real.flop_count(cnn(rank), (x,))[0]
    assert (type(giga), type(unknown)) == (defaultdict, Counter)
    assert fvcore.activation_count(model, (x,))[0] == real.activation_count(cnn(rank), (x,))[0]


@pytest.mark.parametrize("name", ["FlopCountAnalysis", "ActivationCountAnalysis"])
def test_everything_public_of_fvcores_class_is_there(name):
    theirs, ours = getattr(tool("fvcore"), name), getattr(fvcore, name)
    public = [key for key in dir(theirs) if not key.startswith("_")]
    assert len(public) > 10
    for key in public:
        wanted = inspect.signature(getattr(theirs, key)).parameters
        assert list(inspect.signature(getattr(ours, key)).parameters) == list(wanted), key


def test_fvcore_lacks_fused_attention(untouched):
    theirs = tool("fvcore").FlopCountAnalysis(Attention(), TOKENS)
    ours = FlopCountAnalysis(untouched(Attention()), TOKENS)
    theirs.unsupported_ops_warnings(False)
    assert ours.by_operator() == {"linear": OUT, "scaled_dot_product_attention": FUSED}
    assert ours.total() - theirs.total() == FUSED
    assert theirs.unsupported_ops()["aten::scaled_dot_product_attention"] == 1
    assert ours.unsupported_ops() == {}


def test_fvcore_adds_normalisation():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    theirs = tool("fvcore").FlopCountAnalysis(model, clip(2))
    assert theirs.total() - FlopCountAnalysis(model, clip(2)).total() == 2 * 4 * 8 * 8  # 2 per element


def test_fvcore_tells_what_it_lacks(caplog):
    analysis = FlopCountAnalysis(Unknown(), torch.randn(3, 8))
    assert analysis.total() == 3 * 8 * 4
    assert analysis.unsupported_ops() == {"aten::_linalg_svd": 1}
    assert analysis.unsupported_ops("fc") == {}
    assert analysis.uncalled_modules() == {"spare"}
    assert "Unsupported operator aten::_linalg_svd encountered 1 time(s)" in caplog.messages
    assert "Modules never called: spare" in caplog.messages
    caplog.clear()
    silent = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).copy()
    assert silent.total() == 3 * 8 * 4
    assert not caplog.messages
    assert analysis.report.uncosted[0].op == "aten._linalg_svd"


def test_a_module_list_with_a_called_module_was_called():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)])

        def forward(self, x):
            return self.parts[0](x)

    theirs = tool("fvcore").FlopCountAnalysis(Listed(), torch.randn(1, 8)).uncalled_modules_warnings(False)
    ours = FlopCountAnalysis(Listed(), torch.randn(1, 8)).uncalled_modules_warnings(False)
    assert ours.uncalled_modules() == theirs.uncalled_modules() == {"parts.1"}


@pytest.mark.parametrize("rank", [2, 3])
def test_handles_written_for_fvcore_run_as_they_are(rank):
    with quiet():
        from fvcore.nn import jit_handles
    model, x = cnn(rank), clip(rank)
    analysis = FlopCountAnalysis(model, x)
    total = analysis.total()
    handles = {"aten::_convolution": jit_handles.conv_flop_jit, "aten::linear": jit_handles.linear_flop_jit}
    assert analysis.set_op_handle(**handles).total() == total
    pool = f"aten::max_pool{rank}d"
    assert analysis.set_op_handle(pool, jit_handles.elementwise_flop_counter(1, 0)).total() == total + 4 * 8**rank
    assert analysis.by_operator()[f"max_pool{rank}d"] == 4 * 8**rank
    assert analysis.copy().total() == total + 4 * 8**rank
    assert analysis.set_op_handle("aten::convolution", None).by_operator().keys() == {"linear", f"max_pool{rank}d"}
    assert analysis.clear_op_handles().total() == total


def test_handles_that_read_constants_and_lists():
    with quiet():
        from fvcore.nn import jit_handles
    norm = nn.Sequential(nn.BatchNorm2d(4), nn.LayerNorm(8)).eval()
    ours = FlopCountAnalysis(norm, (1, 4, 8, 8)).set_op_handle(
        "aten::batch_norm", jit_handles.batchnorm_flop_jit, "aten::layer_norm", jit_handles.norm_flop_counter(2)
    )
    assert ours.by_operator() == tool("fvcore").FlopCountAnalysis(norm, torch.randn(1, 4, 8, 8)).by_operator()

    class Joined(nn.Module):
        def forward(self, x):
            return torch.cat([x, x, x], dim=1)

    def joined(inputs, outputs):
        parts = inputs[0].node().inputs()
        assert [part.type().sizes() for part in parts] == [[1, 8]] * 3
        return Counter({"joined": outputs[0].type().dim() * inputs[1].toIValue()})

    assert FlopCountAnalysis(Joined(), (1, 8)).set_op_handle("aten::cat", joined).by_operator() == {"joined": 2}


def test_what_has_a_handle_is_not_unsupported():
    analysis = FlopCountAnalysis(Unknown(), (3, 8)).set_op_handle("aten::_linalg_svd", lambda inputs, outputs: 7)
    assert analysis.by_operator() == {"linear": 96, "_linalg_svd": 7}
    assert analysis.unsupported_ops() == {}
    assert analysis.set_op_handle("aten::_linalg_svd", None).unsupported_ops() == {}


def test_fvcore_errors():
    analysis = FlopCountAnalysis(cnn(), clip(2))
    with pytest.raises(KeyError, match="'conv9'"):
        analysis.total("conv9")
    with pytest.raises(TypeError, match="pairs"):
        analysis.set_op_handle("aten::linear")
    with pytest.raises(ValueError, match="Unrecognized"):
        analysis.tracer_warnings("loud")
    with pytest.raises(InputError, match="ancestor mode 'caller'"):
        analysis.ancestor_mode("caller")
    assert analysis.tracer_warnings("none").ancestor_mode("owner") is analysis


def test_a_shared_module_has_one_name():
    shared = nn.Linear(8, 8)
    analysis = FlopCountAnalysis(nn.Sequential(shared, nn.Sequential(shared)), (1, 8))
    assert analysis.canonical_module_name("1.0") == "0"
    assert analysis.total("1.0") == analysis.total() == 128


# thop


@pytest.mark.parametrize("rank", [2, 3])
def test_thop_agrees_on_a_cnn(rank, untouched, capsys):
    model, x = untouched(cnn(rank)), clip(rank, 2)
    with quiet():
        theirs = tool("thop").profile(cnn(rank), inputs=(x,), verbose=False, ret_layer_info=True)
    ours = profile(model, inputs=(x,), verbose=False, ret_layer_info=True)
    assert ours[:2] == theirs[:2] == (2.0 * cnn_macs(rank), sum(p.numel() for p in model.parameters()))
    assert [type(number) for number in ours[:2]] == [float, float]

    def costs(layers):
        return {name: (macs, params, costs(inner)) for name, (macs, params, inner) in layers.items()}

    assert costs(ours[2]) == costs(theirs[2])
    assert profile(model, (x,), verbose=False) == ours[:2]
    assert capsys.readouterr().out == ""
    profile(model, (x,))
    assert capsys.readouterr().out.startswith("[INFO] ")


def test_thop_signatures():
    real = tool("thop")
    for name in ("profile", "clever_format"):
        theirs = inspect.signature(getattr(real, name)).parameters
        ours = inspect.signature(getattr(thop, name)).parameters
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


def test_thop_lacks_functional_attention_and_adds_normalisation():
    real = tool("thop")
    with quiet():
        theirs = real.profile(Attention(), (TOKENS,), verbose=False)[0]
    assert profile(Attention(), (TOKENS,), verbose=False)[0] - theirs == FUSED
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    with quiet():
        theirs = real.profile(model, (clip(2),), verbose=False)[0]
    assert theirs - profile(model, (clip(2),), verbose=False)[0] == 4 * (4 * 8 * 8)  # 4 per element


def test_thop_puts_modes_back(untouched):
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))  # in training, one sample would raise
    model[0].eval()
    untouched(model)
    assert profile(model, ((1, 8),), verbose=False)[0] == 32.0
    assert [part.training for part in model.modules()] == [True, False, True]


def test_custom_ops_of_thop(untouched):
    def twice(m, x, y):
        m.total_ops += torch.DoubleTensor([2 * int(y.numel()) + x[0].shape[0]])

    model, x = untouched(cnn()), clip(2, 2)
    custom = {nn.MaxPool2d: twice, nn.Linear: twice}
    with quiet():
        theirs = tool("thop").profile(cnn(), (x,), custom_ops=custom, verbose=False)
    assert profile(model, (x,), custom_ops=custom, verbose=False) == theirs


def test_what_has_no_rule_is_a_warning():
    with pytest.warns(UserWarning, match=r"profile: no cost rule for aten._linalg_svd \(1 in the model itself\)"):
        macs, _ = profile(Unknown(), ((3, 8),), verbose=False)
    assert macs == 96.0
    with pytest.warns(UserWarning, match="get_model_complexity_info: no cost rule for aten._linalg_svd"):
        ptflops.get_model_complexity_info(Unknown(), (8,), print_per_layer_stat=False)


@given(st.lists(st.floats(0, 1e15), min_size=1, max_size=3), st.sampled_from(["%.2f", "%.3f"]))
def test_clever_format_is_thops(numbers, form):
    with quiet():
        theirs = tool("thop").clever_format
    assert thop.clever_format(numbers, form) == theirs(numbers, form)
    assert thop.clever_format(numbers[0], form) == theirs(numbers[0], form)


# ptflops


@pytest.mark.parametrize("rank", [2, 3])
def test_ptflops_agrees_on_a_cnn_without_bias(rank, untouched):
    model = untouched(nn.Sequential(cnn(rank, bias=False)[0], nn.Flatten(), nn.Linear(4 * 8**rank, 5, bias=False)))
    shape = (3, *[8] * rank)
    printed = []
    for tool_of in (tool("ptflops"), ptflops):
        ost = io.StringIO()
        printed.append((tool_of.get_model_complexity_info(copy.deepcopy(model), shape, ost=ost), ost.getvalue()))
    assert printed[0] == printed[1]
    ints = ptflops.get_model_complexity_info(model, shape, print_per_layer_stat=False, as_strings=False)
    assert ints == (4 * 8**rank * (3 * 3**rank + 5), 4 * 3 * 3**rank + 4 * 8**rank * 5)
    assert [type(number) for number in ints] == [int, int]


def test_ptflops_signature():
    theirs = inspect.signature(tool("ptflops").get_model_complexity_info).parameters
    assert list(inspect.signature(ptflops.get_model_complexity_info).parameters) == list(theirs)


def test_ptflops_adds_bias_and_activations():
    model = nn.Sequential(nn.Linear(8, 4), nn.ReLU())
    options = {"print_per_layer_stat": False, "as_strings": False}
    theirs = tool("ptflops").get_model_complexity_info(copy.deepcopy(model), (8,), **options)
    ours = ptflops.get_model_complexity_info(model, (8,), **options)
    assert (theirs[0] - ours[0], ours) == (4 + 2 * 4, (32, 36))  # bias; ReLU, and once more the F.relu in it


def test_a_constructor_gives_one_argument_or_named_ones(untouched):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 4)

        def forward(self, x, scale=None):
            return self.fc(x)

    options = {"print_per_layer_stat": False, "as_strings": False}

    def macs(constructor):
        model = untouched(Two())
        return ptflops.get_model_complexity_info(model, (8,), input_constructor=constructor, **options)[0]

    assert macs(lambda shape: torch.randn(5, *shape)) == 32  # per sample
    assert macs(lambda shape: {"x": torch.randn(5, *shape), "scale": None}) == 5 * 32  # a dict has no batch


def test_ignored_modules_and_hooks_of_ptflops(untouched):
    def hook(module, given, result):
        module.__flops__ += 7 * int(result.numel())

    def macs(**options):
        options |= {"print_per_layer_stat": False, "as_strings": False}
        return ptflops.get_model_complexity_info(untouched(cnn()), (3, 8, 8), **options)[0]

    assert macs(ignore_modules=[nn.Conv2d]) == 6 * 4**2 * 5
    assert macs(custom_modules_hooks={nn.Linear: hook}) == cnn_macs(2) - 6 * 4**2 * 5 + 7 * 5
    with pytest.raises(InputError, match="is not a type of module"):
        macs(ignore_modules=[torch.ops.aten.convolution])


def test_frozen_parameters_are_parameters():
    model = nn.Linear(8, 4)
    model.bias.requires_grad_(False)
    options = {"print_per_layer_stat": False, "as_strings": False}
    assert tool("ptflops").get_model_complexity_info(copy.deepcopy(model), (8,), **options)[1] == 32
    assert ptflops.get_model_complexity_info(model, (8,), **options)[1] == 36


def test_a_model_that_raises_is_an_error():
    with pytest.raises(InputError, match="Linear raised RuntimeError"):
        ptflops.get_model_complexity_info(nn.Linear(8, 4), (9,), print_per_layer_stat=False)
    with pytest.raises(ValueError, match="cuda"):
        ptflops.get_model_complexity_info(nn.Linear(8, 4), (8,), backend="cuda")


COUNTS = st.integers(0, 10**13)


@given(COUNTS, st.sampled_from([None, "GMac", "MMac", "KMac", "Mac"]), st.sampled_from([None, "B", "M", "K", ""]))
def test_strings_are_those_of_ptflops(count, flops_units, param_units):
    tool("ptflops")
    from ptflops import utils

    assert ptflops.flops_to_string(count, flops_units, 3) == utils.flops_to_string(count, flops_units, 3)
    assert ptflops.params_to_string(count, param_units, 3) == utils.params_to_string(count, param_units, 3)


# mmengine (0.10.7: `print_helper.py` says what its dictionary holds)


PRINTED_BY_MMENGINE = """
+--------------+----------------------+---------+--------------+
| module       | #parameters or shape | #flops  | #activations |
+--------------+----------------------+---------+--------------+
| model        | 0.615K               | 7.584K  | 0.357K       |
|  0           |  0.112K              |  6.912K |  0.256K      |
|   0.weight   |   (4, 3, 3, 3)       |         |              |
|   0.bias     |   (4,)               |         |              |
|  1.1         |  18                  |  0.192K |  96          |
|   1.1.weight |   (6, 2, 1, 1)       |         |              |
|   1.1.bias   |   (6,)               |         |              |
|  3           |  0.485K              |  0.48K  |  5           |
|   3.weight   |   (5, 96)            |         |              |
|   3.bias     |   (5,)               |         |              |
+--------------+----------------------+---------+--------------+
"""  # by the real one, 0.10.7, of the same network


def test_mmengine_gives_a_dictionary(untouched):
    result = mmengine.get_model_complexity_info(untouched(cnn()), (3, 8, 8))
    outputs = 4 * 8**2 + 6 * 4**2 + 5
    assert {key: value for key, value in result.items() if not key.startswith("out")} == {
        "flops": cnn_macs(2),
        "flops_str": "7.584K",
        "activations": outputs,
        "activations_str": "0.357K",
        "params": 4 * 3 * 9 + 4 + 6 * 2 + 6 + 96 * 5 + 5,
        "params_str": "0.615K",
    }
    assert list(result)[-2:] == ["out_table", "out_arch"]
    assert result["out_table"] == PRINTED_BY_MMENGINE
    assert result["out_arch"].startswith("\nSequential(\n  #params: 0.61K, #flops: 7.58K, #acts: 0.36K\n")
    bare = mmengine.get_model_complexity_info(cnn(), inputs=clip(2), show_table=False, show_arch=False)
    assert (bare["flops"], bare["out_table"], bare["out_arch"]) == (cnn_macs(2), "", "")


def test_mmengine_takes_several_shapes_or_neither():
    several = mmengine.get_model_complexity_info(nn.Bilinear(3, 4, 5), ((3,), (4,)), show_arch=False)
    assert several["flops"] == count_flops(nn.Bilinear(3, 4, 5), ((1, 3), (1, 4))).macs > 0
    for wrong in ({}, {"input_shape": (3,), "inputs": torch.randn(1, 3)}):
        with pytest.raises(InputError, match="input_shape and inputs are both"):
            mmengine.get_model_complexity_info(cnn(), **wrong)


def test_no_warning_escapes_without_a_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mmengine.get_model_complexity_info(cnn(), (3, 8, 8))
        profile(cnn(), ((1, 3, 8, 8),), verbose=False)


# torchinfo


def test_torchinfo_agrees_where_there_is_no_bias(untouched, capsys):
    model, x = untouched(cnn(bias=False)), clip(2, 2)
    theirs = tool("torchinfo").summary(cnn(bias=False), input_data=x, verbose=0)
    for shape in ({"input_data": x}, {"input_data": [x]}, {"input_size": (2, 3, 8, 8)}, {"input_size": [(2, 3, 8, 8)]}):
        ours = torchinfo.summary(model, **shape, verbose=0)
        assert ours.total_mult_adds == theirs.total_mult_adds == 2 * cnn_macs(2)
        assert (ours.total_params, ours.trainable_params) == (theirs.total_params, theirs.trainable_params)
    assert capsys.readouterr().out == ""
    ours = torchinfo.summary(model, (3, 8, 8), batch_dim=0)
    assert (ours.total_mult_adds, ours.input_size) == (cnn_macs(2), [(1, 3, 8, 8)])
    assert capsys.readouterr().out == f"{ours}\n"
    assert "Conv2d" in str(ours)


def test_summary_takes_dtypes_keywords_and_a_mode(untouched):
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows, self.layer = nn.Embedding(5, 8), nn.Linear(8, 4)

        def forward(self, places, *, twice=False):
            y = self.layer(self.rows(places))
            return self.layer(self.rows(places)) + y if twice or self.training else y

    model = untouched(Rows().eval())
    taken = {"input_size": (2, 3), "dtypes": [torch.int64], "verbose": 0}
    assert torchinfo.summary(model, **taken).total_mult_adds == 6 * 32
    assert torchinfo.summary(model, **taken, twice=True).total_mult_adds == 2 * 6 * 32
    assert torchinfo.summary(model, **taken, mode="train").total_mult_adds == 2 * 6 * 32
    for wrong in ({}, {"input_size": (2, 3), "input_data": torch.zeros(2, 3)}):
        with pytest.raises(InputError, match="input_size and input_data are both"):
            torchinfo.summary(model, **wrong)


LINES = """
from {} import FlopCountAnalysis, flop_count_table, flop_count_str, parameter_count, parameter_count_table
from {} import ActivationCountAnalysis, activation_count, flop_count
from {} import profile, clever_format
from {} import get_model_complexity_info, flops_to_string, params_to_string
from {} import summary, ModelStatistics
"""


def test_the_import_lines_of_other_tools():
    exec(LINES.replace("{}", "flopcount.compat"))
