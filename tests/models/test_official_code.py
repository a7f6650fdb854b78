"""Networks of the zoo beside the code that they follow, if it is installed: the same layers and the same weights."""

import importlib.util
from collections import Counter

import pytest

from flopcount import Clip, Kind, count_flops, count_model, weightless
from flopcount.core.model_spec import ModelSpec
from flopcount.models.by_name import input_of
from flopcount.models.loading import find_model

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, which use much that torch deprecates
CONTRACTIONS = (Kind.CONV, Kind.LINEAR, Kind.MATMUL, Kind.ATTENTION, Kind.RECURRENT)

# ours, theirs, clip where it is not ours
PAIRS = [
    ("r3d_18", "torchvision:r3d_18", None),
    ("mc3_18", "torchvision:mc3_18", None),
    ("r2plus1d_18", "torchvision:r2plus1d_18", None),
    ("s3d", "torchvision:s3d", None),
    ("swin3d_t", "torchvision:swin3d_t", None),
    ("swin3d_s", "torchvision:swin3d_s", None),
    ("swin3d_b", "torchvision:swin3d_b", None),
    ("mvit_b_16x4", "torchvision:mvit_v1_b", None),
    ("mvitv2_s_16x4", "torchvision:mvit_v2_s", None),
    ("alexnet", "torchvision:alexnet", None),
    ("vgg16", "torchvision:vgg16", None),
    ("resnet50", "torchvision:resnet50", None),
    ("c2d_r50", "pytorchvideo:c2d_r50", None),
    ("i3d_r50", "pytorchvideo:i3d_r50", None),
    ("slow_r50_8x8", "pytorchvideo:slow_r50", None),
    ("slowfast_r50_8x8", "pytorchvideo:slowfast_r50", None),
    ("slowfast_r101_8x8", "pytorchvideo:slowfast_r101", None),
    ("slowfast_r101_50_50_16x8", "pytorchvideo:slowfast_16x8_r101_50_50", None),
    ("x3d_xs", "pytorchvideo:x3d_xs", None),
    ("x3d_s", "pytorchvideo:x3d_s", None),
    ("x3d_m", "pytorchvideo:x3d_m", None),
    ("x3d_l", "pytorchvideo:x3d_l", None),
    ("ir_csn_101", "pytorchvideo:csn_r101", "32x256x256"),
    ("r2plus1d_r50", "pytorchvideo:r2plus1d_r50", None),
]


@pytest.mark.parametrize(("ours", "theirs", "clip"), PAIRS)
def test_layer_by_layer(ours, theirs, clip):
    library, _ = theirs.split(":")
    importlib.util.find_spec(library) or pytest.skip(f"{library} is not installed")
    spec = ModelSpec(ours, clip)
    ours_built = weightless(find_model(spec))
    their_spec = ModelSpec(theirs, ours_built.recipe.clip)
    theirs_built = weightless(find_model(their_spec))
    mine, other = (
        count_flops(built, input_of(built, asked), strict=True)
        for built, asked in ((ours_built, spec), (theirs_built, their_spec))
    )
    assert other.input.shapes[-1] == mine.input.shapes[-1]
    assert layers(mine) == layers(other)
    assert (mine.macs, mine.params) == (other.macs, other.params)
    assert weights(ours_built) == weights(theirs_built)


@pytest.mark.parametrize(("theirs", "clip"), [("mvit_base_16x4", None), ("mvit_base_32x3", Clip(32, 224, 224))])
def test_pytorchvideos_mvit_has_queries_keys_and_values_apart(theirs, clip):
    """Three linear layers instead of one: the sums are the same."""
    importlib.util.find_spec("pytorchvideo") or pytest.skip("pytorchvideo is not installed")
    mine = count_model("mvit_b_16x4", clip=clip, strict=True)
    other = count_model(f"pytorchvideo:{theirs}", strict=True)
    assert other.input.shapes == mine.input.shapes
    assert (mine.macs, mine.params) == (other.macs, other.params)


def layers(report):
    """What each contraction costs, and how often; execution order may differ between branches."""
    return Counter(costed.work.macs for costed in report.ops if costed.kind in CONTRACTIONS)


def weights(module):
    """Sizes of all parameters in numbers, since a 1×1×1 convolution may be a linear layer."""
    return Counter(parameter.numel() for parameter in module.parameters())
