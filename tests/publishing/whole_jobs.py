"""Jobs for the tests of their page: small networks in nested, growing and repeated stages."""

import torch
from torch import nn

from flopcount import Pipeline, Stage, TensorSpec, Unit
from flopcount.count import count
from flopcount.pipelines.growing import Growing


class Decode(nn.Module):
    """One token (1, 1, 8) over a cache (1, L, 8), of which the last `window` are seen."""

    def __init__(self, window=None):
        super().__init__()
        self.query, self.window = nn.Linear(8, 8), window

    def forward(self, token, cache):
        seen = cache if self.window is None else cache[:, -self.window :]
        return nn.functional.scaled_dot_product_attention(self.query(token), seen, seen)


def growing(window=None):
    module = Decode(window)
    return Growing(lambda k: count(module, (TensorSpec((1, 1, 8)), TensorSpec((1, 5 + k, 8))), dataflow=True))


class Odd(nn.Module):
    """Has an operator that no rule knows."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 4, bias=False)

    def forward(self, x):
        return torch.linalg.qr(self.head(x))[0]


def linear_network():
    return count(nn.Sequential(nn.Linear(32, 32), nn.ReLU()), (8, 32), dataflow=True, saving=False)


def whole_job():
    """Nested, growing, shared weights, shares, several units."""
    linear, other = linear_network(), count(nn.Linear(16, 48), (4, 16), dataflow=True, saving=False)
    inner = Pipeline([Stage("vision", other, "frames // 2"), Stage("embed", linear, 3)], name="encode", frames=9)
    return Pipeline(
        [
            Stage("encode", inner, "ceil(clips * (1 - reuse))"),
            Stage("decode", growing(), "new_tokens - 1"),
            Stage("denoise", linear, "passes * (steps - floor(reuse * steps))"),
        ],
        name="job",
        units=[
            Unit("video", 1),
            Unit("second", "frames / fps"),
            Unit("token", "new_tokens", "decode"),
            Unit("clip", "clips", "encode"),
        ],
        notes=["a note of the job"],
        clips=2,
        new_tokens=40,
        reuse=0.3,
        steps=50,
        passes=2,
        frames=81,
        fps="29.97",
        prompt=100,
    )
