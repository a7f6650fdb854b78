"""Reasons as values."""

from flopcount.core.reason import Reason


def test_equal_reasons_are_one():
    assert Reason("adds {} per {}", (5, "element")) == Reason("adds {} per {}", (5, "element"))
    assert Reason("adds {} per {}", (5, "element")) != Reason("adds {} per {}", (4, "element"))
    assert len({Reason("adds the bias"), Reason("adds the bias")}) == 1


def test_a_reason_in_words():
    assert str(Reason("adds {} per {}", (5, "element"))) == "adds 5 per element"
    assert str(Reason.in_words("no option {x}")) == "no option {x}"
    assert str(Reason("{}, and more", (Reason("has no hook for {}", ("Net{}",)),))) == "has no hook for Net{}, and more"
