"""Sliders of a job's parameters: how far they go, what they move, and values as exact decimals."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from whole_jobs import whole_job

from flopcount import Pipeline, Stage
from flopcount.count import count
from flopcount.publishing.interactive.job_parameters import parameter_sliders, value_text


def slider(value, name="n", times="n"):
    stage = Stage("a", count(nn.Linear(2, 2), (1, 2), saving=False), times)
    return parameter_sliders(Pipeline([stage], parameters={name: value}))[0]


@pytest.mark.parametrize(
    ("name", "value", "ends"),
    [
        ("n", 50, (50, 1, 200, 1)),
        ("n", 1, (1, 1, 10, 1)),  # room to move
        ("n", 0, (0, 0, 10, 1)),
        ("passes", 2, (2, 1, 2, 1)),
        ("reuse", "0.3", ("0.3", "0", "0.95", "0.05")),
        ("reuse", 0, ("0", "0", "0.95", "0.05")),  # a share where it is zero too
        ("x", "0.33", ("0.33", "0", "0.95", "0.01")),
        ("x", "0.975", ("0.975", "0", "0.975", "0.001")),
        ("fps", "29.97", ("29.97", "0.01", "119.88", "0.01")),
    ],
)
def test_how_far_a_slider_goes(name, value, ends):
    found = slider(value, name, f"floor({name}) + 1")
    assert (found.value, found.least, found.most, found.step) == ends
    assert not found.fixed


def test_what_cannot_be_moved_says_why():
    job = whole_job()
    fixed = {slider.name: slider.fixed for slider in parameter_sliders(job) if slider.fixed}
    assert fixed == {
        "prompt": "no repeat and no unit depends on it",
        "encode.frames": "a parameter of the pipeline within encode",
    }
    third = slider("1/3", "x", "floor(x) + 1")
    assert (third.value, third.fixed) == ("1/3", "it is no number of a few decimals")
    moved = {slider.name: slider.what for slider in parameter_sliders(job)}
    assert moved["reuse"] == "encode, denoise"
    assert moved["fps"] == "per second"


@given(st.fractions(max_denominator=5000))
def test_a_decimal_is_the_value_itself(value):
    assert Fraction(value_text(value)) == value
