"""Words that fit: paths that lose what they share, and lines that break between words."""

import pytest

from flopcount.publishing.figures.words import paper_name, wrapped


@pytest.mark.parametrize(
    ("letters", "lines"),
    [
        (40, ["GMACs per pass (GFLOPs = 2 × GMACs)"]),
        (20, ["GMACs per pass", "(GFLOPs = 2 × GMACs)"]),
        (4, ["GMACs", "per", "pass", "(GFLOPs = 2 × GMACs)"]),
        (None, ["GMACs per pass (GFLOPs = 2 × GMACs)"]),
    ],
)
def test_an_equation_stays_on_a_line(letters, lines):
    assert wrapped("GMACs per pass (GFLOPs = 2 × GMACs)", letters).splitlines() == lines


def test_a_number_stays_with_its_unit():
    assert wrapped("from 1.78 ms to 2 ms", 10).splitlines() == ["from", "1.78 ms to", "2 ms"]


def test_networks_have_their_names_in_papers():
    assert paper_name("slowfast_r50_8x8") == "SlowFast R50 8×8"
    assert paper_name("mine.py:Net") == "mine.py:Net"
