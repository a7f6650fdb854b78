"""The networks of the zoo as parameters of a test that goes over them."""

from collections.abc import Collection, Iterable

import pytest

# One or two of each kind that are built and counted in no time; with the others such a test takes minutes.
QUICK = {
    *("single_frame", "late_fusion_pool", "toy_late_fusion", "toy_early_fusion", "toy_3d_cnn", "c3d", "two_stream"),
    *("cnn_lstm", "c2d_nl_r50", "slowfast_r50_4x16", "r2plus1d_18", "x3d_xs", "vit_b_8f", "mvit_b_16x4"),
    *("cnn_attention", "tsm_r50", "alexnet"),
}


def every(names: Iterable[str], *, slow: Collection[str] = ()) -> list:
    """All of them; those that are not quick, or not in this test, are marked slow."""
    return [pytest.param(name, marks=[] if name in QUICK.difference(slow) else pytest.mark.slow) for name in names]
