"""Rev-MViT, MeMViT, V-JEPA, VTN and MTV: hand counts, printed costs, and how they are alike with the released code.

Compared once with the released code, built beside ours: all contractions layer by layer, all parameters, and with the
same weights the same scores (to 1e-6 of the largest, at a small clip). The commits: facebookresearch/SlowFast 287ec00
(the reversible part, by the configuration REV_MVIT_B_16x4_CONV without its class token), facebookresearch/MeMViT
20a24f0 (its steady state, with 400 classes and no boxes, and what it remembers of six clips), facebookresearch/jepa
51c59d5 (less a layer of the probe that nothing calls), transformers 5.23 for the Longformer of bomri/SlowFast 00a6820,
which runs on real tensors alone. MTV is written in JAX, and was read, not run: google-research/scenic 4a38d47.
"""

import importlib.util

import pytest
import torch
from torch import nn

from flopcount import Clip, InputError, ModelSpec, count_model, create_model, weightless
from flopcount.facts.printed import Printed
from flopcount.models.cards import recorded_costs
from flopcount.models.library import ready_library
from flopcount.models.library_registry import find_library
from flopcount.models.networks.rev_mvit import ReversibleBlock
from flopcount.models.networks.vjepa import sines_of_axes
from flopcount.models.networks.vtn import Longformer
from flopcount.verification import readings
from flopcount.verification.readings import EVAL_NORM, LAYERS


def count(name, clip=None):
    return readings.count(ModelSpec(name, clip and Clip.parse(clip)))


def attention(tokens, dim):
    """MACs of a block in which all tokens attend to all, with its MLP."""
    return tokens * (12 * dim * dim + 2 * tokens * dim)


def test_rev_mvit_by_hand():
    """16×224×224 leaves 8×56×56 tokens, a quarter in each later stage; a block has 8·7·7 keys, a transition 8·14·14."""
    tokens, dims, keys = [8 * 56 * 56, 8 * 28 * 28, 8 * 14 * 14, 8 * 7 * 7], [96, 192, 384, 768], 8 * 7 * 7
    macs = tokens[0] * 96 * 3 * 3 * 49
    for n, dim, depth in zip(tokens, dims, (1, 1, 10, 1), strict=True):  # reversible blocks
        macs += depth * (n * (12 * dim * dim + 2 * keys * dim) + 2 * keys * dim * 27)
    for before, n, dim in zip(tokens, tokens[1:], dims[1:], strict=False):  # transitions
        macs += before * dim // 2 * 4 * dim + 2 * n * dim * 27 + 2 * 4 * keys * dim * 27  # linear layers, pools
        macs += n * (9 * dim * dim + 2 * 4 * keys * dim)
    assert count("rev_mvit_b_16x4").macs == macs + 2 * 768 * 400


def test_printed_cost_of_rev_mvit():
    """The README of its project; it prints 34.9 million parameters, which are 34.96."""
    counted = count("rev_mvit_b_16x4")
    assert Printed("64", "G").matches(counted.macs)
    assert counted.params == 34_963_120


def test_a_reversible_block_can_be_run_backwards():
    torch.manual_seed(0)
    block = ReversibleBlock(96, (2, 4, 4), 2).eval()
    first, second = torch.randn(2, 1, 32, 96).unbind()
    with torch.no_grad():
        after_first, after_second = block(first, second)
        torch.testing.assert_close(after_second - block.mlp(after_first), second)
        torch.testing.assert_close(after_first - block.attn(second), first)


