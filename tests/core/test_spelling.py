"""Names as people write them."""

import pytest

from flopcount.core.spelling import letters_of, spelled
from flopcount.facts import datasets, devices, published
from flopcount.models import CARDS


def test_capitals_blanks_and_dashes_do_not_matter():
    assert [letters_of(name) for name in ("Kinetics-400", "RTX 4090", "ava_2.1")] == ["kinetics400", "rtx4090", "ava21"]
    names = ["3D CNN", "2D CNN"]
    assert [spelled(typed, names) for typed in ("3d cnn", "3D-CNN", "2dcnn", "4d cnn")] == [
        *names[:1] * 2,
        "2D CNN",
        "4d cnn",
    ]


def test_a_name_as_it_is_written_comes_before_one_of_the_same_letters():
    assert [spelled(typed, ["a-b", "ab"]) for typed in ("a-b", "ab")] == ["a-b", "ab"]


def test_an_alias_never_hides_a_name():
    assert spelled("k-400", ["K400", "kinetics400"], {"k400": "kinetics400"}) == "K400"
    assert spelled("K 400", ["kinetics400"], {"k400": "kinetics400"}) == "kinetics400"


@pytest.mark.parametrize(
    "names",
    [
        [device.name for device in devices()],
        [name for each in datasets().values() for name in (each.name, *each.aliases)],
        sorted({card.family for card in CARDS.values()}),
        sorted({row.family for row in published()}),
    ],
    ids=["devices", "data sets", "families of the zoo", "families of published rows"],
)
def test_no_two_names_have_the_same_letters(names):
    assert len({letters_of(name) for name in names}) == len(names)
