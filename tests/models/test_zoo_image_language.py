"""Networks on CLIP, Motionformer and VidTr: hand counts, printed costs, the original code, the library's own forward.

The originals were built beside ours on meta tensors, and with the same weights for real, on 2026-12-01: X-CLIP
(microsoft/VideoX at 1744b21), ActionCLIP (sallymmx/ActionCLIP at 31c34df), AIM (taoyang1122/adapt-image-models at
b3580d2), ST-Adapter (linziyi96/st-adapter at b914b38), EVL (OpenGVLab/efficient-video-recognition at b282e8b),
Motionformer (facebookresearch/Motionformer at bf43d50) and VidTr (amazon-science/gluonmm at 29d63b3). MACs are the same
to the last one, layer by layer, and where weights were copied (all but X-CLIP), scores differed by less than 1e-6,
ActionCLIP's by 2e-5, whose norms over time have another epsilon. Parameters are the same but for those of Motionformer
that nothing uses, and for the bias that EVL's code gives to patches, where CLIP has none.
"""

import pytest
import torch

from flopcount import Clip, InputError, UnknownNameError, create_model, weightless
from flopcount.core.model_spec import ModelSpec
from flopcount.facts.printed import Printed
from flopcount.models.loading import find_model
from flopcount.models.networks.aim import Adapter
from flopcount.models.networks.evl import NeighbourAttention
from flopcount.models.networks.motionformer import TrajectoryAttention
from flopcount.models.networks.st_adapter import SpaceTimeAdapter
from flopcount.models.networks.vidtr import PoolingBlock, SplitAttention
from flopcount.models.networks.x_clip import XClip
from flopcount.verification import readings
from flopcount.verification.readings import EVAL_NORM

D, SQUARE = 768, 768 * 768  # channels of the base networks


def count(name, clip=None, **options):
    return readings.count(ModelSpec(name, Clip.parse(clip) if clip else None, options=options))


def blocks(tokens, dim, depth):
    """MACs of attention among all tokens and of MLPs with four times the channels."""
    return depth * tokens * (12 * dim * dim + 2 * tokens * dim)


def of_frames(frames, patches=196, side=16):
    """MACs of CLIP's base image encoder on frames, without its projection."""
    return frames * (patches * D * 3 * side * side + blocks(1 + patches, D, 12))


def test_x_clip_by_hand():
    pytest.importorskip("transformers")
    frames, patches, out = 8, 49, 512
    attention = 4 * SQUARE * 51 + 2 * 51 * 51 * D  # over patches, class token and message
    message = SQUARE + 4 * SQUARE + 2 * frames * D
    encoder = patches * D * 3 * 32 * 32 + 12 * (attention + message + 8 * SQUARE * 50) + D * out
    prompts = 2 * (400 * (2 + 8) * out * out + 2 * patches * out * out + 2 * 400 * patches * out)
    over_patches = frames * patches * D * out
    expected = frames * encoder + blocks(frames, out, 1) + over_patches + prompts + 400 * out
    assert count("xclip_b32").macs == expected
    texts = 400 * (blocks(77, out, 12) + out * out)
    assert count("xclip_b32", text_encoder=True).macs == expected + texts


def test_x_clip_prints_what_600_classes_cost():
    """The README's rows of Kinetics-600; with patches of 16 and 32 its rows of Kinetics-400 fit these classes too."""
    pytest.importorskip("transformers")
    small = {"8x224x224": "39", "16x224x224": "75"}
    for name, costs in (("xclip_b32", small), ("xclip_b16", {"8x224x224": "145", "16x224x224": "287"})):
        for clip, printed in costs.items():
            spec = ModelSpec(name, Clip.parse(clip), 600)
            assert Printed(printed, "G").matches(readings.count(spec).macs)
    large = count("xclip_l14")
    assert Printed("658", "G").matches(large.macs + large.added[EVAL_NORM])


def test_x_clip_is_the_librarys():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    narrow = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = {"patch_size": 16, "image_size": 32, "num_frames": 3, "mit_hidden_size": 8, "mit_num_attention_heads": 2}
    config = transformers.XCLIPConfig(
        text_config=narrow, vision_config={**narrow, **vision}, projection_dim=8, prompt_num_attention_heads=2
    )
    theirs = transformers.XCLIPModel(config).eval()
    ours = XClip(theirs, 5, text_encoder=True).eval()
    assert {key for key in ours.state_dict() if key != "input_ids"} == set(theirs.state_dict())
    x, texts = torch.randn(2, 3, 3, 32, 32), torch.randint(0, 100, (5, 77))
    ours.input_ids.copy_(texts)
    with torch.no_grad():
        expected = theirs(input_ids=texts, pixel_values=x.transpose(1, 2)).logits_per_video
        assert torch.allclose(ours(x), expected, atol=1e-5)


