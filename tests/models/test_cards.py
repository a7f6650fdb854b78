"""Files of cards, and the errors of such a file."""

from itertools import takewhile
from pathlib import Path

import pytest

from flopcount import Clip, InputError, UnknownNameError
from flopcount.models import CARDS, cards
from flopcount.models.cards import FILES, Card, read_cards

GROUP = """
[[group]]
family = "3D CNN"
year = 2014
paper = "https://paper"
code = "https://code"
file = "nets"
clip = "16x112x112"
smallest = "1x16x16"
stride = 1
num_classes = 487
"""
ROWS = """
[group.networks]
one = {label = "One", title = "The first"}
two = {label = "Two", title = "The second", clip = "8x32x32", size_of = "one", requires = "timm", lecture = true}
three = {label = "Three", title = "The third", sampling = "segments"}
"""
ONE = Card(
    *("one", "One", "The first", "3D CNN", 2014, "https://paper", "https://code", "nets", Clip(16, 112, 112)),
    *(Clip(1, 16, 16), 1, 487),
)


def test_a_row_has_what_its_group_says_and_its_own():
    one, two, three = read_cards(GROUP + ROWS)
    assert one == ONE
    assert (two.title, two.clip, two.smallest, two.file) == ("The second", Clip(8, 32, 32), one.smallest, "nets")
    assert (two.size_of, two.requires, two.lecture) == ("one", "timm", True)
    assert [card.sampling for card in (one, two, three)] == ["dense", "dense", "segments"]


def test_groups_follow_each_other():
    other = ROWS.replace("one =", "four =").replace("two =", "five =").replace("three =", "six =")
    names = [card.name for card in read_cards(GROUP + ROWS + GROUP + other)]
    assert names == ["one", "two", "three", "four", "five", "six"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("title = ", "titel = ", "no key of cards.toml, the row of one named 'titel'\n  near    title"),
        ("stride = 1\n", "strides = 1\n", "no key of cards.toml, the group of one, two, three named 'strides'"),
        ("stride = 1\n", "", "cards.toml, the row of one: no stride\n  fix     add it there or to the group above"),
        (', title = "The first"', "", "cards.toml, the row of one: no title"),
        (
            "year = 2014",
            'year = "2014"',
            "cards.toml, the group of one, two, three: year is '2014'\n  fix     write a whole",
        ),
        ("stride = 1\n", "stride = true\n", "cards.toml, the group of one, two, three: stride is True"),
        (
            'sampling = "segments"',
            'sampling = "uniform"',
            "cards.toml, the row of three: sampling is 'uniform'\n  fix     write dense or segments",
        ),
        (
            "stride = 1\n",
            'stride = 1\nsampling = ""\n',
            "cards.toml, the group of one, two, three: sampling is ''\n  fix     write dense or segments",
        ),
        (
            'sampling = "segments"',
            "sampling = true",
            "cards.toml, the row of three: sampling is True\n  fix     write a s",
        ),
        ('"The second"', "2", "cards.toml, the row of two: title is 2\n  fix     write a string"),
        ("lecture = true", "lecture = 1", "cards.toml, the row of two: lecture is 1\n  fix     write a truth value"),
        ('"8x32x32"', '"8x32"', "cards.toml, the row of two: clip: clip '8x32' is not frames x height x width"),
        (
            '"8x32x32"',
            "[8, 32, 32]",
            "cards.toml, the row of two: clip is .8, 32, 32.\n  fix     write a string such as",
        ),
        ("[group.networks]", "[group.networks", "cards.toml is not TOML: Expected"),
        ("[[group]]", "", "cards.toml has no groups"),
        ("[group.networks]", "", "cards.toml has no groups"),
        ("[[group]]", "[group]", "cards.toml has no groups"),
        ("two = {", 'two = "The second"  # {', "cards.toml, the row of two: 'The second'\n  fix     write NAME = "),
    ],
)
def test_a_malformed_row_is_refused_with_its_place(before, after, message):
    text = GROUP + ROWS
    assert before in text
    with pytest.raises((InputError, UnknownNameError), match=message):
        read_cards(text.replace(before, after, 1))


def test_a_network_stands_once():
    with pytest.raises(InputError, match=r"cards\.toml has one twice"):
        read_cards(GROUP + ROWS + GROUP + ROWS)


def test_every_card_is_built_by_the_function_of_its_name():
    from importlib import import_module

    for card in CARDS.values():
        assert callable(getattr(import_module(f"flopcount.models.networks.{card.file}"), card.name))


def test_every_file_of_cards_is_read():
    folder = Path(cards.__file__).with_name("zoo_cards")
    assert sorted(FILES) == sorted(file.stem for file in folder.iterdir())


def test_no_two_networks_share_a_name_in_papers():
    labels = [card.label for card in CARDS.values()]
    assert sorted(set(labels)) == sorted(labels)
    assert not {card.name for card in CARDS.values() if card.label in (card.name, "")}


OTHER_DATA_OR_PAPER = {"tsm_r101", "st_adapter_b16_24x384", "umt_b16", "umt_l16"}
"""Networks that differ only in sizes from one that takes other frames: tested on Something-Something, or of another
paper."""


def test_networks_that_differ_only_in_sizes_take_the_same_frames():
    sizes = [card for card in CARDS.values() if card.size_of is not None]
    assert {card.name for card in sizes if card.sampling != CARDS[card.size_of].sampling} == OTHER_DATA_OR_PAPER


def test_a_clip_of_segments_is_several_frames_of_a_video():
    of_segments = [card for card in CARDS.values() if card.sampling == "segments"]
    assert of_segments
    for card in of_segments:
        assert (card.clip_axes, card.clip.frames > 1) == ("THW", True), card.name
        assert card.family in ("2D CNN", "transformer", "image and language", "state space"), card.name


def test_whoever_takes_segments_names_a_source_above_it():
    for file in FILES:
        lines = (Path(cards.__file__).with_name("zoo_cards") / f"{file}.toml").read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if 'sampling = "segments"' in line:
                above = list(takewhile(lambda text: text.startswith("#"), reversed(lines[:number])))
                assert any(text.startswith("# Segments") for text in above), f"{file}.toml, line {number + 1}"
