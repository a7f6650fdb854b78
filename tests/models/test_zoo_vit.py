"""Vision transformers over all patches of a clip, or over space and then time: hand counts, papers, timm's own."""

import importlib.util

import pytest
import torch

from flopcount import Clip, InputError, ModelSpec, create_model
from flopcount.models.library import ready_library
from flopcount.models.library_registry import find_library
from flopcount.models.networks.vit import JointViT, SelfAttention, Size
from flopcount.verification import readings
from flopcount.verification.readings import EVAL_NORM, LAYERS, XLA

BASE, LARGE = (768, 12), (1024, 24)  # channels, blocks


def count(name, **options):
    return readings.count(ModelSpec(name, options=options))


def blocks(tokens, dim, depth, hidden=None):
    """MACs of attention among all tokens and of the MLPs."""
    return depth * tokens * (4 * dim * dim + 2 * dim * (hidden or 4 * dim) + 2 * tokens * dim)


def test_a_joint_vit_by_hand():
    patches = 8 * 14 * 14
    assert count("vit_b_8f").macs == patches * 768 * 3 * 256 + blocks(1 + patches, *BASE) + 768 * 400
    assert count("mae_st_vit_l_16x4").macs == patches * 1024 * 6 * 256 + blocks(1 + patches, *LARGE) + 1024 * 400


def test_space_first_and_time_then_by_hand():
    spatial = 64 * (196 * 1024 * 6 * 256 + blocks(197, *LARGE))
    assert count("vivit_l_16x2_fe").macs == spatial + blocks(65, *LARGE) + 1024 * 400
    spatial = 16 * (196 * 768 * 3 * 256 + blocks(197, *BASE))
    assert count("stam_16").macs == spatial + blocks(17, 768, 6, hidden=2048) + 768 * 400


def test_printed_costs_of_joint_vits_and_stam():
    """MViT, table 4; MAE's model zoo, which adds 5 per normalised element; STAM's, which leaves attention out."""
    assert round(count("vit_b_8f").macs / 1e8) == 1796
    for name, printed in [("mae_st_vit_b_16x4", 180), ("mae_st_vit_l_16x4", 598), ("mae_st_vit_h_16x4", 1193)]:
        counted = count(name)
        assert printed in {round(counted.macs / 1e9), round((counted.macs + counted.added[EVAL_NORM]) / 1e9)}
    for name, printed in [("stam_8", 135), ("stam_16", 270), ("stam_32", 540), ("stam_64", 1080)]:
        counted = count(name)
        assert round((counted.macs + counted.added[LAYERS]) / 1e9) == printed


def test_printed_parameters():
    """MViT, table 4; MAE's model zoo."""
    assert round(count("vit_b_8f").params / 1e5) == 872
    assert round(count("mae_st_vit_h_16x4").params / 1e6) == 632


@pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="wraps transformers")
def test_vivit_prints_half_of_what_xla_counts():
    """ViViT, tables 4 and 5a: the factorised encoder, three views of it, and model 1."""
    fe, joint = count("vivit_l_16x2_fe"), count("vivit_l_16x2")
    assert round((fe.macs + fe.added[XLA]) / 1e9) == 3980
    assert round(3 * (fe.macs + fe.added[XLA]) / 1e10) == 1194
    assert round((joint.macs + joint.added[XLA]) / 1e9) == 1446
    huge = count("vivit_h_16x2", patch=14)
    assert round(12 * (huge.macs + huge.added[XLA]) / 1e10) == 4777


@pytest.mark.parametrize("name", ["vit_b_8f", "mae_st_vit_b_16x4", "vivit_b_16x2_fe", "stam_16"])
def test_positions_are_sized_to_the_clip(name):
    model = create_model(name, clip="4x32x48", num_classes=3).eval()
    with torch.no_grad():
        assert model(torch.randn(2, 3, 4, 32, 48)).shape == (2, 3)
    assert model.recipe.departures[0].startswith("position embeddings sized for 4×32×48, the paper's for ")
    with pytest.raises(InputError, match=r"clip 2×32×40 does not consist of whole [12]×16×16 patches"):
        create_model(name, clip="2x32x40")


def test_attention_is_torchs():
    torch.manual_seed(0)
    layer = SelfAttention(24, 3)
    theirs = torch.nn.MultiheadAttention(24, 3, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": layer.qkv.weight,
            "in_proj_bias": layer.qkv.bias,
            "out_proj.weight": layer.proj.weight,
            "out_proj.bias": layer.proj.bias,
        }
    )
    x = torch.randn(2, 5, 24)
    assert torch.allclose(layer(x), theirs(x, x, x)[0], atol=1e-6)


def test_one_frame_is_timms_image_network():
    importlib.util.find_spec("timm") or pytest.skip("timm is not installed")
    timm = ready_library(find_library("timm"), "timm")
    torch.manual_seed(0)
    reference = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=7).eval()
    ours = JointViT(Clip(1, 32, 32), 7, Size(192, 12, 3), 1, mean_pooled=False).eval()
    names = {"cls_token": "pos_encoding.class_token", "pos_embed": "pos_encoding.positions"}
    weights = {
        names.get(key, key.replace("patch_embed.proj", "patch_embed").replace("fc1", "0").replace("fc2", "3")): value
        for key, value in reference.state_dict().items()
    }
    own = ours.state_dict()
    assert weights.keys() == own.keys()
    ours.load_state_dict({key: value.reshape(own[key].shape) for key, value in weights.items()})
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(ours(x.unsqueeze(2)), reference(x), atol=1e-5)


def test_frames_are_looked_at_apart_and_places_in_time_matter():
    torch.manual_seed(0)
    model = create_model("vivit_b_16x2_fe", clip="4x32x32", num_classes=3).eval()
    x = torch.randn(1, 3, 4, 32, 32)
    seen = []
    model.temporal.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        scores, swapped = model(x), model(torch.cat([x[:, :, 2:], x[:, :, :2]], 2))
    assert torch.allclose(seen[0].flip(1), seen[1], atol=1e-5)
    assert not torch.allclose(scores, swapped, atol=1e-5)
