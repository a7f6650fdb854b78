"""The networks of the zoo as parameters of a test that goes over them."""

from collections.abc import Collection, Iterable

import pytest

# One of each kind that are built and counted in no time; with the others such a test takes minutes.
QUICK = {
    *("late_fusion_pool", "toy_late_fusion", "toy_early_fusion", "toy_3d_cnn", "c3d", "two_stream", "cnn_lstm"),
    *("x3d_xs", "vit_b_8f", "cnn_attention", "tsm_r50", "alexnet"),
}


def every(names: Iterable[str], *, slow: Collection[str] = ()) -> list:
    """All of them; those that are not quick, or not in this test, are marked slow."""
    return [pytest.param(name, marks=[] if name in QUICK.difference(slow) else pytest.mark.slow) for name in names]
