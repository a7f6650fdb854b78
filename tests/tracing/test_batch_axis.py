"""When the first axis of the inputs is a batch, and when it is time, colours, or the axis of one sample."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flopcount import TensorSpec, count_flops


class Net(nn.Module):
    """A forward pass with the layers that it needs."""

    def __init__(self, run, **layers):
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *args, **kwargs):
        return self.run(self, *args, **kwargs)


def _pictures(number, *shape):
    return [torch.randn(shape) for _ in range(number)]


_CONV = nn.Conv2d(3, 4, 3)
_FLAT = Net(lambda net, x: net.conv(x[None]), conv=_CONV)
_STACKED = Net(lambda net, x: net.conv(torch.stack(x)), conv=_CONV)
_GREY = Net(lambda net, x: net.conv(torch.stack(x)), conv=nn.Conv2d(1, 4, 3))
_FLOW = Net(lambda net, x: net.conv(torch.stack(x)), conv=nn.Conv2d(2, 4, 3))
_RESIZED = Net(lambda net, x: [net.conv(F.interpolate(p[None], (8, 8))) for p in x], conv=_CONV)
_RECORDS = Net(lambda net, x: [net.conv(r["image"][None]) for r in x], conv=_CONV)
_ATTENDS = Net(lambda net, x: net.mha(x, x, x)[0], mha=nn.MultiheadAttention(8, 2))
_ATTENDS_BATCH_FIRST = Net(lambda net, x: net.mha(x, x, x)[0], mha=nn.MultiheadAttention(8, 2, batch_first=True))
_READS = Net(lambda net, x: net.rnn(net.words(x)), words=nn.Embedding(9, 8), rnn=nn.LSTM(8, 8))
_TURNS = Net(lambda net, x: net.rnn(x.transpose(0, 1)), rnn=nn.LSTM(8, 8))
_STEPS = Net(lambda net, x: [net.rnn(x[:, t : t + 1]) for t in range(4)], rnn=nn.LSTM(8, 8, batch_first=True))
_VIDEO = Net(lambda net, x: net.rnn(net.conv(x).mean((2, 3))[None]), conv=_CONV, rnn=nn.LSTM(4, 4, batch_first=True))
_TOKENS = Net(
    lambda net, x: net.mha(*[net.conv(x).flatten(2).permute(2, 0, 1)] * 3)[0],
    conv=nn.Conv2d(3, 8, 4, 4),
    mha=nn.MultiheadAttention(8, 2),
)
_NAMES = Net(
    lambda net, x: (net.conv(x).mean(), net.of_names(net.names)),
    conv=_CONV,
    of_names=nn.Conv1d(4, 4, 1),
    names=nn.Parameter(torch.randn(1, 4, 7)),
)


@pytest.mark.parametrize("engine", ["meta", "fake", "real"])
@pytest.mark.parametrize(
    ("module", "input", "batch"),
    [
        # time first: neither the 16 steps nor, for all that shapes say, the 2 behind them are samples of one input
        (nn.LSTM(8, 8), (16, 2, 8), None),
        (nn.LSTM(8, 8, batch_first=True), (16, 2, 8), 16),
        (nn.GRU(8, 8), (16, 8), None),
        (nn.GRU(8, 8), ((16, 2, 8), (1, 2, 8)), None),
        (_READS, TensorSpec((16, 2), "int64"), None),
        (_TURNS, (16, 2, 8), 16),
        (_STEPS, (2, 4, 8), 2),
        (_ATTENDS, (16, 2, 8), None),
        (_ATTENDS, (16, 8), None),
        (_ATTENDS_BATCH_FIRST, (16, 2, 8), 16),
        (nn.TransformerEncoderLayer(8, 2, 16), (16, 2, 8), None),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (16, 2, 8), 16),
        (_TOKENS, (2, 3, 16, 16), 2),
        # one sample without a batch
        (_CONV, (3, 16, 16), None),
        (_CONV, (3, 3, 16, 16), 3),
        (nn.Conv1d(8, 4, 3), (8, 16), None),
        (nn.Conv3d(3, 4, 3), (3, 4, 8, 8), None),
        (_FLAT, (3, 16, 16), None),
        (lambda x: F.conv2d(x, torch.zeros(4, 3, 3, 3)), (torch.zeros(3, 8, 8),), None),
        # frames of one video
        (_VIDEO, (16, 3, 8, 8), None),
        (Net(lambda net, x: net.conv(x.transpose(0, 1)[None]), conv=nn.Conv3d(3, 4, 3)), (16, 3, 8, 8), None),
        # a batch that is taken apart is one
        (Net(lambda net, x: [net.conv(p[None]) for p in x], conv=_CONV), (4, 3, 8, 8), 4),
        (Net(lambda net, x: [net.conv(p) for p in x.split(2)], conv=_CONV), (4, 3, 8, 8), 4),
        (_NAMES, (2, 3, 8, 8), 2),
        # pictures one by one
        (_STACKED, (_pictures(4, 3, 16, 16),), None),
        (_STACKED, (_pictures(3, 3, 16, 16),), None),
        (_RESIZED, (_pictures(6, 3, 16, 16),), None),
        (_RECORDS, ([{"image": p, "height": 16} for p in _pictures(2, 3, 16, 16)],), None),
        (_FLOW, (_pictures(4, 2, 16, 16),), None),
        (_GREY, (_pictures(4, 1, 16, 16),), 1),
        (Net(lambda net, x: [net.fc(y) for y in x], fc=nn.Linear(8, 8)), (_pictures(3, 2, 10, 8),), 2),
    ],
)
def test_a_batch_is_what_the_layers_take_for_one(module, input, batch, engine):
    report = count_flops(module, input, engine=engine)
    assert report.input.batch == batch
    assert (report.per_sample is None) == (batch is None)


def test_the_cost_of_time_first_is_that_of_the_input_until_the_caller_says_the_batch():
    """16 steps of 2 videos: 4 gates of 8 units, each from 8 features and 8 of the state."""
    report, stated = count_flops(nn.LSTM(8, 8), (16, 2, 8)), count_flops(nn.LSTM(8, 8), (16, 2, 8), batch=2)
    assert report.macs == stated.macs == report.per_view.macs == 16 * 2 * 4 * 8 * (8 + 8)
    assert stated.per_sample.macs == 16 * 4 * 8 * (8 + 8)
    assert "per sample" not in str(report)
    assert report.sentence().startswith("16.4 kMACs (32.8 kFLOPs) per input of 16×2×8")
