"""Columns that a reader picks, and one unit for all numbers of a column."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flopcount
from flopcount.core.errors import InputError, UnknownNameError
from flopcount.core.table_choices import in_units, parse_units, with_columns
from flopcount.core.units import in_prefix
from flopcount.output.terminal import terminal


@pytest.fixture(scope="module")
def table():
    return flopcount.count_model("c3d").by_module()


def test_columns_by_heading_or_by_name_in_data_in_the_order_asked(table):
    picked = with_columns(table, ["Other_FLOPs", "MACs", "read"])
    assert [column.name for column in picked.columns] == ["layer", "other", "MACs", "read"]
    assert picked.total[0] == "total"
    assert picked.total[2] == table.total[4]
    assert "GB" in terminal(picked, 40) or "MB" in terminal(picked, 40)  # none leaves a narrow terminal
    assert picked.to_csv().splitlines()[0] == "layer,other,MACs,read"
    assert [line.values[0] for line in picked.tree] == [line.values[0] for line in table.tree]


def test_an_unknown_column_has_near_names(table):
    with pytest.raises(UnknownNameError, match="no column named 'mac'") as caught:
        with_columns(table, ["mac"])
    assert "near    MACs" in str(caught.value)


def test_one_unit_for_all_with_digits_of_the_largest(table):
    text = terminal(in_units(table, parse_units("G,params=M")), 100)
    head = text.splitlines()[2]
    assert "params (M)" in head
    assert "MACs (G)" in head
    conv1 = next(line for line in text.splitlines() if line.startswith("conv1")).split()
    assert conv1[3:7] == ["0.01", "1.04", "2.08", "0.013"]  # 5,248 parameters; 1,040,449,536 MACs; 12,845,056 others
    total = next(line for line in text.splitlines() if line.startswith("total ")).split()
    assert total[1:4] == ["79.99", "38.55", "77.10"]


def test_data_keep_exact_numbers(table):
    assert in_units(table, parse_units("G")).to_csv() == table.to_csv()


def test_a_zero_stays_empty_and_calls_stay_numbers():
    by_kind = flopcount.count_model("c3d").by_kind()
    text = terminal(in_units(by_kind, parse_units("M")), 100)
    pooling = next(line for line in text.splitlines() if line.startswith("pool")).split()
    assert pooling == ["pool", "5", "17.07", "85.3", "17.1"]  # no MACs and no FLOPs


@pytest.mark.parametrize("text", ["", "X", "G,params=", "MACs"])
def test_a_unit_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="has no SI prefix"):
        parse_units(text)


def test_a_unit_of_an_unknown_column_is_refused(table):
    with pytest.raises(UnknownNameError, match="no column named 'parms'"):
        in_units(table, parse_units("parms=M"))


@given(st.integers(1, 10**18), st.sampled_from(["k", "M", "G", "T"]), st.integers(0, 3))
def test_what_is_not_zero_never_looks_like_zero(value, prefix, places):
    text = in_prefix(value, prefix, places)
    assert text.startswith("<") or float(text.replace(",", "")) > 0
