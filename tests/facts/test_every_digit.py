"""Costs that mmaction2's old metafiles print with every digit, made of MACs and of what mmcv's counter adds to them.

`tools/analysis/get_flops.py` of mmaction2 0.x calls `get_model_complexity_info` of mmcv. Its hooks (flops_counter.py
in mmcv/cnn/utils) add 2 per element of an affine normalisation, and 1 per element of a ReLU, per input element of a
pooling layer and per output element of a convolution with bias. All of these are written out by hand here.
"""

import pytest

from flopcount import count_model
from flopcount.facts import published

OLD = "71a938ab54c0ce54c43b6c21b9658408a2bb3c0f"

# Activations of ResNet-50 per frame at 224×224: stem; in each stage the first block, with its downsampling layer (the
# stride is in the 3×3 layer), then the others; a block is 1×1, 3×3, 1×1.
STEM = 64 * 112**2
STAGES = [
    (64 + 64 + 256) * 56**2 + 2 * (64 + 64 + 256) * 56**2,
    128 * 56**2 + (128 + 512) * 28**2 + 3 * (128 + 128 + 512) * 28**2,
    256 * 28**2 + (256 + 1024) * 14**2 + 5 * (256 + 256 + 1024) * 14**2,
    512 * 14**2 + (512 + 2048) * 7**2 + 2 * (512 + 512 + 2048) * 7**2,
]
DOWNSAMPLED = 256 * 56**2 + 512 * 28**2 + 1024 * 14**2 + 2048 * 7**2
RELUS = STEM + sum(STAGES)
RESNET50 = 2 * (RELUS + DOWNSAMPLED) + RELUS + STEM + 2048 * 7**2  # norms, ReLUs, max pool, average pool

# C3D at 16×112×112, without normalisation: outputs of its convolutions, each with bias and ReLU; a pool reads the last
# of each stage; two fully connected layers have a ReLU.
STAGES_OF_C3D = [64 * 16 * 112**2, 128 * 16 * 56**2, 256 * 8 * 28**2, 512 * 4 * 14**2, 512 * 2 * 7**2]
CONVOLUTIONS = sum(times * size for times, size in zip([1, 1, 2, 2, 2], STAGES_OF_C3D, strict=True))
C3D = 2 * CONVOLUTIONS + 2 * 4096 + sum(STAGES_OF_C3D)


def _printed(model, dataset, frames):
    rows = [r for r in published() if OLD in r.url and (r.model, r.dataset, r.frames) == (model, dataset, frames)]
    return {int(row.cost.value) for row in rows}


def test_what_mmcv_adds_by_hand():
    assert RESNET50 == 32_739_840
    assert C3D == 68_097_024


@pytest.mark.parametrize(
    ("name", "clip", "classes", "added", "row"),
    [
        ("c3d", "16x112x112", 101, C3D, ("c3d_16x1", "ucf101", 16)),
        ("tsn_r50", "8x224x224", 48, 8 * RESNET50, ("tsn_r50", "diving48", 8)),
        ("tsm_r50", "8x224x224", 48, 8 * RESNET50, ("tsm_r50_8f", "diving48", 8)),
        # 8×8 positions instead of 7×7; our head has 2×2 of them, as PySlowFast's, where mmaction2 pools all
        (
            "slow_r50_8x8",
            "4x256x256",
            400,
            4 * RESNET50 * 64 // 49 - 3 * 2048 * 400,
            ("slow_r50_4x16", "kinetics400", 4),
        ),
    ],
)
def test_every_digit_of_an_old_metafile(name, clip, classes, added, row):
    assert count_model(name, clip=clip, num_classes=classes).macs + added in _printed(*row)
