"""Amounts: a zero is not an unknown, and an unknown is not a zero."""

import copy
import inspect
import pickle

import pytest

from flopcount.core.amount import Amount, summed
from flopcount.core.quantity import TABLE
from flopcount.core.result import Result

WORK = Amount({"macs": 5, "other_flops": 3})
OWNED = Amount({"params": 7})


def test_nothing_is_nothing_of_everything():
    assert Amount().macs == Amount().params == Amount().total_flops == 0
    assert not Amount()
    assert Amount() + WORK == WORK + Amount() == summed([WORK]) == WORK
    assert WORK - Amount() == WORK
    assert Amount() - WORK == Amount({"macs": -5, "other_flops": -3})
    assert (Amount() * 3).macs == (Amount() // 3).macs == Amount().growing("views").macs == 0
    assert pickle.loads(pickle.dumps(Amount())).macs == copy.deepcopy(Amount()).macs == 0


@pytest.mark.parametrize("amount", [WORK + OWNED, OWNED.growing("views"), WORK.only(["params"]), OWNED])
def test_what_is_not_known_stays_so(amount):
    assert not amount.knows(TABLE["macs"])
    with pytest.raises(AttributeError, match="the number of MACs is not known"):
        _ = amount.macs
    assert not (amount + WORK).knows(TABLE["macs"])
    assert not pickle.loads(pickle.dumps(amount)).knows(TABLE["macs"])


def test_arithmetic():
    both = Amount({**WORK.counts, **OWNED.counts})
    assert both * 3 == Amount({"macs": 15, "other_flops": 9, "params": 7})  # three times over: the same parameters
    assert both // 2 == Amount({"macs": 2, "other_flops": 1, "params": 7})
    assert both - WORK == Amount({"macs": 0, "other_flops": 0})
    assert hash(both) == hash(Amount({**OWNED.counts, **WORK.counts}))
    for wrong in (lambda: both + 5, lambda: both * 1.5, lambda: both // 2.0):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AttributeError, match="an amount has no mcas"):
        _ = both.mcas


def test_attributes_of_a_total_are_documented():
    assert inspect.getdoc(Result.macs) == "Multiply-accumulates of all contractions."
