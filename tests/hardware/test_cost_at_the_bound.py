"""An estimate that the bound raises is still the sum of its rows."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from flopcount.core.quantity import PICO
from flopcount.count import count
from flopcount.hardware.conditions import Conditions
from flopcount.hardware.constants import choose
from flopcount.hardware.cost import cost_on
from flopcount.hardware.time_model import CONSTANTS, Constants

TINY = Constants((1e-30,) * len(CONSTANTS))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 97), min_size=2, max_size=7), st.integers(1, 5))
def test_rows_sum_to_an_estimate_at_the_bound(widths, batch):
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    result = count(nn.Sequential(*layers).eval(), (batch, widths[0]), dataflow=True, saving=False)
    conditions = Conditions.of("rtx-4090", "amp")
    cost = cost_on(result, conditions, choice=replace(choose(conditions), constants=TINY))
    assert sum(op.spending.time for op in cost.result.ops) / PICO == cost.estimate
    assert (
        cost.bound <= cost.estimate == pytest.approx(cost.bound, abs=(len(layers) + 1) / PICO)
    )  # rows are whole picoseconds
