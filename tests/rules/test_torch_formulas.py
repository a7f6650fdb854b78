"""An independent oracle: torch's own formulas over every network of the zoo, with attention in its decomposed form."""

import pytest
from modules import flops_by_torch
from zoo import ALIKE, every

from flopcount import Kind, count_flops, create_model, weightless
from flopcount.models import CARDS


@pytest.mark.parametrize("name", every(CARDS, audits=ALIKE))
def test_contractions_are_those_torch_counts(name):
    """At its own clip on meta tensors; torch leaves out recurrent layers, so their count is that of flopcount."""
    if CARDS[name].requires:
        pytest.importorskip(CARDS[name].requires)
    model = weightless(create_model, name).eval()
    shapes = tuple((1, *shape) for shape in model.recipe.inputs)
    report = count_flops(model, shapes, strict=True)
    unrolled = sum(op.work.macs for op in report.ops if op.kind is Kind.RECURRENT)
    theirs = flops_by_torch(model, shapes)
    assert theirs in (2 * report.macs, 2 * (report.macs - unrolled))
    if not unrolled:
        assert theirs == report.flops
