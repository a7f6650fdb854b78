"""A decoding step over a growing cache, small enough to count each step by force."""

from torch import nn

from flopcount import TensorSpec
from flopcount.count import count


class Decode(nn.Module):
    """One token (B, 1, D) over a cache (B, L, D) of keys and values, of which the last `window` are seen."""

    def __init__(self, width=8, window=None):
        super().__init__()
        self.query, self.out, self.window = nn.Linear(width, width), nn.Linear(width, width), window

    def forward(self, token, cache):
        seen = cache if self.window is None else cache[:, -self.window :]
        return self.out(nn.functional.scaled_dot_product_attention(self.query(token), seen, seen))


def passes(module, start=5):
    counted = []

    def one(k):
        counted.append(k)
        inputs = TensorSpec((1, 1, 8)), TensorSpec((1, start + k, 8))
        return count(module, inputs)

    return one, counted
