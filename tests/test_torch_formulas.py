"""An independent oracle: torch's own formulas over every network of the zoo, with attention in its decomposed form."""

import pytest
from modules import flops_by_torch

from flopcount import Kind, count_flops, create_model, weightless
from flopcount.models import CARDS


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_contractions_are_those_torch_counts(card):
    """At its own clip on meta tensors; torch leaves out recurrent layers, which are taken from ours."""
    if card.requires:
        pytest.importorskip(card.requires)
    model = weightless(create_model, card.name).eval()
    shapes = tuple((1, *shape) for shape in model.recipe.inputs)
    report = count_flops(model, shapes, strict=True)
    unrolled = sum(op.work.macs for op in report.ops if op.kind is Kind.RECURRENT)
    theirs = flops_by_torch(model, shapes)
    assert theirs in (2 * report.macs, 2 * (report.macs - unrolled))
    if not unrolled:
        assert theirs == report.flops
