"""Closed forms: polynomials and fits alone, networks by hand, random ones, and every network of the zoo."""

import json
import random
from math import prod

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from modules import Apply
from torch import nn
from typer.testing import CliRunner
from zoo import QUICK, UNLIKE, every

from flopcount import (
    Clip,
    InputError,
    TensorSpec,
    TraceError,
    UnknownNameError,
    closed_form,
    closed_form_of,
    count_flops,
    count_model,
    weightless,
)
from flopcount.cli import app
from flopcount.models import CARDS
from flopcount.symbolic.fitting import Steps, disagreement, fit_line, fit_sizes
from flopcount.symbolic.notation import sympified
from flopcount.symbolic.observing import quantities
from flopcount.symbolic.polynomial import Polynomial, Staircase
from flopcount.symbolic.symbol import Symbol, polynomial_of

run = CliRunner().invoke


def of(axis, shift=0, step=1, factor=1, plus=0):
    return Polynomial.of(Staircase(axis, shift, step), factor, plus)


# Polynomials

stairs = st.builds(Staircase, st.sampled_from("TH"), st.integers(-3, 9), st.integers(1, 6))
polynomials = st.dictionaries(
    st.lists(stairs, max_size=3).map(sorted).map(tuple), st.integers(-9, 9).filter(bool), max_size=4
).map(Polynomial)
clips = st.fixed_dictionaries({"T": st.integers(1, 99), "H": st.integers(1, 99)})


@given(polynomials, polynomials, clips)
@settings(max_examples=60)
def test_arithmetic_is_that_of_the_values(a, b, at):
    assert (a + b).at(at) == a.at(at) + b.at(at)
    assert (a - b).at(at) == a.at(at) - b.at(at)
    assert (a * b).at(at) == a.at(at) * b.at(at)
    quotient = (a * b).divided(b)
    if quotient is not None and b.terms and b.at(at):
        assert quotient.at(at) == a.at(at)
    assert sympified(a).subs({sympy.Symbol(k, integer=True, positive=True): v for k, v in at.items()}) == a.at(at)


@given(st.integers(0, 8), st.integers(1, 5), st.integers(-4, 4), st.integers(1, 7), st.integers(1, 60))
def test_nested_floors_are_one(shift, step, plus, divisor, n):
    inner = (n + shift) // step
    symbol = (Symbol(inner, of("T", shift, step)) + plus) // divisor
    assert symbol == (inner + plus) // divisor
    assert polynomial_of(symbol).at({"T": n}) == symbol


def test_a_remainder_is_zero_only_where_it_always_is():
    eights = Symbol(32, of("T", factor=8))
    assert eights % 4 == 0
    assert Symbol(32, of("T")) % 4 != 0  # 32 is a multiple, 33 is none


# Fits


@given(st.integers(1, 40), st.data())
@settings(max_examples=40)
def test_a_staircase_is_found_where_candidates_are_told_apart(step, data):
    shift, factor = data.draw(st.integers(0, step - 1)), data.draw(st.integers(1, 9))
    plus, base = data.draw(st.integers(-20, 20)), data.draw(st.integers(1, 100))
    value = of("T", shift, step, factor, plus)
    sizes, grid = [base + k for k in (0, 1, 2, 3, 5, 8, 13, 79, 80)], range(base, base + 81)
    while (
        more := disagreement([fit_line(sizes, [value.at({"T": n}) for n in sizes], Steps(40))], grid)
    ) is not None and more not in sizes:
        sizes.append(more)
    line = fit_line(sizes, [value.at({"T": n}) for n in sizes], Steps(40))
    far = list(range(1, 999, 7))
    assert line[0].less(0, "T").at({"T": np.array(far)}).tolist() == [value.at({"T": n}) for n in far]


def test_tokens_with_a_class_token_are_a_number_beside_a_product():
    tokens = of("T", 1, 2) * of("H", 0, 16) * of("W", 0, 16) + Polynomial.constant(1)
    base, far = (16, 224, 224), (34, 270, 600)
    line = [(*base[:i], size, *base[i + 1 :]) for i in range(3) for size in range(base[i], base[i] + 70)]
    corners = [(34, 270, 224), (34, 224, 600), (16, 270, 600), far, (34, 224, 224), (16, 270, 224), (16, 224, 600)]
    seen = {clip: tokens.at(dict(zip("THW", clip, strict=True))) for clip in (base, *line, *corners)}
    assert fit_sizes(seen, base, "THW", [Steps(64)] * 3) == tokens


