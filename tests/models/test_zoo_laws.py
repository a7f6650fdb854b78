"""The laws over every network of the zoo, with weights, at its smallest clip."""

import contextlib
import threading

import pytest
import torch
from states import global_state, module_state
from zoo import QUICK, UNLIKE, every, undrawn

from flopcount import ForwardError, check, count_flops, create_model
from flopcount.models import CARDS
from flopcount.models.cards import ARCHITECTURES
from flopcount.tracing.engines import ENGINES

CONTEXTS = {
    "no_grad": torch.no_grad,
    "enable_grad": torch.enable_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


@pytest.fixture(params=every(ARCHITECTURES), scope="module")
def built(request):
    """A network with weights, and the shapes of two samples: in training, norms need more than one."""
    card = ARCHITECTURES[request.param]
    if card.requires:
        pytest.importorskip(card.requires)
    with undrawn():
        model = create_model(card.name, clip=card.smallest, num_classes=3).eval()
    return model, tuple((2, *shape) for shape in model.recipe.inputs)


def test_one_answer_on_every_engine_and_nothing_left_behind(built, request):
    model, shapes = built
    before = module_state(model), global_state()
    engines = ENGINES if request.node.callspec.params["built"] in UNLIKE else ("meta", "real")
    reports = {engine: count_flops(model, shapes, engine=engine, strict=True) for engine in engines}
    assert (module_state(model), global_state()) == before
    meta = reports["meta"]
    for engine, report in reports.items():
        assert (report.macs, report.params) == (meta.macs, meta.params), engine
        assert [(row.path, row.own.macs, row.calls) for row in report.modules] == [
            (row.path, row.own.macs, row.calls) for row in meta.modules
        ], engine


@pytest.mark.parametrize("built", every(UNLIKE), indirect=True)
def test_one_answer_in_every_mode_and_dtype(built):
    model, shapes = built
    macs = count_flops(model, shapes).macs
    for name, context in CONTEXTS.items():
        with context():
            assert count_flops(model, shapes).macs == macs, name
    training = model.train()
    try:
        assert count_flops(training, shapes).macs == macs
    finally:
        model.eval()
    before = module_state(model)
    with contextlib.ExitStack() as stack:
        stack.callback(model.float)
        assert count_flops(model.bfloat16(), shapes).macs == macs
    assert module_state(model).keys() == before.keys()


def test_linear_in_the_batch(built):
    model, shapes = built
    two, six = count_flops(model, shapes), count_flops(model, tuple((6, *shape[1:]) for shape in shapes))
    assert six.macs == 3 * two.macs
    assert six.per_sample.macs == two.per_sample.macs  # MViT adds up its positions once, whatever the batch


# What holds or changes state in ways of its own, and one of each kind: what undoes it knows no network.
FAIL = [
    *sorted(QUICK),
    *("slowfast_r50_8x8", "mvitv2_s_16x4", "memvit_16_16x4", "movinet_a0_stream", "rev_mvit_b_16x4", "tdn_r50"),
    *("videomamba_ti", "swin3d_t", "timesformer_b", "videomae_b", "vjepa2_vit_l", "raft_small", "slow_r50_4x16_ava"),
    *("stgcn", "optical_flow_tvl1", "recurrent_cnn", "xclip_b32", "x3d_m", "hiera_b", "tadaconvnextv2_t"),
]


@pytest.mark.parametrize("built", every(FAIL), indirect=True)
def test_a_failing_forward_leaves_nothing_behind(built):
    model, shapes = built
    before = module_state(model), global_state()
    last = model.get_submodule([row.path for row in count_flops(model, shapes).modules if row.calls][-1])
    half_way = RuntimeError("half way")
    for engine, error in (("meta", half_way), ("real", half_way), ("meta", KeyboardInterrupt())):

        def fail(*_, error=error):
            raise error

        handle = last.register_forward_pre_hook(fail)
        try:
            with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else ForwardError):
                count_flops(model, shapes, engine=engine)
        finally:
            handle.remove()
    assert (module_state(model), global_state()) == before


def test_a_check_beside_a_count_in_another_thread():
    counted, checked = (
        create_model(name, clip=CARDS[name].smallest, num_classes=3).eval() for name in ("x3d_s", "c3d")
    )
    alone = count_flops(counted, ((1, *counted.recipe.inputs[0]),)).macs
    found = []

    def count():
        while len(found) < 3 or running.is_set():
            found.append(count_flops(counted, ((1, *counted.recipe.inputs[0]),)).macs)

    running = threading.Event()
    running.set()
    thread = threading.Thread(target=count)
    thread.start()
    checks = [check(checked, ((1, *checked.recipe.inputs[0]),), against="torch") for _ in range(3)]
    running.clear()
    thread.join()
    assert set(found) == {alone}
    assert all(result.agrees for result in checks)


def test_two_threads_count_at_once():
    models = [create_model(name, clip=CARDS[name].smallest, num_classes=3).eval() for name in ("c3d", "x3d_s")]
    alone = [count_flops(model, ((1, *model.recipe.inputs[0]),)).macs for model in models]
    found = [[], []]

    def count(index):
        for _ in range(5):
            found[index].append(count_flops(models[index], ((1, *models[index].recipe.inputs[0]),)).macs)

    threads = [threading.Thread(target=count, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[macs] * 5 for macs in alone]