def test_action_clip_by_hand():
    expected = of_frames(32) + 32 * D * 512 + blocks(32, 512, 6) + 16 * 400 * 512
    counted = count("actionclip_b16", "32x224x224").macs
    assert counted == expected
    assert Printed("563", "G").matches(counted)  # X-CLIP's table 1
    with pytest.raises(InputError, match=r"clip 78×32×32 has 78 frames"):
        create_model("actionclip_b16", clip="78x32x32")


def test_aim_by_hand():
    frames, tokens = 8, 197
    time = tokens * frames * (4 * SQUARE + 2 * frames * D)
    adapters = 3 * frames * tokens * 2 * D * (D // 4)
    expected = of_frames(frames) + 12 * (time + adapters) + D * 400
    assert count("aim_b16").macs == expected
    assert count("aim_b16", adapters=4).macs == expected + 12 * adapters // 3
    with pytest.raises(InputError, match="5 adapters in a block"):
        create_model("aim_b16", adapters=5)


def test_aim_prints_multiples_of_eight_frames():
    """README: costs of 3 views; those of 32 frames are four times that of 8, though attention over time grows."""
    for name, per_view in (("aim_b16", "202"), ("aim_l14", "934")):
        counted = count(name)
        assert Printed(per_view, "G").matches(counted.macs + counted.added[EVAL_NORM])
    assert 3 * 934 * 2 == 5604
    assert 3 * 934 * 4 == 11208
    assert 4 * 934 == 3736
    assert count("aim_l14", "32x224x224").macs > 4 * count("aim_l14").macs + 9 * 10**9


def test_parameters_as_printed():
    """AIM's README: all of them and those that are trained."""
    for name, total, trained in (("aim_b16", 97, 11), ("aim_l14", 341, 38)):
        model = weightless(find_model(ModelSpec(name)))
        sizes = [parameter.numel() for parameter in model.parameters()]
        tuned = [parameter.numel() for parameter in model.parameters() if parameter.requires_grad]
        assert (round(sum(sizes) / 1e6), round(sum(tuned) / 1e6)) == (total, trained)


def test_st_adapter_by_hand():
    adapter = 8 * 196 * (2 * D * 384 + 3 * 384)
    assert count("st_adapter_b16_12x384").macs == of_frames(8) + 12 * adapter + D * 400
    assert count("st_adapter_b16_24x384").macs == of_frames(8) + 24 * adapter + D * 174


def test_an_st_adapter_sees_frames_beside_and_leaves_class_tokens():
    torch.manual_seed(0)
    adapter = SpaceTimeAdapter(8, (4, 2, 2))
    x = torch.randn(4, 5, 8)  # one clip of 4 frames
    moved = x.clone()
    moved[0, 3] += 1
    with torch.no_grad():
        changed = (adapter(moved) - adapter(x)).abs() > 1e-7
    assert torch.equal(adapter(x)[:, 0], x[:, 0])
    assert changed.any(-1).nonzero().tolist() == [[0, 3], [1, 3]]


def test_evl_by_hand():
    frames, tokens, places = 8, 8 * 197, 196
    neighbours = 2 * (frames - 1) * 2 * places * places * D  # how places agree, and the vectors that this weighs
    reading = 2 * SQUARE + 2 * SQUARE * tokens + 2 * tokens * D + 8 * SQUARE
    expected = of_frames(frames) + 4 * (3 * tokens * D + neighbours + reading) + D * 400
    assert count("evl_b16").macs == expected


def test_neighbours_in_time():
    """The first frame has none before it, the last none after; a place's vector is that of its distance."""
    torch.manual_seed(0)
    attention = NeighbourAttention(2, 3, 4)
    assert attention.distances[0].tolist() == [7, 6, 5, 2, 1, 0]
    assert attention.distances.diagonal().unique().tolist() == [7]
    q, k = torch.randn(2, 1, 3, 2, 6, 5).unbind()  # one clip of 3 frames, 2 heads
    with torch.no_grad():
        attention.after.zero_()
        seen = attention(q, k)
        assert seen.shape == (1, 3, 6, 4)
        assert not seen[:, 0].any()
        weights = (q[0, 1] @ k[0, 0].transpose(-2, -1) * 5**-0.5).softmax(-1).mean(0)
        assert torch.allclose(seen[0, 1, 2], weights[2] @ attention.before[attention.distances[2]], atol=1e-6)


def test_motionformer_by_hand():
    def expected(tokens, frames):
        linear = SQUARE * (12 * (1 + tokens) + tokens + 2 * frames * tokens)  # qkv, proj, MLP; query; keys and values
        attention = 2 * D * (1 + tokens) + 2 * D * tokens * tokens + 2 * D * tokens * frames
        return tokens * D * 3 * 2 * 256 + 12 * (linear + attention) + SQUARE + D * 400

    assert count("motionformer").macs == expected(8 * 196, 8)
    assert count("motionformer_l").macs == expected(16 * 196, 16)
    assert count("motionformer_hr").macs == expected(8 * 441, 8)


def test_printed_costs_of_motionformer():
    """VideoMAE's table 6 and X-CLIP's table 1, which add 5 per normalised element as fvcore does."""
    for name, printed in (("motionformer", "370"), ("motionformer_l", "1185"), ("motionformer_hr", "959")):
        counted = count(name)
        assert Printed(printed, "G").matches(counted.macs + counted.added[EVAL_NORM])
    assert Printed("109", "M").matches(count("motionformer").params + 590_592)  # its unused embedding of single frames


def test_values_of_a_trajectory():
    torch.manual_seed(0)
    released, projected = (TrajectoryAttention(8, 2, 3, projected=flag) for flag in (False, True))
    projected.load_state_dict(released.state_dict())
    x = torch.randn(2, 1 + 3 * 4, 8)
    with torch.no_grad():
        assert not torch.allclose(released(x), projected(x))
        projected.proj_kv.weight[8:] = torch.eye(8)
        projected.proj_kv.bias[8:] = 0
        assert torch.allclose(released(x), projected(x), atol=1e-6)
    model = weightless(find_model(ModelSpec("motionformer", Clip(4, 32, 32), options={"values": "projected"})))
    assert model.recipe.departures[1].startswith("projected values")
    with pytest.raises(UnknownNameError, match="no values named 'own'"):
        create_model("motionformer", values="own")


def test_vidtr_by_hand():
    grid, tokens = (9, 197), 9 * 197
    attention = tokens * (4 * SQUARE + 2 * sum(grid) * D)
    embedding = 8 * 196 * D * 3 * 256
    assert count("vidtr_s").macs == embedding + 12 * (attention + 8 * SQUARE * tokens) + D * 400


def test_compact_vidtr_by_hand():
    def block(frames, dropped):
        """Queries, keys and values of all frames; what is made of those that are kept."""
        left = frames - dropped
        time = 196 * D * (frames * frames + left * frames)
        space = 2 * left * 196 * 196 * D
        linear = SQUARE * (3 * frames * 196 + left * 196 + 8 * (1 + left * 196))
        return time + space + linear

    pooled = block(8, 0) + block(8, 2) + block(6, 0) + block(6, 2) + block(4, 0) + block(4, 2)
    expected = 8 * 196 * D * 3 * 256 + pooled + blocks(1 + 2 * 196, D, 6) + D * 400
    assert count("vidtr_compact_s").macs == expected
    with pytest.raises(InputError, match=r"clip 6×32×32 is too small") as raised:
        create_model("vidtr_compact_s", clip="6x32x32")
    assert "6 frames, of which they drop 6" in str(raised.value)


def test_a_pooling_block_keeps_frames_in_order():
    torch.manual_seed(0)
    attention = SplitAttention(8, 2, dropped=2)
    seen, kept = attention(torch.randn(3, 5, 4, 8))
    assert seen.shape == (3, 3, 4, 8)
    assert kept.shape == (3, 2, 4, 3)
    assert (kept.diff(dim=-1) > 0).all()
    assert PoolingBlock(8, 2, 4, 2)(torch.randn(3, 1 + 5 * 4, 8)).shape == (3, 1 + 3 * 4, 8)


def test_adapters_have_a_quarter_of_the_channels():
    assert sum(parameter.numel() for parameter in Adapter(8).parameters()) == 8 * 2 + 2 + 2 * 8 + 8


@pytest.mark.parametrize("name", ["actionclip_b32", "aim_b16", "evl_b16", "motionformer", "vidtr_s"])
def test_positions_are_sized_to_the_frames(name):
    model = weightless(find_model(ModelSpec(name, Clip(4, 64, 96))))
    assert len(model.recipe.departures) == 1
    assert "sized for" in model.recipe.departures[0]
    with pytest.raises(InputError, match=r"does not consist of whole \d×\d+×\d+ patches"):
        create_model(name, clip="4x64x70")
