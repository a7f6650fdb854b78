"""The one line that an object is at a prompt."""

from dataclasses import dataclass, field
from enum import Enum

from flopcount.core.one_line import LONGEST, OneLine, one_line
from flopcount.core.protocol import Clip


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner(OneLine):
    size: int

    def _headline(self):
        return f"of {self.size}"

    def __str__(self):
        return "a table\nof two lines"


@dataclass(frozen=True)
class Outer(OneLine):
    name: str
    share: float = 0.5
    left: str = ""
    items: tuple[int, ...] = ()
    inner: Inner | None = None
    clip: Clip | None = None
    colour: Colour = Colour.RED
    hidden: int = field(default=3, repr=False)


class Further(Outer):
    """Not a dataclass of its own."""


def test_fields_in_few_words():
    assert repr(Outer("a")) == "<Outer name='a'>"
    shown = Outer("a", 0.25, "b", (1, 2, 3), Inner(5), Clip(1, 2, 3), hidden=4)
    assert repr(shown) == "<Outer name='a', share=0.25, left='b', 3 items, inner=<Inner of 5>, clip=1×2×3>"
    assert repr(Further("a")) == "<Further name='a'>"


def test_a_dataclass_does_not_put_its_own_in_the_place():
    assert repr(Inner(5)) == "<Inner of 5>"
    assert Inner.__repr__ is Outer.__repr__ is OneLine.__repr__


def test_a_long_one_is_cut_and_stays_a_line():
    assert one_line(Inner(1), "x" * LONGEST) == "<Inner " + "x" * (LONGEST - 9) + "…>"
    just = one_line(Inner(1), "x" * (LONGEST - 8))
    assert (len(just), just[-2:]) == (LONGEST, "x>")
    assert one_line(Inner(1), "two\nlines\tand \x1b[31m red") == "<Inner two lines and \\x1b[31m red>"
