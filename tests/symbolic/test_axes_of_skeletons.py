"""Closed forms of networks that see skeletons: frames, joints and persons, not frames, height and width."""

import pytest

from flopcount import UnknownNameError, closed_form, closed_form_of, count_model, create_model


@pytest.mark.parametrize("name", ["stgcn", "agcn"])
def test_a_form_names_persons_frames_and_joints(name):
    form = closed_form_of(name)
    assert form.input == "1×2×T×17×3"
    assert [(axis.axis, axis.pinned) for axis in form.domains] == [("T", "")]
    for frames in (7, 64, 101):
        assert form.macs(T=frames) == count_model(name, clip=(frames, 17, 2)).macs


def test_a_built_network_knows_the_axes_of_its_input():
    form = closed_form(create_model("stgcn"), (1, 2, 100, 17, 3), "TM")
    assert form.input == "1×M×T×17×3"


def test_a_network_built_anew_has_axes_of_its_clip():
    """Joints are pinned: a graph has as many as it has."""
    form = closed_form_of("stgcn", rebuild=True)
    assert form.input == "clip T×V×M"
    assert [axis.axis for axis in form.domains if axis.pinned] == ["V"]
    assert form.macs(T=50, V=17, M=1) == count_model("stgcn", clip=(50, 17, 1)).macs


def test_a_skeleton_has_no_height():
    with pytest.raises(UnknownNameError, match="no axis named 'H'") as refused:
        closed_form_of("stgcn", "H", rebuild=True)
    assert dict(refused.value.details)["fix"] == "name some of T, V, M, B"
