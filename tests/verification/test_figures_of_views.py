"""Numbers that were rounded before they were multiplied, rounded twice, or taken from another row of a table."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Clip
from flopcount.facts import Printed, ZooModel, counter_uses, published
from flopcount.verification import Counted, Finding, Verdict, judge, verify_published
from flopcount.verification.counter_registry import counters_of, find_counter
from flopcount.verification.other_figures import as_printed_elsewhere
from flopcount.verification.readings import EVAL_NORM, Reading, count

BEFORE = "the figure of one view was rounded before"
TWICE = "rounded to one digit more, and then once more"
ROW = replace(
    next(row for row in published() if row.source == "facebookresearch/SlowFast"),
    **{
        "model": "made_up",
        "dataset": "kinetics400",
        "scope": "video",
        "convention": "mac",
        "views": 4,
        "params": None,
        "assumed": (),
    },
)
MODEL = ZooModel("c3d", Clip(8, 224, 224), 400)


def _judged(text, counted, network=MODEL, **changes):
    return judge(replace(ROW, cost=Printed(text, "G"), **changes), network, lambda model: counted)


def _cost(text, macs, added=None, **changes):
    return _judged(text, Counted(macs, 1, 0, added or {}), **changes).cost


@given(st.integers(1, 10**7), st.integers(0, 3), st.integers(1, 30))
def test_a_number_is_a_multiple_or_it_is_not(steps, decimals, parts):
    digits = str(steps).rjust(decimals + 1, "0")
    text = digits[: len(digits) - decimals] + (f".{digits[-decimals:]}" if decimals else "")
    printed = Printed(text, "G")
    part = printed.divided_by(parts)
    assert (part is None) == bool(steps % parts)
    if part is not None:
        assert (part.value * parts, part.step) == (printed.value, printed.step)


def test_morphmlps_views():
    """97.83 G a view are printed as 4 · 98 = 392 and 3 · 98 = 294; all four are 391.3 G."""
    macs = 97_830_000_000
    for text, views in (("392", 4), ("294", 3)):
        found = _cost(text, macs, views=views)
        assert (found.kind, found.why) == (Finding.MATCH, f"multiplied by {views} views; {BEFORE}")
    assert _cost("391", macs).why == "multiplied by 4 views"
    assert _cost("393", macs).kind is Finding.UNEXPLAINED  # no multiple of 4
    assert _cost("392", macs, scope="view").kind is Finding.UNEXPLAINED  # said to be one view


@given(st.integers(10**10, 10**13), st.integers(2, 30))
def test_whatever_one_view_rounds_to_matches_in_all_views(macs, views):
    whole = (2 * macs + 10**9) // (2 * 10**9)
    found = _cost(str(whole * views), macs, views=views)
    assert found.kind is Finding.MATCH
    assert found.why.startswith(f"multiplied by {views} views")


@given(st.integers(10**10, 10**12), st.integers(1, 10**10), st.integers(1, 30))
def test_one_view_is_never_read_so(macs, added, views):
    text = str((macs + added) // 10**9 * views)
    assert BEFORE not in _cost(text, macs, {EVAL_NORM: added}, scope="view", views=views).why


@given(st.integers(2, 30), st.integers(50, 400), st.integers(6 * 10**8, 9 * 10**8))
def test_its_odds_are_those_of_one_view(views, whole, added):
    """A number that is a multiple is met as often by chance as the number of one view with its digits."""
    macs = whole * 10**9 - added
    many = _cost(str(whole * views), macs, {EVAL_NORM: added}, views=views)
    one = _cost(str(whole), macs, {EVAL_NORM: added}, views=1)
    assert (many.kind, one.kind) == (Finding.CAUSE, Finding.CAUSE)
    assert many.odds == pytest.approx(one.odds)


def test_a_number_rounded_twice():
    """4.349 is rounded to 4.35 and that to 4.4; 4.344 to 4.34 and 4.3."""
    assert Printed("4.4", "G").rounded_twice_from(4_349_000_000)
    assert not Printed("4.4", "G").matches(4_349_000_000)
    assert not Printed("4.4", "G").rounded_twice_from(4_344_000_000)
    assert Printed("4.3", "G").rounded_twice_from(4_344_000_000)
    found = _cost("4.4", 4_349_000_000, scope="view")
    assert (found.kind, found.why) == (Finding.FITS, TWICE)


@given(st.integers(1, 10**12), st.sampled_from(("1", "12.3", "0.60", "106", "4.4")))
def test_rounding_twice_only_raises_what_lies_just_below_a_half(macs, text):
    printed = Printed(text, "G")
    if printed.rounded_twice_from(macs) and not printed.matches(macs):
        assert printed.low - printed.step / 20 <= macs < printed.low


def _aim(text, frames, macs, **changes):
    changes = {"model": f"aim_{frames}f", **changes}
    return _judged(text, Counted(macs, 1), replace(MODEL, clip=Clip(frames, 224, 224)), **changes)


def test_a_figure_of_more_frames_may_be_a_multiple():
    """AIM prints 3 · 404.67 = 1214 G of 16 frames, and twice that of 32, which cost 811.1 G a view."""
    short = _aim("1214", 16, 404_667_000_000, views=3)
    long = _aim("2428", 32, 811_141_000_000, views=3)
    assert (short.cost.kind, long.cost.kind) == (Finding.MATCH, Finding.UNEXPLAINED)
    found = as_printed_elsewhere(long, [long, short]).cost
    assert (found.kind, found.why) == (Finding.FITS, "the 1214 G printed of aim_16f, at 2 times the frames")
    assert found.odds == pytest.approx(1 / (0.2 * 2428))
    for ratio, text, changes in (("3 times", "7284", {"views": 9}), ("1/3 of", "809", {"scope": "view"})):
        other = _aim(text, 32, 811_141_000_000, **changes)
        assert as_printed_elsewhere(other, [short]).cost.why == (
            f"the 1214 G printed of aim_16f, at 2 times the frames and {ratio} the views"
        )
    assert as_printed_elsewhere(long, [long]).cost is long.cost
    wrong = replace(short, cost=Verdict(Finding.UNEXPLAINED))
    assert as_printed_elsewhere(long, [wrong]).cost.kind is Finding.UNEXPLAINED
    unlikely = replace(short, cost=Verdict(Finding.FITS, odds=0.2))
    assert as_printed_elsewhere(long, [unlikely]).cost.kind is Finding.UNEXPLAINED
    wider = replace(short, model=replace(short.model, clip=Clip(16, 256, 256)))
    assert as_printed_elsewhere(long, [wider]).cost.kind is Finding.UNEXPLAINED


def test_one_figure_for_all_data_sets():
    """A network whose cost depends on its classes, printed with the same cost for another data set."""
    mine = _judged("11.0", Counted(10**9, 1), scope="view", dataset="kinetics600")
    other = replace(mine, row=replace(mine.row, dataset="kinetics400"), cost=Verdict(Finding.CAUSE))
    found = as_printed_elsewhere(mine, [other]).cost
    assert (found.kind, found.why) == (
        Finding.FITS,
        "equals the figure printed for kinetics400, which its classes give",
    )


def test_a_source_may_be_a_page_and_a_data_set():
    rows = [row for row in published() if row.url.endswith("/tsn/metafile.yml") and row.model == "tsn_r50"]
    synchronised = [row for row in rows if "mmcv of SyncBatchNorm" in {use.counter for use in counter_uses(row)}]
    assert [row.dataset for row in synchronised] == ["ssv1"]
    assert "mmcv of SyncBatchNorm" in counters_of(synchronised[0]).cited


@pytest.mark.parametrize(
    ("counter", "network", "clip", "classes", "options", "printed"),
    [
        ("mmcv of SyncBatchNorm", "tsn_r50", "8x224x224", 174, {}, 32_781_541_376),
        ("mmcv of SyncBatchNorm", "r2plus1d_34", "8x256x256", 400, {"form": "mmaction2"}, 53_175_572_992),
        ("mmcv", "tanet_r50", "8x224x224", 174, {}, 32_972_787_840),
        ("mmcv", "tanet_r50", "8x256x256", 400, {}, 43_065_983_104),
    ],
)
def test_all_digits_of_mmaction2s_metafiles(counter, network, clip, classes, options, printed):
    """SyncBatchNorm has no hook, R(2+1)D's norms between both parts of a convolution do; TANet's filter is a call."""
    spec = ModelSpec(network, Clip.parse(clip), classes, options)
    assert Reading(count(spec), spec.clip, counter=find_counter(counter)).value == printed


def test_what_fvcore_sees_of_videomamba():
    """Projections in and out, patches and the head, and 5 per normalised element."""
    counter = find_counter("fvcore blind to mamba's function")
    spec = ModelSpec("videomamba_ti", Clip(8, 224, 224), 400)
    tokens, dim, depth = 1 + 8 * 14 * 14, 192, 24
    seen = (tokens - 1) * dim * 3 * 16 * 16 + depth * tokens * 3 * dim * (2 * dim) + dim * 400
    assert Reading(count(spec), spec.clip, counter=counter).value == seen + 5 * (depth + 1) * tokens * dim
    assert count(ModelSpec("c3d")).added[counter] == 0


@pytest.mark.slow
def test_videomambas_figures_but_one():
    """Of 25 printed costs 24 are what fvcore sees; 395 G of the small network at 384×384 would be 795."""
    found = [verdict for verdict in verify_published("videomamba") if verdict.cost]
    kinds = {verdict.row.model: verdict.cost.kind for verdict in found if verdict.cost.kind is not Finding.CAUSE}
    assert (len(found), kinds) == (25, {"videomamba_s_64f": Finding.UNEXPLAINED})
    (odd,) = (verdict for verdict in found if verdict.row.model == "videomamba_s_64f")
    value = Reading(odd.counted, odd.model.clip, counter=find_counter("fvcore blind to mamba's function")).value
    assert Printed("795", "G").matches(value)


def test_a_head_of_two_layers_is_left_out():
    """mmaction2 prints 42.94 G of TRN at 256×256, whose head has two linear layers for each tuple of frames."""
    spec = ModelSpec("trn_r50", Clip(8, 256, 256), 174)
    value = Reading(count(spec), spec.clip, counter=find_counter("mmengine")).value
    assert Printed("42.94", "G").matches(value)
