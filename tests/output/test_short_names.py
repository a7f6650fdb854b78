"""Names that are cut still differ."""

from hypothesis import given
from hypothesis import strategies as st

from flopcount.output.short_names import shortened


def cut(names, width):
    return shortened(names, [width] * len(names))


def test_both_ends_stay_where_that_is_enough():
    assert cut(["features.denseblock1.conv", "head"], 14) == ["featu…ck1.conv", "head"]


def test_the_number_that_differs_stays():
    names = [f"blocks.{number}.attn.qkv" for number in range(12)]
    assert cut(names, 14)[:2] == ["…0.attn.qkv", "…1.attn.qkv"]
    assert len(set(cut(names, 14))) == 12


def test_what_differs_early_stays_with_the_tail_cut():
    names = [f"stream.{kind}.layer4.2.conv3.weight_norm" for kind in ("rgb", "flow")]
    assert cut(names, 16) == ["…rgb.layer…_norm", "…flow.laye…_norm"]


@given(st.lists(st.text("ab.", min_size=1, max_size=30), min_size=1, max_size=6), st.integers(7, 20))
def test_no_name_is_wider_than_asked(names, width):
    texts = cut(names, width)
    assert all(len(text) <= width for text in texts)
    assert all(text == name for text, name in zip(texts, names, strict=True) if len(name) <= width)


@given(st.text("abc.", min_size=20, max_size=40), st.text("abc.", min_size=20, max_size=40), st.integers(9, 16))
def test_names_with_one_difference_differ(before, after, width):
    names = [f"{before}{digit}{after}" for digit in "12345"]
    assert len(set(cut(names, width))) == 5


DEEP = [f"encoder.layers.{i}.attention.{part}" for i in range(3) for part in ("query", "output.dense")]


def test_deep_paths_keep_what_differs():
    assert cut(DEEP, 40) == DEEP
    assert cut(DEEP, 20)[:2] == ["…0.attention.query", "…0.attentio…ut.dense"]
    assert cut(["conv1", "layer1.0", "45 others"], 9) == ["conv1", "layer1.0", "45 others"]


PARTS = st.lists(st.sampled_from(["a", "block", "attention_head", "0", "1"]), min_size=1, max_size=4)


@given(st.lists(PARTS.map(".".join), unique=True, max_size=8), st.integers(24, 40))
def test_paths_stay_apart_where_there_is_room(paths, width):
    texts = cut(paths, width)
    assert len(set(texts)) == len(texts)
    assert all(len(text) <= width for text in texts)
