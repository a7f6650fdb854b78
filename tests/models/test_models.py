import json
from pathlib import Path

import pytest
import torch
from zoo import ALIKE, SIZES, every, undrawn

import flopcount
from flopcount import InputError, UnknownNameError, count_flops, count_model, create_model, list_models, weightless
from flopcount.core.model_spec import ModelSpec
from flopcount.crosscheck import check_model
from flopcount.models import CARDS
from flopcount.models.cards import ARCHITECTURES, recorded_costs

COSTS = Path(flopcount.__file__).parent / "models" / "zoo_costs.json"


def _with_cost(name, cost):
    """The recorded costs with one renewed, in the order of the cards."""
    costs = json.loads(COSTS.read_text()) | {name: cost}
    return json.dumps({card: costs[card] for card in CARDS if card in costs}, indent=1) + "\n"


@pytest.fixture(params=list(CARDS))
def card(request):
    card = CARDS[request.param]
    if card.requires:
        pytest.importorskip(card.requires)
    return card


@pytest.mark.parametrize("card", every(CARDS, audits=SIZES), indirect=True)
def test_every_model_runs_forward_and_backward_at_its_smallest_clip(card):
    with undrawn():
        model = create_model(card.name, clip=card.smallest, num_classes=5)
    given = [torch.randn(2, *shape) for shape in model.recipe.inputs]
    scores = model(*given)
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:  # TV-L1: an algorithm, not a network
        assert torch.isfinite(scores).all()
        return
    frames, high, wide = card.smallest.sizes
    flow = card.family == "optical flow"
    assert (scores.shape[0], *scores.shape[1 if flow else -1 :]) == ((2, 2, frames - 1, high, wide) if flow else (2, 5))
    scores.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


def test_every_model_is_counted_strictly_at_its_own_clip_without_weights(card, update_golden):
    report = count_model(card.name, strict=True)
    if update_golden:
        COSTS.write_text(_with_cost(card.name, {"params": report.params, "macs": report.macs}))
    assert recorded_costs()[card.name] == (report.params, report.macs)
    assert report.macs > 0 or report.params == 0
    assert report.total_flops > 0
    assert report.uncosted == ()
    assert report.engine == "meta"
    assert report.departures == ()


@pytest.mark.parametrize("card", every(CARDS, audits=ALIKE), indirect=True)
def test_every_model_agrees_with_fvcore_and_torch_or_says_why_not(card):
    with undrawn():
        result = check_model(ModelSpec(card.name, card.smallest, 5))
    assert result.agrees, str(result.table())


def test_costs_are_recorded_for_the_networks_there_are():
    assert list(recorded_costs()) == list(CARDS)


def test_every_card_cites_its_paper_and_code(card):
    assert card.paper.startswith("https://")
    assert card.code.startswith("https://")
    assert 2000 < card.year < 2030
    assert list_models().count(card.name) == 1
    assert card.size_of is None or card.size_of in ARCHITECTURES


def c3d(**kwargs):
    model = weightless(create_model, "c3d", **kwargs)
    return count_flops(model.eval(), (1, 3, *model.recipe.clip.sizes))


def test_c3d_is_the_released_network():
    report = c3d()
    convolutions = [
        64 * 16 * 112 * 112 * 3 * 27,
        128 * 16 * 56 * 56 * 64 * 27,
        256 * 8 * 28 * 28 * 128 * 27,
        256 * 8 * 28 * 28 * 256 * 27,
        512 * 4 * 14 * 14 * 256 * 27,
        512 * 4 * 14 * 14 * 512 * 27,
        512 * 2 * 7 * 7 * 512 * 27,
        512 * 2 * 7 * 7 * 512 * 27,
    ]
    linears = [8192 * 4096, 4096 * 4096, 4096 * 487]
    assert report.macs == sum(convolutions) + sum(linears) == 38_548_959_232
    assert report.flops == 77_097_918_464
    assert report.params == report.trainable_params == 79_991_015


def test_c3d_other_flops_by_hand():
    biased = [64 * 16 * 112**2, 128 * 16 * 56**2, 2 * 256 * 8 * 28**2, 2 * 512 * 4 * 14**2, 2 * 512 * 2 * 7**2]
    pools = [64 * 16 * 56**2 * 3, 128 * 8 * 28**2 * 7, 256 * 4 * 14**2 * 7, 512 * 2 * 7**2 * 7, 512 * 1 * 4**2 * 7]
    hidden = 4096 + 4096
    bias_and_relu = 2 * (sum(biased) + hidden) + 487  # fc8 has a bias and no relu
    assert c3d().other_flops == bias_and_relu + sum(pools)


def test_lecture_draws_pool5_without_padding():
    report = c3d(pool5_padding=False)
    assert report.module("fc6").input_shapes == ((1, 4608),)
    assert report.departures == (
        "fc6 sized for 16×112×112: 4608 inputs, released with 8192",
        "pool5 not padded, as the lecture's slide draws it; released with H and W padded by 1",
    )


def test_departures_of_another_clip_and_classes():
    assert c3d(clip="32x112x112", num_classes=101).departures == (
        "fc6 sized for 32×112×112: 16384 inputs, released with 8192",
        "101 classes, the paper's network has 487",
    )


@pytest.mark.parametrize("clip", [(16, 16, 16), (17, 33, 40), (31, 112, 96)])
def test_fc6_is_sized_as_the_pools_leave_it(clip):
    with torch.device("meta"):
        model = create_model("c3d", clip=clip)
    assert model(torch.empty(2, 3, *clip, device="meta")).shape == (2, 487)


def test_clip_too_small_names_the_layer_and_its_shape():
    with pytest.raises(InputError) as raised:
        create_model("c3d", clip="4x112x112")
    assert str(raised.value) == (
        "clip 4×112×112 is too small for this network\n"
        "  in      pool4 (MaxPool3d of 2×2×2)\n"
        "  seen    1×14×14 frames × height × width are left for it\n"
        "  fix     give more frames or larger ones"
    )


def test_unknown_names_offer_near_ones():
    with pytest.raises(UnknownNameError, match="no model named 'C3'\n  near    c3d"):
        create_model("C3")
    with pytest.raises(UnknownNameError, match="no option of c3d named 'pool5_pading'\n  near    pool5_padding"):
        create_model("c3d", pool5_pading=False)


def test_no_classes():
    with pytest.raises(InputError, match="num_classes is 0"):
        create_model("c3d", num_classes=0)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_same_count_on_cuda():
    model = create_model("c3d", clip="16x32x32").cuda()
    there = count_flops(model, torch.zeros(1, 3, 16, 32, 32, device="cuda"))
    assert there.macs == count_flops(model.cpu(), (1, 3, 16, 32, 32)).macs
