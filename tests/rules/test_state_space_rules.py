"""The selective scan: its operations counted one by one, its gradients, and its depth."""

import torch

from flopcount import count_flops
from flopcount.core.ops import Kind
from flopcount.models.networks.selective_scan import selective_scan
from flopcount.rules.depth import depth_of

BATCH, TOKENS, CHANNELS, STATES = 2, 5, 3, 4


class Scan(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.delta = torch.nn.Parameter(torch.rand(BATCH, TOKENS, CHANNELS))
        self.A = torch.nn.Parameter(-torch.rand(CHANNELS, STATES))
        self.B = torch.nn.Parameter(torch.randn(BATCH, TOKENS, STATES))
        self.C = torch.nn.Parameter(torch.randn(BATCH, TOKENS, STATES))
        self.D = torch.nn.Parameter(torch.randn(CHANNELS))

    def forward(self, u):
        return selective_scan(u, self.delta, self.A, self.B, self.C, self.D)


def by_force():
    """Multiply-accumulates of a contraction and other operations of a scan, one by one."""
    macs = other = 0
    for _ in range(BATCH * TOKENS * CHANNELS):
        other += 1  # Δ·u
        for _ in range(STATES):
            other += 2  # exp(Δ·A)
            other += 1  # (Δ·u)·B
            other += 2  # a·h + b
            macs += 1  # C·h
        other += 2  # + D·u
    return macs, other


def test_a_scan_one_by_one():
    for engine in ("meta", "fake", "real"):
        report = count_flops(Scan(), (BATCH, TOKENS, CHANNELS), engine=engine, strict=True)
        assert (report.macs, report.other_flops) == by_force()


def test_gradients_are_five_contractions():
    step = count_flops(Scan(), (BATCH, TOKENS, CHANNELS), mode="train", strict=True).training.step
    back = next(costed for costed in step.ops if costed.name == "flopcount.selective_scan_backward")
    states = BATCH * TOKENS * CHANNELS * STATES
    assert back.kind is Kind.RECURRENT
    assert back.work.macs == 5 * states
    assert back.work.other_flops == 10 * states + 8 * BATCH * TOKENS * CHANNELS


def test_depth_grows_with_the_logarithm_of_tokens():
    (scan,) = count_flops(Scan(), (BATCH, TOKENS, CHANNELS)).ops
    assert depth_of(scan) == 2 + 2 * 2 * 3 + (1 + 2) + 1  # exponents; 5 tokens up and down; 4 states; D·u
