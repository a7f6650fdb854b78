"""When networks merge time, against what their papers say of them."""

import pytest
import torch
from torch import nn

from flopcount import Clip, count_flops, create_model, weightless
from flopcount.analysis.merging import Merge, Merging, merging_of
from flopcount.analysis.receptive_field import receptive_field
from flopcount.models import CARDS


def merging(name, clip=None):
    model = weightless(create_model, name, clip=clip or CARDS[name].clip)
    shapes = tuple((1, *shape) for shape in model.recipe.inputs)
    return of(model, shapes)


def of(model, shapes):
    return merging_of(count_flops(model, shapes), receptive_field(model, shapes))


def test_toys_of_the_lecture():
    """Its table: late fusion builds up space and merges time at the end, early fusion at the start, a 3D CNN slowly."""
    late, early, slow = (merging(f"toy_{kind}") for kind in ("late_fusion", "early_fusion", "3d_cnn"))
    assert str(late) == "all at global_pool"
    assert (late.seen, late.profile()[0]) == (1, (0.0, 1))
    assert str(early) == "all at conv1"
    assert early.profile() == ((0.0, 20),)
    assert [(merge.layer, merge.frames) for merge in slow.merges] == [
        ("conv1", 3),
        ("pool1", 6),  # 3 + 3: four positions of stride one
        ("conv2", 14),  # 6 + 2·4
        ("global_pool", 20),
    ]
    assert str(slow) == "from conv1 (3 frames) on, all at global_pool"


def test_scores_of_frames_meet_behind_the_last_layer():
    single = merging("single_frame", Clip(4, 170, 170))
    assert single.merges == ()
    assert str(single) == "all behind the last layer"
    assert single.profile() == ((0.0, 1), (1.0, 4))


def test_slow_fusion_sees_ten_frames():
    """The paper: the first layers of slow fusion have temporal extents 4, 2, 2 and strides 2, 2: 4, 6, 10 frames."""
    slow = merging("slow_fusion")
    assert [(merge.frames, merge.whole) for merge in slow.merges] == [(4, False), (6, False), (10, False), (10, True)]
    assert str(slow).startswith("from features.conv1 (4 frames) on, as long as the clip at features.conv3")


def test_inputs_without_time():
    assert merging("two_stream").timeless
    assert str(merging("two_stream")).startswith("frames come as channels")


class Shared(nn.Module):
    """One activation behind two convolutions of three frames each: it merges nothing itself."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv3d(3, 4, (3, 1, 1), padding=(1, 0, 0))
        self.conv2 = nn.Conv3d(4, 4, (3, 1, 1), padding=(1, 0, 0))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.conv2(self.relu(self.conv1(x))))


def test_a_shared_activation_merges_nothing():
    merges = of(Shared(), ((1, 3, 8, 4, 4),)).merges
    assert [(merge.layer, merge.frames) for merge in merges] == [("conv1", 3), ("conv2", 5)]
    assert merges[0].before == 0
    assert merges[1].before == 2 * 4 * 8 * 16 * 3 * 3 + 4 * 8 * 16 + 4 * 8 * 16  # conv1 with its bias, and the ReLU


def test_never_all():
    found = of(Shared(), ((1, 3, 8, 4, 4),))
    assert str(found) == "from conv1 (3 frames) to conv2 (5), never all"
    assert found.complete is None


@pytest.mark.parametrize(
    ("merges", "text"),
    [
        ((), "never all"),
        ((Merge("a.b.c", 3, 0), Merge("d", 9, 5)), "from a.b (3 frames) on, as long as the clip at d"),
        ((Merge("d", 8, 5, whole=True),), "all at d"),
    ],
)
def test_words(merges, text):
    assert str(Merging(8, 10, merges)) == text


def test_shares_never_fall():
    profile = merging("c3d", Clip(16, 112, 112)).profile()
    assert list(profile) == sorted(profile)
    assert all(0 <= share <= 1 for share, _ in profile)
    torch.testing.assert_close(profile[0][0], 0.0)
