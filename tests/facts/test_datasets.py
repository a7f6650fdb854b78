"""Data sets by all the names that they go by."""

import pytest

from flopcount import InputError
from flopcount.facts import classes_of, datasets, find_dataset, metric_of
from flopcount.facts.metrics import MAP
from flopcount.publishing.candidates import (
    FLOW_BENCHMARKS,
    candidates_on,
    find_benchmark,
    networks_on,
    require_compared,
)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("kinetics400", "kinetics400"),
        ("Kinetics-400", "kinetics400"),
        ("k400", "kinetics400"),
        ("Something-Something V2", "ssv2"),
        ("UCF 101", "ucf101"),
        ("AVA v2.2", "ava2.2"),
    ],
)
def test_names_that_people_write(typed, name):
    assert find_dataset(typed) == name
    assert (classes_of(typed), metric_of(typed)) == (datasets()[name].classes, datasets()[name].metric)


def test_an_unknown_one_is_refused_with_near_names():
    with pytest.raises(InputError, match=r"no data set named 'kinetics40'\n  near +kinetics400"):
        find_dataset("kinetics40")
    assert metric_of("AVA-2.2") is MAP


def test_benchmarks_of_flow_are_among_what_is_compared():
    assert [find_benchmark(name) for name in ("Sintel final", "KITTI-15", "k600")] == [
        "sintel_final",
        "kitti15",
        "kinetics600",
    ]
    with pytest.raises(InputError) as refused:
        find_benchmark("kitti 2012")
    (fix,) = [text for label, text in refused.value.details if label == "fix"]
    assert fix == f"choose {', '.join([*networks_on(), *FLOW_BENCHMARKS])}"


def test_a_data_set_without_a_network_is_refused_with_those_that_have_one():
    without = next(name for name in datasets() if not candidates_on(name))
    with pytest.raises(InputError, match=f"no network of the zoo has a top-1 on {without}") as refused:
        require_compared(without)
    assert "kinetics400" in refused.value.details[0][1]
    require_compared("kinetics400")