def test_what_follows_no_staircase_has_no_polynomial():
    assert fit_sizes({(n,): n**3 for n in range(4, 20)}, (4,), "T", [Steps(8)]) is None
    assert fit_sizes({(n,): n**2 for n in range(4, 20)}, (4,), "S", [Steps(8, powers=(1, 2))]) == of("S") * of("S")


# Networks computed by hand


def test_a_stem_and_a_head_by_hand():
    net = nn.Sequential(
        nn.Conv3d(3, 8, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2)),  # T × ⌈H/2⌉ × ⌈W/2⌉
        nn.ReLU(),
        nn.MaxPool3d(2),  # ⌊T/2⌋ × ⌊(H+1)/4⌋ × ⌊(W+1)/4⌋
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    )
    form = closed_form(net, (2, 3, 8, 32, 32))
    stem = of("T") * of("H", 1, 2) * of("W", 1, 2)
    pooled = of("T", 0, 2) * of("H", 1, 4) * of("W", 1, 4)
    assert form.polynomial("macs", "0") == stem * (2 * 8 * 3 * 3 * 5 * 5)
    assert form.polynomial("macs") == stem * (2 * 8 * 3 * 3 * 5 * 5) + Polynomial.constant(2 * 8 * 4)
    assert form.polynomial("flops") == form.polynomial("macs") * 2
    assert form.polynomial("other_flops", "0") == stem * 16  # biases
    assert form.polynomial("other_flops", "1") == stem * 16  # one comparison each
    assert form.polynomial("other_flops", "2") == pooled * (16 * (2 * 2 * 2 - 1))
    assert form.polynomial("other_flops", "3") == pooled * 16  # one per element read
    assert form.polynomial("params") == Polynomial.constant(8 * 3 * 3 * 5 * 5 + 8 + 8 * 4 + 4)
    assert form.polynomial("bytes_written", "0") == stem * (16 * 4)
    assert form.text("macs") == "3600·T·⌈H/2⌉·⌈W/2⌉ + 64"
    assert form.latex("macs") == r"3600\,T\,\lceil H/2\rceil \,\lceil W/2\rceil  + 64"
    assert [str(domain) for domain in form.domains] == ["T ≥ 2", "H ≥ 3", "W ≥ 3"]


def test_attention_is_quadratic_in_the_frames():
    class Attend(nn.Module):
        def forward(self, x):
            x = x.flatten(2).transpose(1, 2)  # (B, T·H·W, C)
            return nn.functional.scaled_dot_product_attention(x, x, x)

    form = closed_form(Attend(), (1, 6, 4, 2, 2), "BT")
    assert form.text("macs") == f"{2 * 6 * 4 * 4}·B·T²"  # QKᵀ and PV over (4T)² pairs
    assert form.macs(B=3, T=10) == 3 * 2 * 6 * 40 * 40


