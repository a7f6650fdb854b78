"""Passes that grow: few are counted, and the sum is that of counting each."""

import pickle

import pytest
import torch
from decoding import Decode, passes
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from flopcount import TensorSpec
from flopcount.count import count
from flopcount.pipelines.growing import Growing


def by_force(module, number, start=5):
    one, _ = passes(module, start)
    return [one(k).total for k in range(number)]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7, 60])
def test_the_sum_is_that_of_counting_each_pass(number):
    module = Decode()
    one, counted = passes(module)
    growing = Growing(one)
    amounts = by_force(module, number)
    summed = growing.summed(number).total
    for name in ("macs", "other_flops", "bytes_read", "bytes_written"):
        assert summed[name] == sum(amount[name] for amount in amounts), name
    assert summed.params == amounts[0].params
    assert len(counted) <= 4  # the first, the second, the one in the middle and the last


def test_elements_of_an_operator_without_a_rule_grow_too():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.linalg.qr(x)[0]

    def one(k):
        return count(Odd(), TensorSpec((5 + k, 4)))

    summed = Growing(one).summed(7).uncosted
    each = [one(k).uncosted for k in range(7)]
    assert [row.elements for row in summed] == [sum(rows[0].elements for rows in each)]
    assert summed[0].calls == 7


def test_the_macs_of_a_decoding_step_by_hand():
    # projections 2·8·8, attention 2·L·8 for a cache of L = 5, 6, 7
    growing = Growing(passes(Decode())[0])
    assert growing.amount(3).macs == 3 * 2 * 8 * 8 + 2 * 8 * (5 + 6 + 7)
    (piece,) = growing.pieces(3)
    assert piece.amounts()["macs"] == (2 * 64 + 16 * 5, 16, 0)


@given(window=st.integers(1, 40), number=st.integers(1, 40))
@settings(max_examples=15)
def test_a_window_that_fills_is_found_wherever_it_is(window, number):
    module = Decode(window=window)
    growing = Growing(passes(module)[0])
    assert growing.amount(number).macs == sum(amount.macs for amount in by_force(module, number))


class Squared(nn.Module):
    """(1, L, D) -> (1, L, L): its work grows with the square of L."""

    def forward(self, x):
        return x @ x.transpose(1, 2)


def test_work_that_grows_with_the_square_is_one_piece():
    growing = Growing(lambda k: count(Squared(), TensorSpec((1, 3 + k, 8))))
    assert growing.amount(50).macs == sum(8 * (3 + k) ** 2 for k in range(50))
    assert len(growing.pieces(50)) == 1


def test_nothing_runs_no_times():
    assert Growing(passes(Decode())[0]).summed(0).total.macs == 0


def test_modules_and_operators_of_the_sum_say_how_often_they_run():
    result = Growing(passes(Decode())[0]).summed(10)
    assert result.module("query").calls == 10
    attention = next(row for row in result.operators if row.kind.value == "attention")
    assert attention.calls == 10
    assert sum(row.own.macs for row in result.modules) == result.macs == sum(row.cost.macs for row in result.operators)


def test_what_was_counted_survives_a_pickle_and_the_rest_is_refused():
    growing = Growing(passes(Decode())[0])
    growing.summed(10)
    copy = pickle.loads(pickle.dumps(growing))
    assert copy.amount(10) == growing.amount(10)
    with pytest.raises(Exception, match="count the model again"):
        copy.at(30)


def test_counting_is_of_the_module_as_it_is():
    module = Decode()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    Growing(passes(module)[0]).summed(5)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
