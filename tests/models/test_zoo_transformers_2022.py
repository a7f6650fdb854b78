"""UniFormer, UniFormerV2, Hiera, InternVideo2, VideoMAE V2, Unmasked Teacher, V-JEPA 2: hand counts, papers, code.

Compared once with the released code, built beside ours and counted by flopcount: all contractions layer by layer, all
parameters, and with the same weights the same scores (to 1e-6 of the largest, at a small clip). The commits:
Sense-X/UniFormer 52a0415 (uniformer.py and uniformer_light_fp32.py, whose `norm_cls` and `head_cls` only training
uses), OpenGVLab/UniFormerV2 722a434 (its attention is one operator, ours two products), hiera-transformer 0.1.4,
OpenGVLab/InternVideo 3965eef (without flash attention, except the 6B, which was not built). Of OpenGVLab/VideoMAEv2 and
OpenGVLab/unmasked_teacher 4fb4049, totals and parameters alone.
"""

from dataclasses import dataclass

import pytest
import torch
from torch.nn import functional as F

from flopcount import Clip, InputError, ModelSpec, create_model
from flopcount.models.cards import recorded_costs
from flopcount.models.networks.hiera import UnitAttention, in_units, pooled
from flopcount.models.networks.internvideo2 import NormalisedAttention
from flopcount.models.networks.uniformer_light import PruningBlock
from flopcount.models.networks.uniformerv2 import CrossAttention
from flopcount.verification import readings
from flopcount.verification.readings import EVAL_NORM, TRAIN_NORM


def count(name, clip=None, classes=None, **options):
    return readings.count(ModelSpec(name, clip and Clip.parse(clip), classes, options=options))


def attention(tokens, dim, hidden, keys=None):
    """MACs of a block in which all tokens attend to these keys (all of them, unless said), with its MLP."""
    return tokens * (4 * dim * dim + 2 * (keys or tokens) * dim + 2 * dim * hidden)


def local(positions, dim, ratio):
    """MACs of a block of convolutions: 3×3×3 and 5×5×5 of each channel, two linear layers, an MLP."""
    return positions * (dim * 27 + 2 * dim * dim + dim * 125 + 2 * ratio * dim * dim)


# released code, by flopcount
EXACT = {
    "uniformer_s": (41_662_541_824, 21_400_400),
    "uniformer_b": (96_553_881_600, 49_813_200),
    "uniformerv2_b16": (148_104_622_080, 114_552_208),
    "uniformerv2_l14": (665_628_524_544, 354_099_600),
    "uniformerv2_l14_336": (1_566_984_454_144, 354_427_280),
    "hiera_b": (101_725_925_376, 51_092_560),
    "hiera_b_plus": (132_302_428_160, 69_392_240),
    "hiera_l": (412_130_469_888, 213_091_600),
    "hiera_h": (1_157_796_364_288, 671_627_664),
    "internvideo2_s14": (83_269_261_056, 23_352_976),
    "internvideo2_b14": (254_762_614_272, 89_748_112),
    "internvideo2_l14": (830_673_614_848, 309_238_416),
    "internvideo2_1b": (2_550_698_980_096, 1_021_017_744),
    "umt_b16": (179_420_049_408, 85_944_976),
    "videomaev2_g": (2_542_791_071_744, 1_012_174_352),
}


def test_networks_cost_what_the_released_code_costs():
    recorded = recorded_costs()
    for name, (macs, params) in EXACT.items():
        assert recorded[name] == (params, macs), name


def test_uniformer_by_hand():
    """16×224×224 leaves 8×56×56 positions, and each stage a quarter of them."""
    positions = [8 * 56 * 56, 8 * 28 * 28, 8 * 14 * 14, 8 * 7 * 7]
    embeddings = positions[0] * 64 * 3 * 48 + positions[1] * 128 * 64 * 4
    embeddings += positions[2] * 320 * 128 * 4 + positions[3] * 512 * 320 * 4
    first = 3 * local(positions[0], 64, 4) + 4 * local(positions[1], 128, 4)
    last = 8 * (positions[2] * 320 * 27 + attention(positions[2], 320, 4 * 320))
    last += 3 * (positions[3] * 512 * 27 + attention(positions[3], 512, 4 * 512))
    assert count("uniformer_s").macs == embeddings + first + last + 512 * 400