def test_memories_by_hand():
    """A step compresses 8×7×7 or 8×14×14 keys to 2×4×4 or 2×7×7; every other layer reads two of these."""
    first = 57_180_214_464 + 768 * 320  # the code's first clip, which has no memories, with 400 classes instead of 80
    stages = [(96, 96, 8 * 56 * 56, True, 7), (96, 192, 8 * 28 * 28, False, 14), (192, 192, 8 * 28 * 28, True, 7)]
    stages += [(192, 384, 8 * 14 * 14, False, 14), *[(384, 384, 8 * 14 * 14, index % 2 == 0, 7) for index in range(10)]]
    stages += [(384, 768, 8 * 7 * 7, True, 14), (768, 768, 8 * 7 * 7, False, 7)]
    added = 0
    for dim, dim_out, queries, reads, side in stages:
        compressed = -(-side // 2)
        added += 2 * 2 * compressed**2 * dim * 7 * 3 * 3
        if reads:
            memories, steps = 2 * (2 * compressed**2 + 1), 2 * 2
            added += 2 * memories * dim * dim_out + (2 * queries + 2) * memories * dim_out
            added += queries * dim_out * (steps + 2 * compressed)  # distances
    assert count("memvit_16_16x4").macs == first + added


def test_printed_costs_of_memvit():
    """Its README; fvcore adds 5 per element of a norm. The larger one prints 211.7 G, which is not known why."""
    small, large = count("memvit_16_16x4"), count("memvit_24_32x3")
    assert Printed("58.7", "G").matches(small.macs + small.added[EVAL_NORM])
    assert Printed("35.4", "M").matches(small.params)
    assert Printed("52.6", "M").matches(large.params)
    assert (small.macs, large.macs) == (58_507_665_600, 212_478_544_512)  # of the released code, step 8


def test_what_is_remembered_changes_the_scores():
    torch.manual_seed(0)
    model = create_model("memvit_16_16x4", clip="3x32x32", num_classes=3).eval()
    x = torch.randn(1, 3, 3, 32, 32)
    with torch.no_grad():
        empty = model(x)
        for block in model.blocks:
            block.attn.memory.normal_()
        assert not torch.allclose(model(x), empty)
        for block in model.blocks:
            block.attn.memory.zero_()
            block.attn.previous.normal_()  # is only compressed, for a later step
        torch.testing.assert_close(model(x), empty)


def test_vjepa_by_hand():
    tokens, dim = 8 * 14 * 14, 1024
    encoder = tokens * dim * 6 * 256 + 24 * attention(tokens, dim)
    probe = dim * dim + tokens * 2 * dim * (dim + 1) + 8 * dim * dim
    assert count("vjepa_vit_l16").macs == encoder + probe + dim * 400


def test_vjepa_has_the_parameters_of_the_released_code():
    """Without `xattn.proj` of the probe, a linear layer that it does not call."""
    recorded = recorded_costs()
    for name, params, dim in [
        ("vjepa_vit_l16", 318_498_192, 1024),
        ("vjepa_vit_h16", 653_846_160, 1280),
        ("vjepa_vit_h16_384", 657_737_360, 1280),
    ]:
        assert recorded[name][0] == params - dim * (dim + 1)


def test_only_the_probe_of_vjepa_learns():
    report = count_model("vjepa_vit_l16", clip="2x32x32", num_classes=5)
    assert report.trainable_params == 11 * 1024**2 + 13 * 1024 + 5 * 1025


def test_positions_of_vjepa_are_places_along_three_axes():
    """A third of the channels for each axis, as many as are needed; the last are cut off."""
    table = sines_of_axes((2, 3, 4), 16)
    assert table.shape == (24, 16)
    angles = torch.tensor([1.0, 2.0, 3.0])[:, None] / 10000 ** (torch.arange(3) / 3)  # of place (1, 2, 3), the last
    assert torch.allclose(table[-1], torch.cat([angles.sin(), angles.cos()], 1).flatten()[:16])


def test_vtn_by_hand():
    """250 frames and a class token, filled up to 252: 27 chunks of 18 tokens that begin every nine."""
    frames, dim, padded = 250, 768, 252
    backbone = frames * (196 * dim * 3 * 256 + 12 * attention(197, dim))
    linear = padded * (3 + 2 + 1 + 8) * dim * dim + dim * dim
    first = 2 * padded * dim + 2 * padded * dim  # it attends to all; all attend to it
    windows = 27 * 18 * 18 * dim + 28 * 9 * 27 * dim
    macs = backbone + 3 * (linear + first + windows) + dim * dim + dim * 400
    assert count("vtn_vit_b_250f").macs == macs


def test_the_printed_cost_of_vtn_leaves_attention_out():
    """MViT's table 4, which quotes it; with the products of queries and keys it is 4397 G."""
    counted = count("vtn_vit_b_250f")
    assert not Printed("4218", "G").matches(counted.macs)
    assert Printed("4218", "G").matches(counted.macs + counted.added[LAYERS])


@pytest.mark.parametrize("frames", [5, 35, 71])
def test_windows_are_those_of_the_longformer(frames):
    """The same vectors of all tokens as the model of transformers, with the same weights."""
    importlib.util.find_spec("transformers") or pytest.skip("transformers is not installed")
    library = ready_library(find_library("transformers"), "transformers")
    config = library.LongformerConfig(
        attention_window=[18] * 3,
        hidden_size=96,
        num_attention_heads=3,
        num_hidden_layers=3,
        intermediate_size=384,
        max_position_embeddings=288,
        type_vocab_size=2,
        pad_token_id=-1,
    )
    torch.manual_seed(0)
    theirs, ours = library.LongformerModel(config, add_pooling_layer=False).eval(), Longformer(96, 3, frames).eval()
    for one, other in _pairs(theirs, ours):
        other.load_state_dict(one.state_dict())
    clip = torch.randn(2, frames, 96)
    padded = torch.cat([ours.class_token.expand(2, 1, -1), clip], 1)
    padded = nn.functional.pad(padded, (0, 0, 0, ours.padding), value=-1.0)
    mask = torch.ones(2, padded.shape[1]).long()
    mask[:, 0], mask[:, 1 + frames :] = 2, 0
    with torch.no_grad():
        expected = theirs(
            attention_mask=mask,
            token_type_ids=ours.types.expand(2, -1),
            position_ids=ours.places.expand(2, -1),
            inputs_embeds=padded,
        ).last_hidden_state
        torch.testing.assert_close(ours(clip), expected[:, 0])
        tokens = ours.layers(ours.norm(padded + ours.positions(ours.places) + ours.token_types(ours.types)))
        torch.testing.assert_close(tokens[:, : 1 + frames], expected[:, : 1 + frames])


def _pairs(theirs, ours):
    """Layers that have the same weights."""
    embeddings = theirs.embeddings
    yield embeddings.position_embeddings, ours.positions
    yield embeddings.token_type_embeddings, ours.token_types
    yield embeddings.LayerNorm, ours.norm
    for one, other in zip(theirs.encoder.layer, ours.layers, strict=True):
        for name in ("query", "key", "value", "query_global", "key_global", "value_global"):
            yield getattr(one.attention.self, name), getattr(other.attn, name)
        yield one.attention.output.dense, other.proj
        yield one.attention.output.LayerNorm, other.norm1
        yield one.intermediate.dense, other.mlp[0]
        yield one.output.dense, other.mlp[2]
        yield one.output.LayerNorm, other.norm2


def test_mtv_by_hand():
    """32 frames are four steps; in each, a view has 1, 2 or 4 times the 14·14 patches and a class token."""
    views = [(192, 8), (384, 4), (768, 2)]
    macs, tokens = 0, [32 // 4 // frames * 197 for _, frames in views]
    for (dim, frames), n in zip(views, tokens, strict=True):
        macs += 32 // frames * 196 * dim * 3 * frames * 256 + 4 * 12 * attention(n, dim)
    for small, large in ((0, 1), (1, 2)):  # queries of the smaller view, keys and values of the larger, twice
        dim, larger = views[small][0], views[large][0]
        n, m = tokens[small], tokens[large]
        macs += 2 * 4 * (2 * n * dim * dim + 2 * m * larger * dim + 2 * n * m * dim)
    width = 192 + 384 + 768
    macs += 12 * 17 * (4 * width * width + 2 * width * 3072 + 2 * 17 * width) + width * 400
    assert count("mtv_b").macs == macs


def test_mtv_takes_whole_tubelets_of_each_view():
    assert count_model("mtv_b", clip="8x16x32").macs
    with pytest.raises(InputError, match="whole 8×16×16 patches"):
        create_model("mtv_b", clip="4x16x16")
    with pytest.raises(InputError, match="whole 16×16×16 patches"):
        create_model("mtv_l", clip="8x16x16")


def test_class_tokens_of_a_coarse_view_come_again_and_again():
    model = weightless(lambda: create_model("mtv_b", clip="16x16x16"))
    coarse = torch.arange(2.0).repeat_interleave(2).reshape(2, 2, 1)  # two steps of one tubelet: class token, patch
    assert model._moments(1, coarse, 2).flatten().tolist() == [0, 1] * 4


@pytest.mark.parametrize("name", ["rev_mvit_b_16x4", "vtn_vit_b_250f", "mtv_b"])
def test_positions_are_sized_to_the_clip(name):
    assert len(count_model(name, clip="16x32x48").departures) == 1
    assert count_model(name).departures == ()