def test_adaptive_pools_share_elements_at_borders():
    form = closed_form(nn.AdaptiveAvgPool2d(6), (1, 1, 60, 60))
    for h, w in ((6, 7), (13, 31), (59, 60), (75, 640)):
        rows, columns = (sum(-(-(i + 1) * n // 6) - i * n // 6 for i in range(6)) for n in (h, w))
        assert form.other_flops(H=h, W=w) == rows * columns


def test_a_loop_over_frames_is_counted_as_often():
    form = closed_form(
        Apply(lambda x, part: [part(x[:, :, t]) for t in range(x.shape[2])][-1], nn.Conv2d(3, 4, 1)), (1, 3, 5, 8, 8)
    )
    assert form.polynomial("macs") == of("T") * of("H") * of("W") * 12
    assert form.polynomial("params") == Polynomial.constant(16)


def test_layouts_name_axes_of_any_input():
    attended = Apply(lambda x, part: part(x, x, x)[0], nn.MultiheadAttention(8, 2, batch_first=True))
    form = closed_form(attended, (2, 10, 8), "N", layout="BND")
    assert form.macs(N=20) == 2 * (4 * 20 * 8 * 8 + 2 * 20 * 20 * 8)
    pathways = Apply(lambda slow, fast: (slow.sum(), fast * 2))
    form = closed_form(pathways, ((1, 3, 2, 4, 4), (1, 3, 8, 4, 4)), "T")  # the slow one keeps its fraction
    assert form.other_flops(T=16) == (3 * 4 * 16 - 1) + 3 * 16 * 16
    assert str(form.domains[0]) == "T = 4, 8, 12, ..."


# What does not run, or has no form


@pytest.mark.slow
def test_parts_sized_to_the_clip_are_pinned_and_named_and_free_when_rebuilt():
    pinned = closed_form_of("c3d", clip=Clip(16, 32, 32))
    assert pinned.base == {"T": 16, "H": 32, "W": 32}
    assert all(domain.pinned.startswith("fc6 (Linear)") for domain in pinned.domains)
    with pytest.raises(InputError, match="holds for T = 16, not for 32"):
        pinned.macs(T=32)
    rebuilt = closed_form_of("c3d", clip=Clip(16, 32, 32), rebuild=True)
    assert rebuilt.params(T=32, H=112) == count_model("c3d", clip=Clip(32, 112, 32)).params
    square = closed_form_of("c3d", "S", clip=Clip(16, 32, 32), rebuild=True)  # fc6 sees 512·⌊(S + 32) / 32⌋² positions
    assert square.macs(S=112) == count_model("c3d").macs
    assert square.polynomial("params", "fc6") == of("S", 32, 32) * of("S", 32, 32) * (512 * 4096) + Polynomial.constant(
        4096
    )
    # conv1 by hand: 64 kernels of 3·3·3·3 over the whole clip
    assert rebuilt.text("macs", "conv1") == f"{64 * 3 * 3 * 3 * 3}·T·H·W"


def test_only_clips_where_it_holds_are_said_to_be_equal():
    """Below 5 frames the model does something else: those clips are traced, but do not count for the form."""

    def at_least_five(x):
        return x * 2 if x.shape[2] >= 5 else x.exp() * x

    form = closed_form(Apply(at_least_five), (1, 3, 8), "T", layout="BCT")
    assert str(form.domains[0]) == "T ≥ 5"
    looked = []
    again = closed_form(Apply(at_least_five), (1, 3, 8), "T", layout="BCT", progress=looked.append)
    assert again.checked == form.checked == sum(int(clip) >= 5 for clip in looked) < len(looked)


def test_a_clip_on_which_the_form_does_not_hold_is_refused():
    form = closed_form(nn.Conv3d(3, 4, 3), (1, 3, 5, 9, 9), "TH")
    assert form.macs(T=3, H=3) == 4 * 3 * 27 * 7
    for sizes, message in (
        ({"T": 2}, "holds for T ≥ 3, not for 2"),
        ({"T": np.array([5, 1])}, "not for all of 2 sizes from 1 to 5"),
        ({"T": 2.5}, "T is 2.5, not a whole number"),
        ({"W": 9}, "no axis named 'W'"),
    ):
        with pytest.raises(InputError, match=message):
            form.macs(**sizes)


def test_a_quantity_without_a_form_says_which_operator_is_to_blame():
    def by_turns(x, odd, even):
        return (odd if x.shape[2] % 2 else even)(x)

    form = closed_form(Apply(by_turns, nn.Conv1d(3, 4, 1), nn.ReLU()), (1, 3, 8), "T", layout="BCT")
    assert "other operators run on other clips (at T = 9)" in form.missing["other_flops"]
    with pytest.raises(InputError, match="no closed form of the other FLOPs"):
        form.other_flops()
    cubes = Apply(lambda x: x.new_zeros(x.shape[2] ** 3).add(1))
    assert "aten.add in 0" in closed_form(nn.Sequential(cubes), (1, 3, 8), "T", layout="BCT").missing["other_flops"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axes": "X"}, "no axis named 'X'"),
        ({"axes": ""}, "no axis to vary"),
        ({"layout": "BCT"}, "layout 'BCT' does not fit a tensor of shape"),
        ({"layout": ["BCTHW", "BCTHW"]}, "2 layouts for 1 tensors"),
    ],
)
def test_bad_axes_are_told(arguments, message):
    with pytest.raises(InputError, match=message):
        closed_form(nn.ReLU(), (1, 3, 4, 8, 8), **arguments)


def test_a_report_finds_its_form_when_asked():
    report = count_flops(nn.Conv3d(3, 4, 3), (1, 3, 5, 9, 9))
    assert report.closed_form is None
    assert report.formula("THW").macs() == report.macs
    assert report.formula("T").macs(T=7) == count_flops(nn.Conv3d(3, 4, 3), (1, 3, 7, 9, 9)).macs
    assert list(report.formula(layout="BCTXY").base) == ["T"]


# Random networks, and the zoo


@st.composite
def stacks(draw):
    layers, channels = [], 2
    for _ in range(draw(st.integers(1, 4))):
        kernel, stride = draw(st.tuples(*[st.integers(1, 4)] * 3)), draw(st.tuples(*[st.integers(1, 3)] * 3))
        if draw(st.booleans()):
            wider = draw(st.integers(1, 4))
            dilation = draw(st.integers(1, 2))
            layers.append(nn.Conv3d(channels, wider, kernel, stride, [k // 2 for k in kernel], dilation, device="meta"))
            channels = wider
        else:
            layers.append(nn.MaxPool3d(kernel, stride, [k // 2 for k in kernel], ceil_mode=draw(st.booleans())))
    stack = nn.Sequential(*layers)
    try:
        stack(torch.empty(1, 2, 40, 50, 60, device="meta"))
    except RuntimeError:  # strides and dilation can leave less than a kernel
        reject()
    return stack


@given(stacks(), st.data())
@settings(max_examples=12)
def test_random_stacks_cost_what_their_form_says(stack, data):
    form = closed_form(stack, (1, 2, 40, 50, 60))
    assert form.missing == {}
    least = {domain.axis: domain.minimum for domain in form.domains}
    for _ in range(3):
        at = {axis: data.draw(st.integers(low, 300)) for axis, low in least.items()}
        report = count_flops(stack, (1, 2, *at.values()))
        assert [form.at(quantity, **at) for quantity in quantities()] == [getattr(report, q) for q in quantities()]


FEWER_STEPS = {"optical_flow_tvl1": {"scales": 2, "warps": 1, "iterations": 2}}

# Along the other axes some sizes follow no staircase: flow's levels shrink by 0.8, and MorphMLP's layers over time have
# as many parts as the largest number up to T/2 that divides the channels.
STAIRCASES = {"optical_flow_tvl1": "T", "morphmlp_s": "H"}


# Quick to count, but at many clips along several axes.
MANY_CLIPS = {"slowfast_r50_4x16", "r2plus1d_18", "x3d_xs", "mvit_b_16x4", "cnn_attention", "tsm_r50"}


# Many layers of kinds that the others have too.
AUDITED = {
    *("tdn_r50", "tadaconvnextv2_t", "morphmlp_s", "tanet_r50", "raft_small", "i3d_nl_r50", "vtn_vit_b_250f"),
    *("pwc_net", "vidtr_compact_s", "rev_mvit_b_16x4", "ir_csn_152", "motionformer"),
    *("videomae_b", "s3d", "timesformer_b", "uniformer_s", "vivit_b_16x2", "vivit_b_16x2_fe", "stam_16", "resnet50"),
    *("tsm_mobilenetv2", "hiera_b"),
}


@pytest.mark.parametrize("name", every(UNLIKE, slow=MANY_CLIPS, audits=AUDITED))
def test_forms_of_the_zoo_say_what_is_counted_anywhere(name):
    """Built anew for each clip, at clips that the form is not made from; MACs always have a form.

    Width is as height, and takes as long again: some networks of each kind are looked at along both.
    """
    if CARDS[name].requires:
        pytest.importorskip(CARDS[name].requires)
    options, begin = FEWER_STEPS.get(name), CARDS[name].clip
    all_axes = name in QUICK or begin.frames == 1 or CARDS[name].requires  # some of transformers' want squares
    letters = CARDS[name].clip_axes
    axes = STAIRCASES.get(name, None if all_axes else letters[:2])
    form = closed_form_of(name, axes, rebuild=True, options=options, clip=begin)
    assert "macs" not in form.missing
    pinned = ["T"] if begin.frames == 1 else ["V"] if "V" in letters else []  # no skeleton has one joint more
    assert [domain.axis for domain in form.domains if domain.pinned] == pinned
    draw = random.Random(name)
    for _ in range(2):
        at = {d.axis: draw.randrange(d.minimum, 2 * d.base + 1, d.step) for d in form.domains if not d.pinned}
        base = dict(zip(letters, begin.sizes, strict=True)) | at
        side = {"H": at["S"], "W": at["S"]} if "S" in at else {}
        clip = base | side
        report = count_model(name, clip=Clip(*(clip[axis] for axis in letters)), options=options)
        for quantity in form.parts:
            assert form.at(quantity, **at) == getattr(report, quantity), (quantity, at)


def test_arrays_give_exact_integers():
    form = closed_form_of("r3d_18", "TH")
    frames, heights = np.arange(1, 200)[:, None], np.array([[32, 112, 333]])
    macs = form.macs(T=frames, H=heights)
    assert macs.shape == (199, 3)
    assert macs[15, 1] == count_model("r3d_18", clip=Clip(16, 112, 112)).macs
    assert form.macs(T=np.array([1, 2]), H=112).tolist() == [form.macs(T=1, H=112), form.macs(T=2, H=112)]
    vast = form.macs(T=np.array([10**15]), H=10**9)  # beyond 64 bits
    assert vast[0] == form.macs(T=10**15, H=10**9)
    assert vast[0] > 2**63
    assert form.params(T=frames).shape == (199, 1)


# The command


def test_the_command_writes_tables_and_terms():
    shown = run(app, ["formula", "r3d_18", "--axes", "T", "--clip", "16x112x112"])
    assert shown.exit_code == 0
    assert "holds for T ≥ 1" in shown.stdout
    data = json.loads(run(app, ["formula", "r3d_18", "--axes", "T,H", "--format", "json"]).stdout)
    assert data["schema"] == "flopcount/form/1"
    at = {"T": 9, "H": 50}
    macs = sum(
        term["coefficient"] * prod((at[f["axis"]] + f["shift"]) // f["step"] for f in term["factors"])
        for term in data["forms"]["macs"]["terms"]
    )
    assert macs == count_model("r3d_18", clip=Clip(9, 50, 112)).macs
    by_module = run(app, ["formula", "c3d", "--rebuild", "--by", "module", "--of", "params", "--axes", "T"])
    assert by_module.exit_code == 0
    assert "fc6" in by_module.stdout
    latex = run(app, ["formula", "r3d_18", "--axes", "T", "--format", "latex"]).stdout
    assert r"\lceil T/2\rceil" in latex
    tokens = ["--input", ":1x10x8:float32", "--layout", "BND", "--axes", "N"]
    assert (
        "·N"
        in run(app, ["formula", "torch.nn:Linear", "--set", "in_features=8", "--set", "out_features=4", *tokens]).stdout
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("c3d --axes X", "no axis named 'X'"),
        ("c3", "no model named 'c3'"),
        ("c3d --by module --of maccs", "no quantity named 'maccs'"),
        ("c3d --rebuild --clip 16x20x30 --axes S", "is not square"),
        ("c3d --rebuild --input :1x3:float32", "takes clips"),
        ("torch.nn:ReLU --rebuild", "does not say which clip"),
    ],
)
def test_what_the_command_refuses(words, message):
    result = run(app, ["formula", *words.split()])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_form_with_uncosted_operators_says_so():
    with torch.library._scoped_library("formtest", "DEF") as library:
        library.define("odd(Tensor x) -> Tensor")
        library.impl("odd", lambda x: x.clone(), "CompositeExplicitAutograd")
        form = closed_form(Apply(lambda x: torch.ops.formtest.odd(x) * 2), (1, 3, 4, 8, 8))
    assert form.uncosted == ("formtest.odd",)
    assert "UNCOSTED formtest.odd: missing from every formula" in str(form)


class Chooses(nn.Module):
    """Reads its weights; for "test_symbolic:Chooses"."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 2), nn.Linear(8, 3)

    def forward(self, x):
        return (self.a if self.a.weight.sum().item() > 0 else self.b)(x)


def test_a_model_that_needs_its_weights_is_built_with_them():
    given = {"inputs": [("x", TensorSpec((2, 8)))]}
    form = closed_form_of("test_symbolic:Chooses", "B", layout="BD", **given)
    assert form.macs(B=2) == count_model("test_symbolic:Chooses", **given).macs
    assert form.macs(B=14) == 7 * form.macs(B=2)
    with pytest.raises(TraceError, match="cannot be traced without its values"):
        closed_form(weightless(Chooses), (2, 8), "B", layout="BD")


def test_unknown_modules_get_near_names():
    with pytest.raises(UnknownNameError, match="conv1"):
        closed_form_of("c3d", "T", clip=Clip(16, 32, 32)).polynomial("macs", "conv")


def test_a_lazy_module_has_no_form_yet():
    with pytest.raises(InputError, match="lazy parameters have no size yet"):
        closed_form(nn.LazyConv2d(4, 3), (1, 3, 8, 8), "HW")


def test_what_is_pinned_is_rebuilt_only_where_it_is_an_axis_of_a_clip():
    form = closed_form(nn.Linear(4, 3), (2, 4), "N", layout="BN")
    assert form.domains[0].pinned
    assert "rebuild" not in str(form)
    with pytest.raises(InputError) as raised:
        form.at("macs", N=5)
    assert ("fix", "count that clip") in raised.value.details
