import re
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount.core.errors import InputError, UnknownNameError
from flopcount.facts import (
    SCALES,
    Printed,
    Unmapped,
    ZooModel,
    classes_of,
    lecture,
    published,
    published_row,
    zoo_model,
)
from flopcount.facts.published import CONVENTIONS
from flopcount.facts.rows import read, sourced

ROW = dict(read("published.csv"))["published.csv, line 2"]


@pytest.mark.parametrize("facts", [published, lecture])
def test_every_fact_says_where_it_was_read(facts):
    for fact in facts():
        assert re.fullmatch(r"https?://[^\s/]+\.[^\s]+", fact.url)
        assert fact.locator


def test_published_rows_are_plausible():
    rows = published()
    assert len(rows) == 1025
    assert sum(row.cost is not None for row in rows) == 604
    for row in rows:
        assert row.family
        assert 1990 < row.year < 2030
        if row.cost is not None:
            assert row.convention in CONVENTIONS
            assert row.unit
            assert 10**8 < row.cost.value < 10**14  # 0.1 G to 100 T: a slip of 1000 is caught
        if row.params is not None:
            assert 10**5 < row.params.value < 10**10
        if row.clips and row.crops and row.views:
            assert row.clips * row.crops == row.views
        for accuracy in (row.top1, row.top5):
            assert accuracy is None or 1 < accuracy <= 100


def test_the_reader_imports_no_torch():
    code = "import flopcount.facts as f, sys; f.published(); f.lecture(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": ""}, "a fact without url\n  in      here, line 7\n  fix     give the url of its source"),
        ({"locator": ""}, "a fact without locator\n"),
        ({"url": "", "model": ""}, "a fact without url and model\n"),
        ({"url": "model table"}, "'model table' is not the url of a source\n  in      here, line 7"),
        ({"frames": "eight"}, "frames is 'eight', not a whole number\n  in      here, line 7"),
        ({"convention": "flop"}, "convention is 'flop'\n  in      here, line 7\n  fix     choose mac, 2mac, unknown"),
        ({"scope": "clip"}, "scope is 'clip'\n"),
        ({"cost": "about 25"}, "'about 25' is not a printed number\n"),
        ({"scale": "GFLOPs"}, "no scale 'GFLOPs' of '25.89'\n"),
    ],
)
def test_a_row_that_cannot_be_trusted_is_refused(change, message):
    with pytest.raises(InputError) as error:
        published_row("here, line 7", {**ROW, **change})
    assert str(error.value).startswith(message)


def test_sources_of_data_sets():
    for place, row in read("datasets.csv"):
        assert sourced(place, row, ("name", "classes")) is row
    assert (classes_of("kinetics400"), classes_of("sports1m"), classes_of("ssv2")) == (400, 487, 174)
    with pytest.raises(UnknownNameError, match="no data set named 'kinetics40'"):
        classes_of("kinetics40")


def test_sources_in_short():
    sources = {row.source for row in published()}
    assert {"facebookresearch/pytorchvideo", "arXiv 1812.03982", "cs231n.stanford.edu"} <= sources


def test_mapping():
    models = {row["model"] for _, row in read("mapping.csv")}
    assert models <= {row.model for row in published()}
    for _, row in read("mapping.csv"):
        assert row["name"] or row["why"]
    mapped = [found for row in published() if row.cost and isinstance(found := zoo_model(row), ZooModel)]
    assert len(mapped) > 140
    c3d = [row for row in published() if row.model == "c3d_16x1" and row.cost]
    options = {row.source: zoo_model(row).options for row in c3d}
    assert options["open-mmlab/mmaction2"] == {}
    assert options["facebookresearch/VMZ"] == options["cs231n.stanford.edu"] == {"pool5_padding": False}


def test_what_is_not_mapped_says_why():
    reasons = {found.why for row in published() if isinstance(found := zoo_model(row), Unmapped)}
    assert "no such architecture in the zoo" in reasons
    assert "the source does not say the size of a frame" in reasons


@pytest.mark.parametrize(
    ("claim", "scale", "value"),
    [
        ("27.6", "G", 27_600_000_000),
        ("27.6G", "M", 27_600_000_000),
        ("1.97 TFLOPs", "G", 1_970_000_000_000),
        ("34.5M", "M", 34_500_000),
        ("34.5", "M", 34_500_000),
        ("2,828", "G", 2_828_000_000_000),
        ("38548959232", "G", 38_548_959_232),
        ("71.2 GMACs", "G", 71_200_000_000),
        (".5", "G", 500_000_000),
    ],
)
def test_claims(claim, scale, value):
    assert Printed.parse(claim, scale).value == value


@pytest.mark.parametrize("claim", ["", "about 3", "1.2.3", "-4", "3e9", "4 X", "1,2", ".", "27.6 Gigaflops"])
def test_claims_that_are_no_number(claim):
    with pytest.raises(InputError, match="is not a printed number"):
        Printed.parse(claim)


def test_rounding_interval():
    printed = Printed("27.6", "G")
    assert (printed.low, printed.high) == (27_550_000_000, 27_650_000_000)
    assert [printed.matches(n) for n in (27_549_999_999, 27_550_000_000, 27_650_000_000, 27_650_000_001)] == [
        *(False, True, True, False)
    ]
    assert Printed("64").matches(Fraction(129, 2))
    assert Printed("106", "G").cut_from(106_999_999_999)
    assert not Printed("106", "G").cut_from(107_000_000_000)
    assert not Printed("106", "G").cut_from(105_999_999_999)
    assert (str(printed), str(Printed("2.9"))) == ("27.6 G", "2.9")


@given(st.integers(0, 10**15), st.integers(0, 6), st.sampled_from(sorted(SCALES)))
def test_what_is_rounded_matches_what_it_was(count, places, scale):
    exact = Fraction(count, SCALES[scale])
    printed = Printed(_decimal(round(exact * 10**places), places), scale)
    assert printed.matches(count)
    assert printed.high - printed.low == printed.step
    assert not printed.matches(count + 2 * printed.step)
    assert Printed(_decimal(int(exact * 10**places), places), scale).cut_from(count)


def _decimal(steps, places):
    """Whole steps of 10**-places as a decimal: (276, 1) is 27.6."""
    digits = f"{steps:0{places + 1}d}"
    return f"{digits[:-places]}.{digits[-places:]}" if places else digits
