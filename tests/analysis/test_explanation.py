import pytest
import torch
from torch import nn

from flopcount import UnknownNameError, count_flops, create_model


def test_the_lectures_rule_with_its_numbers():
    report = count_flops(create_model("c3d"), (1, 3, 16, 112, 112))
    (op,) = report.explain("conv1").ops
    assert op.macs == "64·16·112·112·3·3·3·3 = 1,040,449,536"
    assert op.flops == "2·64·16·112·112·3·3·3·3 = 2,080,899,072"
    assert op.other_flops == "64·16·112·112 = 12,845,056"
    assert "1412.0767" in op.source


def test_every_number_of_a_report_can_be_explained():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, groups=1)
            self.norm = nn.LayerNorm(6)
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
            self.lstm = nn.LSTM(6, 5, bidirectional=True)

        def forward(self, x):
            x = self.norm(torch.relu(self.conv(x))).flatten(1, 2)
            x, _ = self.attention(x, x, x)
            x, _ = self.lstm(x)
            return x.softmax(-1).sort(-1)[0].cumsum(0)

    report = count_flops(Net(), (2, 3, 8, 8))
    explained = report.explain("")
    for kind in ("macs", "other_flops"):
        numbers = [getattr(op, kind).rpartition("= ")[2].replace(",", "") for op in explained.ops]
        calls = [op.calls for op in explained.ops]
        assert sum(int(n) * c for n, c in zip(numbers, calls, strict=True) if n) == getattr(report, kind)
    for op in explained.ops:
        for text in (op.macs, op.flops, op.other_flops):
            formula, equals, number = text.partition(" = ")
            if equals:
                assert eval(formula.replace("·", "*").replace("−", "-").replace("/", "//")) == int(
                    number.replace(",", "")
                )
    assert all(op.source and op.counts for op in explained.ops)


def test_calls_alike_are_told_once():
    relu = nn.ReLU()
    report = count_flops(nn.Sequential(relu, relu, relu), (1, 4))
    (op,) = report.explain("0").ops
    assert op.calls == 3
    assert "called 3 times" in str(report.explain("0"))


def test_a_layer_with_children_names_each():
    text = str(count_flops(nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.ReLU())), (4, 2)).explain("0"))
    assert "in 0.0\n" in text
    assert "in 0.1\n" in text
    assert "together 24 MACs = 48 FLOPs\nand 24 other FLOPs" in text  # 4·3·2; 12 bias adds, 12 relus


def test_uncosted_is_said():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.linalg.svd(x)

    assert "UNCOSTED  no rule knows this operator; it is in no total" in str(count_flops(Odd(), (1, 4, 4)).explain(""))


def test_unknown_layer_offers_near_ones():
    report = count_flops(create_model("c3d", clip="16x16x16"), (1, 3, 16, 16, 16))
    with pytest.raises(UnknownNameError, match="no layer named 'conv3'\n  near    conv3b, conv3a"):
        report.explain("conv3")


def test_a_layer_called_twice_alike_says_what_both_cost():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(self.layer(x))

    explained = count_flops(Twice(), (1, 4)).explain("layer")
    text = str(explained)
    assert "(2 identical calls)" in text
    assert "MACs    4·4 = 16\n" in text  # of one
    assert "together 32 MACs = 64 FLOPs\nand 8 other FLOPs" in text
    assert "together 32 MACs" in explained._repr_html_()
