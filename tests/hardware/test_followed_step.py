"""Recurrent layers of a training step: an LSTM has its arithmetic, by hand; a GRU on a GPU is refused."""

import pytest
from torch import nn

import flopcount
from flopcount.core.errors import InputError
from flopcount.count import count
from flopcount.hardware.execution import kernels_of
from flopcount.hardware.followed_step import costed_step
from flopcount.hardware.kernels import Family
from flopcount.hardware.precision import PRECISIONS


def step_of(module, *shapes):
    result = count(module, tuple(shapes), dataflow=True)
    return costed_step(result.saving), result.saving.dataflow


@pytest.mark.parametrize("batch_first", [False, True])
def test_an_lstm_by_hand(batch_first):
    """Two layers of 4 * 8 x 8 weights from the input and from the state, on 5 frames of 3 clips.

    Forward 2 * 15 * 512 = 15,360 MACs; backward twice that; 5 frames each, in both layers and both directions of time.
    """
    module = nn.LSTM(8, 8, num_layers=2, batch_first=batch_first)
    ops, flow = step_of(module, (3, 5, 8) if batch_first else (5, 3, 8))
    kernels = [k for k in kernels_of(ops, flow, PRECISIONS["amp"]) if k.family is Family.RECURRENT]
    assert sorted(kernel.flops for kernel in kernels) == [2 * 7_680] * 2 + [2 * 15_360] * 2
    assert [kernel.launches for kernel in kernels] == [5.0] * 4
    assert sum(op.work.macs for op in ops) == 3 * 15_360


def test_a_training_step_of_an_lstm_takes_longer_than_its_forward_pass():
    module = nn.LSTM(256, 256, 2, batch_first=True)
    step = flopcount.count_flops(module, (8, 20, 256), mode="train").cost("rtx-3090", dtype="amp")
    forward = flopcount.count_flops(module, (8, 20, 256)).cost("rtx-3090", dtype="amp")
    assert step.estimate > 1.5 * forward.estimate
    assert step.bound > 2 * forward.bound
    assert "recurrent" in step.widened


@pytest.mark.parametrize("layer", [nn.GRU, nn.RNN])
def test_a_layer_that_a_gpu_runs_otherwise_is_refused(layer):
    report = flopcount.count_flops(nn.Sequential(layer(8, 8)), (5, 3, 8), mode="train")
    with pytest.raises(InputError, match="as a CPU runs it, and a GPU runs it as one kernel"):
        report.cost("rtx-3090", dtype="amp")
    assert report.cost("core-i7-12700h").estimate > 0