def test_light_uniformer_by_hand():
    """Of N tokens, N/2 go through a block, with the class token and one that stands for the others."""
    positions = [8 * 32 * 32, 8 * 16 * 16, 8 * 8 * 8, 8 * 4 * 4]
    stem = 16 * 64 * 64 * 28 * 3 * 27 + positions[0] * 56 * 28 * 27
    embeddings = positions[1] * 112 * 56 * 4 + positions[2] * 224 * 112 * 4 + positions[3] * 448 * 224 * 4
    first = 2 * local(positions[0], 56, 3) + 5 * local(positions[1], 112, 3)
    third = 8 * positions[2] * 224 * 27 + attention(1 + positions[2], 224, 3 * 224)
    third += 7 * attention(2 + positions[2] // 2, 224, 3 * 224)
    fourth = 2 * (positions[3] * 448 * 27 + attention(2 + positions[3] // 2, 448, 3 * 448))
    token = 224 * 448
    assert count("uniformer_xxs").macs == stem + embeddings + first + third + token + fourth + 448 * 400


def test_uniformerv2_by_hand():
    """Each of 8 frames alone, then a class token that looks four times at all their tokens."""
    frames = 8 * (196 * 768 * 3 * 256 + 12 * attention(197, 768, 4 * 768))
    look = 8 * 196 * 768 * 27 + 8 * 197 * 2 * 768 * (768 + 1) + 2 * 768 * 768 + 2 * 768 * 4 * 768
    assert count("uniformerv2_b16").macs == frames + 4 * look + 768 * 400


def test_uniformerv2_of_something_something_has_convolutions_over_time():
    frames = 8 * (196 * 768 * 3 * 3 * 256 + 12 * attention(197, 768, 4 * 768))
    over_time = 8 * 196 * (2 * 768 * 512 + 512 * 3)
    look = 8 * 196 * 768 * 27 + 8 * 197 * 2 * 768 * (768 + 1) + 2 * 768 * 768 + 2 * 768 * 4 * 768
    assert count("uniformerv2_b16_ssv2").macs == frames + 12 * 2 * over_time + 8 * look + 768 * 174


def test_hiera_by_hand():
    """The first block of a stage has a quarter of queries, and the units of the stage before; two stages have units."""
    tokens = [8 * 56 * 56, 8 * 28 * 28, 8 * 14 * 14, 8 * 7 * 7]
    macs = tokens[0] * 96 * 3 * 3 * 49 + 2 * attention(tokens[0], 96, 4 * 96, keys=64)
    for stage, (depth, keys, first_keys) in enumerate([(3, 16, 64), (16, tokens[2], 16), (3, tokens[3], tokens[2])], 1):
        dim, before, after = 96 << stage, tokens[stage - 1], tokens[stage]
        macs += before * dim // 2 * 4 * dim  # queries, keys and values, and the way around them
        macs += after * (2 * first_keys * dim + dim * dim + 8 * dim * dim)
        macs += (depth - 1) * attention(after, dim, 4 * dim, keys=keys)
    assert count("hiera_b").macs == macs + 768 * 400


def test_internvideo2_by_hand():
    tokens = 8 * 256
    encoder = tokens * 384 * 3 * 196 + 12 * attention(1 + tokens, 384, 4 * 384)
    pooling = (1 + tokens) * 2 * 384 * (384 + 1) + 384 * 384 + 384 * 768
    assert count("internvideo2_s14").macs == encoder + pooling + 768 * 400


def test_vjepa2_by_hand():
    """The frozen encoder, three blocks of the probe, and a query that attends to all tokens and has no output layer."""
    pytest.importorskip("transformers")
    tokens = 8 * 16 * 16
    encoder = tokens * 1024 * 6 * 256 + (24 + 3) * attention(tokens, 1024, 4 * 1024)
    query = tokens * 2 * 1024 * (1024 + 1) + 1024 * 1024 + 2 * 1024 * 4 * 1024
    assert count("vjepa2_vit_l").macs == encoder + query + 1024 * 174


@dataclass(frozen=True)
class Printed:
    """A cost or the parameters as they are printed."""

    digits: str
    unit: float

    def matches(self, *values):
        places = len(self.digits.partition(".")[2])
        return any(f"{value / self.unit:.{places}f}" == self.digits for value in values)


G, T, M = 1e9, 1e12, 1e6
# name, clip, views, printed cost
COSTS = [
    ("uniformer_s", "8x224x224", 4, Printed("70", G)),
    ("uniformer_s", "16x224x224", 4, Printed("167", G)),
    ("uniformer_s", "32x224x224", 4, Printed("438", G)),
    ("uniformer_b", "8x224x224", 4, Printed("161", G)),
    ("uniformer_b", "16x224x224", 4, Printed("387", G)),
    ("uniformer_b", "32x224x224", 1, Printed("259", G)),  # printed: 1036, which is 4 × 259
    ("uniformer_xxs", "4x128x128", 1, Printed("1.0", G)),
    ("uniformer_xxs", "4x160x160", 1, Printed("1.6", G)),
    ("uniformer_xxs", "8x128x128", 1, Printed("2.0", G)),
    ("uniformer_xxs", "8x160x160", 1, Printed("3.3", G)),
    ("uniformer_xxs", "16x128x128", 1, Printed("4.2", G)),
    ("uniformer_xxs", "16x160x160", 1, Printed("6.9", G)),
    ("uniformer_xxs", "32x160x160", 1, Printed("15.4", G)),
    ("uniformerv2_b16", None, 1, Printed("0.1", T)),
    ("uniformerv2_l14", None, 1, Printed("0.7", T)),
    ("uniformerv2_l14", "16x224x224", 1, Printed("1.3", T)),
    ("uniformerv2_l14", "32x224x224", 1, Printed("2.7", T)),
    ("uniformerv2_l14_336", "32x336x336", 1, Printed("6.3", T)),
    ("uniformerv2_l14_336", None, 1, Printed("1.6", T)),
    ("hiera_b", None, 1, Printed("102", G)),
    ("hiera_b_plus", None, 1, Printed("133", G)),
    ("hiera_l", None, 1, Printed("413", G)),
    ("hiera_l", "32x224x224", 1, Printed("1029", G)),
    ("hiera_h", None, 1, Printed("1159", G)),
]


def test_printed_costs():
    """UniFormer's tables, whose numbers are of all views; mmaction2's of UniFormerV2; Hiera, tables 4 and 6.

    All are MACs, some with what fvcore adds for normalisation.
    """
    for name, clip, views, printed in COSTS:
        counted = count(name, clip)
        with_norms = [counted.macs + counted.added[term] for term in (EVAL_NORM, TRAIN_NORM)]
        assert printed.matches(*(views * value for value in (counted.macs, *with_norms))), (name, clip)


def test_uniformer_xs_prints_a_hundredth_more_than_its_code_costs():
    counted = count("uniformer_xs")
    assert Printed("33.8", G).matches(counted.macs)
    assert Printed("33.9", G).matches(counted.macs + counted.added[EVAL_NORM])  # printed: 34.2; unexplained


def test_printed_parameters():
    """UniFormer, table 4, and mmaction2; mmaction2's README of UniFormerV2; Hiera, table 4."""
    printed = {
        **{"uniformer_s": Printed("21.4", M), "uniformer_b": Printed("49.8", M)},
        **{"uniformerv2_b16": Printed("115", M), "uniformerv2_l14": Printed("354", M)},
        **{"hiera_b": Printed("51", M), "hiera_b_plus": Printed("69", M)},
        **{"hiera_l": Printed("213", M), "hiera_h": Printed("672", M)},
    }
    recorded = recorded_costs()
    for name, number in printed.items():
        assert number.matches(recorded[name][0]), name


def test_hiera_pools_squares():
    x = torch.arange(2 * 4 * 8.0).reshape(1, 2, 4, 8, 1)
    once = pooled(in_units(x, 2), 1)
    expected = F.max_pool3d(x.movedim(-1, 1), (1, 2, 2)).movedim(1, -1)
    assert torch.equal(once, in_units(expected, 1))
    assert torch.equal(pooled(once, 1), F.max_pool3d(expected.movedim(-1, 1), (1, 2, 2)).reshape(1, -1, 1))


def test_hieras_units_do_not_see_each_other():
    torch.manual_seed(0)
    attention = UnitAttention(6, 6, 1, 4, pools=False)
    x = torch.randn(1, 8, 6, requires_grad=True)
    attention(x)[0, 0].sum().backward()  # tokens 0, 2, 4 and 6 are of one unit
    assert x.grad[0].abs().sum(-1).ne(0).tolist() == [True, False] * 4


def test_all_tokens_leave_a_pruning_block_and_half_of_them_alike():
    torch.manual_seed(0)
    block = PruningBlock(8, 2, 0.5).eval()
    torch.nn.init.zeros_(block.pos_embed.weight)
    torch.nn.init.zeros_(block.pos_embed.bias)
    maps, scores = torch.randn(1, 8, 1, 2, 2), torch.tensor([[0.1, 0.4, 0.3, 0.2]])
    with torch.no_grad():
        _, after, updated = block(torch.randn(1, 1, 8), maps, scores)
    update = (after - maps).flatten(2)[0].T
    assert torch.allclose(update[0], update[3], atol=1e-6)  # the two with the lowest scores
    assert not torch.allclose(update[1], update[2], atol=1e-3)
    assert torch.equal(updated[0, [0, 3]], scores[0, [0, 3]])


def test_cross_attention_is_torchs():
    torch.manual_seed(0)
    layer, theirs = CrossAttention(24, 3), torch.nn.MultiheadAttention(24, 3, batch_first=True)
    inputs = (layer.q, layer.k, layer.v)
    theirs.load_state_dict(
        {
            "in_proj_weight": torch.cat([each.weight for each in inputs]),
            "in_proj_bias": torch.cat([each.bias for each in inputs]),
            "out_proj.weight": layer.out_proj.weight,
            "out_proj.bias": layer.out_proj.bias,
        }
    )
    queries, tokens = torch.randn(2, 1, 24), torch.randn(2, 5, 24)
    assert torch.allclose(layer(queries, tokens), theirs(queries, tokens, tokens)[0], atol=1e-6)


def test_queries_and_keys_of_any_length_give_the_same_attention():
    torch.manual_seed(0)
    layer, x = NormalisedAttention(12, 2), torch.randn(1, 5, 12)
    with torch.no_grad():
        before = layer(x)
        layer.qkv.weight[:24] *= 3
        assert torch.allclose(layer(x), before, atol=1e-4)


def test_only_what_is_not_clips_learns_when_frozen():
    model = create_model("uniformerv2_b16", clip="2x32x32", num_classes=3, frozen=True)
    learning = {name.split(".")[0] for name, weight in model.named_parameters() if weight.requires_grad}
    assert learning == {"temporal_cls_token", "global_blocks", "proj"}
    assert model(torch.randn(2, 3, 2, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "clip", "departure"),
    [
        ("uniformerv2_b16", "2x32x48", "position embeddings sized for 32×48, the paper's for 224×224"),
        ("hiera_b", "2x32x64", "position embeddings sized for 2×32×64, the paper's for 16×224×224"),
        ("internvideo2_s14", "2x28x42", "position embeddings sized for 2×28×42, the paper's for 8×224×224"),
    ],
)
def test_positions_are_sized_to_the_clip(name, clip, departure):
    with torch.device("meta"):
        model = create_model(name, clip=clip)
    assert model.recipe.departures == (departure,)
    assert model(torch.empty(2, *model.recipe.inputs[0], device="meta")).shape == (2, 400)


@pytest.mark.parametrize(
    ("name", "clip", "message"),
    [
        ("hiera_b", "16x224x240", "clip 16×224×240 does not consist of whole units of 8×8 tokens"),
        ("uniformerv2_l14_ssv2", "15x224x224", "clip 15×224×224 does not consist of whole 2×14×14 patches"),
        ("internvideo2_1b", "8x225x224", "clip 8×225×224 does not consist of whole 1×14×14 patches"),
        ("uniformer_s", "8x16x224", "clip 8×16×224 is too small for this network"),
        ("uniformer_xxs", "8x224x8", "clip 8×224×8 is too small for this network"),
    ],
)
def test_impossible_clips_are_refused(name, clip, message):
    with pytest.raises(InputError, match=message):
        create_model(name, clip=clip)
