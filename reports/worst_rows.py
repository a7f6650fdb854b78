"""Why networks of some families are predicted badly, by what their code does."""

from __future__ import annotations

_WHY = {
    "vision_transformer_sam": "relative positions of every pair of tokens are added to the scores as a mask",
    "nest": "attention over blocks has five axes, which torch does not fuse",
    "hiera": "attention over mask units has five axes, which torch does not fuse",
    "cait": "heads are mixed before and after the softmax, so the scores are written several times",
    "vgg": "large convolutions at full resolution do not stay in a CPU's cache",
    "selecsls": "large convolutions at high resolution do not stay in a CPU's cache",
    "resnet": "lambda layers and grouped convolutions of unusual widths",
    "byobnet": "grouped convolutions of few, wide groups, whose backward pass has no fast kernel in channels last",
    "mlp_mixer": "layers over tokens work on transposed data",
    "sequencer": "LSTM layers run step by step",
    "starnet": "many small operators in a row, which one kernel fuses further than is assumed",
    "metaformer": "many poolings and scalings in a row, which one kernel fuses further than is assumed",
    "fastvit": "many branches of small convolutions",
    "repghost": "many branches of small convolutions",
    "rdnet": "dense connections: the same data are concatenated again and again",
    "tnt": "attention over a few pixels, in thousands of windows",
    "pit": "pooling by grouped convolutions that widen",
    "pnasnet": "separable convolutions in many branches",
    "nasnet": "separable convolutions in many branches",
    "mobilenetv5": "a family with three networks, unlike the others",
}


def why(family: str) -> str:
    """The reason in words, or that there is none yet."""
    return _WHY.get(family, "not explained")
