"""The keys and values that decoding keeps: how many, and how many bytes.

Each layer keeps a key and a value of every token for each of its heads of keys and values; a layer with a sliding
window keeps those of the window alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ...core.errors import UnknownNameError
from ...core.one_line import OneLine

__all__ = ["KVCache", "bits_of", "cache_of", "filled"]

_BITS = {
    **dict.fromkeys(("fp32", "float32"), 32),
    **dict.fromkeys(("bf16", "bfloat16", "fp16", "float16"), 16),
    **dict.fromkeys(("fp8", "float8_e4m3fn", "float8_e5m2", "int8", "uint8"), 8),
    **dict.fromkeys(("fp4", "int4"), 4),
}


def bits_of(dtype: str) -> int:
    """Bits of a number of a cache in this dtype.

    Raises:
        UnknownNameError: no cache is kept in it.
    """
    if dtype not in _BITS:
        raise UnknownNameError("dtype of a cache", dtype, _BITS, f"choose {', '.join(_BITS)}")
    return _BITS[dtype]


@dataclass(frozen=True, slots=True)
class KVCache(OneLine):
    """What a model keeps of each sequence.

    Arguments:
        windows: for each layer how many tokens it keeps at most; None for all.
        kv_heads: heads of keys, and as many of values.
        head_dim: width of each.
        dtype: of the numbers that are kept.
        batch: sequences.
    """

    windows: tuple[int | None, ...]
    kv_heads: int
    head_dim: int
    dtype: str
    batch: int

    def kept(self, tokens: int) -> int:
        """Bytes after so many tokens of each sequence."""
        pairs = sum(tokens if window is None else min(tokens, window) for window in self.windows)
        return self.batch * 2 * pairs * self.kv_heads * self.head_dim * bits_of(self.dtype) // 8

    def data(self, prefill: int, answer: int) -> dict[str, Any]:
        """The same as plain data, with bytes after `prefill` tokens and after `answer` more."""
        kept = {window for window in self.windows if window is not None}
        return {
            "layers": len(self.windows),
            "kv_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "dtype": self.dtype,
            "sliding_window": min(kept) if kept else None,
            "bytes_per_token": self.kept(1) // self.batch,
            "batch": self.batch,
            "tokens_after_prefill": prefill,
            "bytes_after_prefill": self.kept(prefill),
            "tokens_after_answer": prefill + answer,
            "bytes_after_answer": self.kept(prefill + answer),
        }


def cache_of(text: Any, dtype: str, batch: int) -> KVCache:
    """What a model with this configuration of its text keeps."""
    from transformers import DynamicCache

    layers = DynamicCache(config=text).layers
    windows = tuple(getattr(layer, "sliding_window", None) for layer in layers)
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return KVCache(windows, text.num_key_value_heads, head_dim, dtype, batch)


def filled(text: Any, cache: KVCache, tokens: int, dtype: torch.dtype) -> Any:
    """A cache of transformers that has seen so many tokens, without values."""
    from transformers import DynamicCache

    made = DynamicCache(config=text)
    for layer in range(len(cache.windows)):
        keys, values = (
            torch.empty(cache.batch, cache.kv_heads, tokens, cache.head_dim, dtype=dtype, device="meta")
            for _ in range(2)
        )
        made.update(keys, values, layer)
    return made
