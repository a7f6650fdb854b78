"""Networks over skeletons: hand counts, what mmaction2 prints, and clips that are frames × joints × persons.

At commit 4d6c934 of mmaction2, its backbones STGCN (as ST-GCN and as ST-GCN++) and AAGCN (gcn_attention=False) were
built beside these, for each of the three layouts: the same matrices, contractions and parameters, and with the same
weights features equal to 1e-7. Its ResNet3dSlowOnly with the configurations of PoseC3D has the same contractions and
parameters.
"""

import pytest
import torch

from flopcount import Clip, InputError, ModelSpec, count_model, create_model
from flopcount.facts.printed import Printed
from flopcount.models.networks.skeleton_graph import SKELETONS, by_direction, by_distance
from flopcount.verification import readings
from flopcount.verification.readings import EVAL_NORM

STAGES = [(3, 64, 1), *[(64, 64, 1)] * 3, (64, 128, 2), *[(128, 128, 1)] * 2, (128, 256, 2), *[(256, 256, 1)] * 2]
KINDS = 3  # of neighbours


def count(name, clip=None, **options):
    return readings.count(ModelSpec.of(name, clip=clip, options=options))


def by_hand(stage, joints, frames=100, persons=2):
    """MACs of ten stages and the classifier of 60 classes; `stage` gives those of one."""
    total = 256 * 60
    for number, (dim_in, dim_out, stride) in enumerate(STAGES):
        before, after = persons * frames * joints, persons * frames // stride * joints
        total += stage(dim_in, dim_out, before, after, joints)
        if number and dim_in != dim_out:
            total += after * dim_in * dim_out  # the shortcut around the stage
        frames //= stride
    return total


@pytest.mark.parametrize("joints", SKELETONS)
def test_st_gcn_by_hand(joints):
    def stage(dim_in, dim_out, before, after, joints):
        mixed = before * dim_in * KINDS * dim_out + before * joints * KINDS * dim_out
        return mixed + after * 9 * dim_out * dim_out

    assert count("stgcn", (100, joints, 2)).macs == by_hand(stage, joints)


def test_st_gcn_plus_plus_by_hand():
    def stage(dim_in, dim_out, before, after, joints):
        mixed = before * dim_in * KINDS * dim_out + before * joints * KINDS * dim_out
        shortcut = before * dim_in * dim_out if dim_in != dim_out else 0
        thin = dim_out // 6
        first = dim_out - 5 * thin
        narrowed = before * dim_out * (first + 4 * thin) + after * dim_out * thin
        dilated = after * 3 * (first * first + 3 * thin * thin)
        return mixed + shortcut + narrowed + dilated + after * dim_out * dim_out

    assert count("stgcnpp").macs == by_hand(stage, 17)


def test_agcn_by_hand():
    def stage(dim_in, dim_out, before, after, joints):
        compared = before * dim_in * 2 * (dim_out // 4) + before * joints * (dim_out // 4)
        mixed = before * joints * dim_in + before * dim_in * dim_out
        shortcut = before * dim_in * dim_out if dim_in != dim_out else 0
        return KINDS * (compared + mixed) + shortcut + after * 9 * dim_out * dim_out

    assert count("agcn").macs == by_hand(stage, 17)


def test_the_first_stage_of_posec3d_by_hand():
    report = count_model("posec3d_r50")
    macs = {row.path: row.cost.macs for row in report.modules}
    assert macs["blocks.0.conv"] == 48 * 56 * 56 * 32 * 17 * 7 * 7
    first = 48 * 56 * 56 * 32 * 32 + 48 * 28 * 28 * (32 * 32 * 9 + 32 * 128 + 32 * 128)  # the shortcut strides too
    assert macs["blocks.1.res_blocks.0"] == first
    # the last stage takes every second frame
    assert macs["blocks.3.res_blocks.1"] == 24 * 7 * 7 * (512 * 128 * 3 + 128 * 128 * 9 + 128 * 512)


@pytest.mark.parametrize(
    ("name", "joints", "cost", "params"),
    [
        ("stgcn", 17, "3.8", "3.1"),
        ("stgcn", 25, "5.7", "3.1"),
        ("stgcnpp", 17, "1.95", "1.39"),
        ("stgcnpp", 25, "2.96", "1.4"),
        ("agcn", 25, "6.5", "3.5"),
    ],
)
def test_mmaction2_prints_2_more_per_element_of_batch_norm(name, joints, cost, params):
    """mmengine's counter takes the einsum of ST-GCN and the matmul of 2s-AGCN too."""
    counted = count(name, (100, joints, 2))
    assert Printed.parse(cost, "G").matches(counted.macs + counted.added[EVAL_NORM])
    assert Printed.parse(params, "M").matches(counted.params)


@pytest.mark.parametrize(
    ("depths", "side", "classes", "cost", "params"),
    [
        ("4-6-3", 64, 60, "20.6", "2.0"),
        ("3-4-6", 56, 101, "14.6", "3.1"),
        ("3-4-6", 56, 51, "14.6", "3.0"),
        ("3-4-6", 64, 400, "19.1", "3.2"),
    ],
)
def test_posec3d_is_printed_at_the_size_of_tests(depths, side, classes, cost, params):
    spec = ModelSpec.of("posec3d_r50", clip=(48, side, side), num_classes=classes, options={"depths": depths})
    counted = readings.count(spec)
    assert Printed.parse(cost, "G").matches(counted.macs + counted.added[EVAL_NORM])
    assert Printed.parse(params, "M").matches(counted.params)


def test_posec3d_has_two_depths():
    with pytest.raises(InputError, match="depths is '3-4-6-3'"):
        create_model("posec3d_r50", depths="3-4-6-3")


@pytest.mark.parametrize("joints", SKELETONS)
def test_each_joint_takes_a_mean_of_its_neighbours(joints):
    skeleton = SKELETONS[joints]
    assert len(skeleton.limbs) == joints - 1  # a tree
    distances, directions = by_distance(skeleton), by_direction(skeleton)
    torch.testing.assert_close(distances.sum((0, 1)), torch.ones(joints))
    assert set(directions.sum(1).flatten().tolist()) <= {0.0, 1.0}
    assert (distances.sum(0) > 0).equal(directions.sum(0) > 0)


@pytest.mark.parametrize("name", ["stgcn", "stgcnpp", "agcn"])
def test_a_clip_is_frames_joints_and_persons(name):
    report = count_model(name)
    assert report.input.shapes == ((1, 2, 100, 17, 3),)
    assert report.input.clip == Clip(100, 17, 2)
    assert 2 * count_model(name, clip="100x17x1").macs == pytest.approx(report.macs, abs=256 * 60)
    with pytest.raises(InputError, match="clip 16×112×112 has 112 joints, and no skeleton has"):
        create_model(name, clip="16x112x112")


def test_a_person_more_is_a_departure_where_persons_are_normalised_apart():
    assert count_model("agcn", clip="100x25x3").departures == ("normalisation sized for 3 persons, the source's for 2",)
    assert count_model("stgcn", clip="100x25x3").departures == ()


def test_persons_are_averaged_in_any_order():
    torch.manual_seed(0)
    model = create_model("stgcn", clip="8x17x2", num_classes=3).eval()
    x = torch.randn(2, 2, 8, 17, 3)
    with torch.no_grad():
        torch.testing.assert_close(model(x), model(x.flip(1)))
