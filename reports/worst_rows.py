"""Why networks of some families are predicted badly, by what their code does and where it runs."""

from __future__ import annotations

__all__ = ["why"]

_CACHE = "convolutions on large inputs do not stay in a CPU's cache"
_CHANNELS_LAST = "grouped convolutions in channels last, which compilation chooses, have slow kernels"
_SMALL_BACKWARD = "backward kernels of depthwise convolutions on small inputs"
_WHY: dict[tuple[str, str], str] = {
    ("byobnet", "compiled"): _CHANNELS_LAST,
    ("byobnet", "training"): "grouped convolutions of few, wide groups have no fast backward kernel in channels last",
    ("cait", ""): "heads are mixed before and after the softmax, so the scores are written several times",
    ("convit", "cpu"): "scores of two kinds of attention are mixed by position",
    ("dla", "compiled"): _CHANNELS_LAST,
    ("fastvit", ""): "many branches of small convolutions",
    ("focalnet", ""): "depthwise convolutions on data whose channels lie innermost are copied back and forth",
    ("ghostnet", "training"): _SMALL_BACKWARD,
    ("hiera", ""): "attention over mask units has five axes, which torch does not fuse",
    ("mlp_mixer", ""): "layers over tokens work on transposed data",
    ("mobilenetv3", "training"): _SMALL_BACKWARD,
    ("nest", ""): "attention over blocks has five axes, which torch does not fuse",
    ("pit", "training"): "pooling by grouped convolutions that widen, whose backward kernels are slow",
    ("pvt_v2", "cpu"): "keys and values are reduced by strided convolutions on large inputs",
    ("rdnet", ""): "dense connections: the same data are concatenated again and again",
    ("resnet", "training"): "grouped convolutions have slow backward kernels in channels last",
    ("resnet", ""): "lambda layers, which few networks have",
    ("rexnet", "training"): _SMALL_BACKWARD,
    ("selecsls", "cpu"): _CACHE,
    ("sequencer", ""): "LSTM layers run step by step",
    ("starnet", ""): "many small operators in a row, which one kernel fuses further than is assumed",
    ("swin_transformer_v2", "cpu"): "attention in windows is computed operator by operator, with biases by position",
    ("tiny_vit", "cpu"): "attention over large windows does not stay in a CPU's cache",
    ("tnt", "cpu"): "attention over a few pixels, in thousands of windows",
    ("vgg", "cpu"): _CACHE,
    ("vision_transformer_sam", ""): "relative positions of every pair of tokens are added to the scores as a mask",
}


def why(family: str, *modes: str) -> str:
    """The reason in words, for a family in one of these modes ("cpu", "compiled", "eager", "training"), or none."""
    return next((_WHY[family, mode] for mode in (*modes, "") if (family, mode) in _WHY), "not explained")
