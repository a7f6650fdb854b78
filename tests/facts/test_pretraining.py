"""The four kinds of pre-training, and the metric of a data set."""

import pytest

from flopcount.core.errors import UnknownNameError
from flopcount.facts import metric_of, published
from flopcount.facts.metrics import EPE, MAP, TOP1
from flopcount.facts.pretraining import Pretraining


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ("none", Pretraining.SCRATCH),
        ("imagenet1k", Pretraining.IMAGENET),
        ("imagenet21k", Pretraining.IMAGENET),
        ("imagenet (spatial)", Pretraining.IMAGENET),
        ("imagenet1k joint", Pretraining.IMAGENET),
        ("imagenet1k+k400", Pretraining.MORE),
        ("kinetics400 VideoMAE", Pretraining.MORE),
        ("self-supervised, no extra data", Pretraining.MORE),
        ("clip400m", Pretraining.MORE),
        ("jft300m", Pretraining.MORE),
        ("", Pretraining.UNSAID),
    ],
)
def test_kinds(entry, kind):
    assert Pretraining.of(entry) is kind


def test_every_row_has_a_kind_and_only_empty_entries_are_unsaid():
    assert {row.pretrain for row in published() if Pretraining.of(row.pretrain) is Pretraining.UNSAID} == {""}
    assert {row.pretrain for row in published() if Pretraining.of(row.pretrain) is Pretraining.SCRATCH} == {"none"}


def test_in_words():
    assert Pretraining.SCRATCH.described("none") == "from scratch"
    assert Pretraining.IMAGENET.described("imagenet21k") == "ImageNet (imagenet21k)"
    assert Pretraining.UNSAID.described("") == "not said"


def test_metrics():
    assert (metric_of("kinetics400"), metric_of("ava2.2"), metric_of("charades")) == (TOP1, MAP, MAP)
    with pytest.raises(UnknownNameError, match="kinetics400"):
        metric_of("kinetics40")
    assert TOP1.better(80, 79)
    assert EPE.better(1.4, 2.0)
