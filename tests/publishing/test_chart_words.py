"""Words that fit: paths that lose what they share, and lines that break between words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount.publishing.figures.paths import shortened
from flopcount.publishing.figures.words import paper_name, wrapped

DEEP = [f"encoder.layers.{i}.attention.{part}" for i in range(3) for part in ("query", "output.dense")]


def test_paths_lose_what_they_share_from_their_middle():
    assert shortened(DEEP, 40) == DEEP
    assert shortened(DEEP, 24)[:2] == ["encoder…0…query", "encoder…0…output.dense"]
    assert shortened([*DEEP, "45 others"], 15)[:2] == ["encoder…0…query", "…0…output.dense"]
    assert shortened(DEEP, 12)[-2:] == ["…2…query", "…2…output…"]
    assert shortened(["conv1", "layer1.0", "45 others"], 8) == ["conv1", "layer1.0", "45 others"]
    assert shortened(["conv1", "convolution"], 6) == ["conv1", "co…ion"]


PARTS = st.lists(st.sampled_from(["a", "block", "attention_head", "0", "1"]), min_size=1, max_size=6)


@given(st.lists(PARTS.map(".".join), unique=True, max_size=12), st.integers(3, 40))
def test_no_two_paths_become_the_same(paths, letters):
    names = shortened(paths, letters)
    assert len(set(names)) == len(names)
    for path, name in zip(paths, names, strict=True):
        assert len(name) <= len(path)
        assert name == path or len(path) > letters
        begin, _, end = name.partition("…")
        assert path.startswith(begin)
        assert path.endswith(end.rpartition("…")[2])


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
