"""fvcore, which traces by torch.jit and charges normalisations besides contractions.

Before 9 March 2021 it charged contractions alone, which is our count. Its charges for adaptive average pools in two
dimensions and for interpolations are left out: our networks write these otherwise than the official code.

A custom autograd function is one node `prim::PythonOp` of its trace, without a handle: nothing inside of it counts.
VideoMamba's blocks call `mamba_inner_fn_no_out_proj` in both directions, which holds the convolution, the projections
of x and Δ, and the scan. Its norms are LayerNorms while it is counted: a comment there asks for `rms_norm=False`.
"""

from __future__ import annotations

from functools import partial

from ...core.ops import CostedOp
from ...core.result import Result
from ...crosscheck.peers.fvcore.formulas import NORMS, norm_charge
from ..counter import Counter, into

__all__ = ["COUNTERS", "norms"]

_LAYER_NORM = 5
_CODE = "https://github.com/facebookresearch/fvcore/blob/{}/fvcore/nn/jit_handles.py"


def norms(report: Result, *, training: bool = False, batch_norm: bool = True) -> int:
    """What fvcore charges all normalisations, as it does in training mode or in evaluation mode."""
    return sum(
        _charge(costed, training)
        for costed in report.ops
        if costed.name in NORMS and (batch_norm or costed.name != "aten.batch_norm")
    )


def _charge(costed: CostedOp, training: bool) -> int:
    return into(costed) * norm_charge(costed.name, costed.op.signature, training=training)


_IN_MAMBAS_FUNCTION = ("conv1d", "conv1d_b", "x_proj", "x_proj_b", "dt_proj", "dt_proj_b")
"""Modules whose weights mamba_inner_fn_no_out_proj takes, forward and backward in time."""


def _blind_to_mambas_function(report: Result) -> int:
    """What fvcore adds and misses in a network with scans; networks without one are left as they are."""
    scans = [costed for costed in report.ops if costed.name == "flopcount.selective_scan"]
    if not scans:
        return 0
    inside = (c for c in report.ops if c.op.module.rpartition(".")[2] in _IN_MAMBAS_FUNCTION)
    unseen = sum(costed.work.macs for costed in (*scans, *inside))
    layer_norms = sum(into(costed) for costed in report.ops if costed.name == "aten.rms_norm")
    return norms(report) + _LAYER_NORM * layer_norms - unseen


COUNTERS = (
    Counter(
        "fvcore",
        "fvcore",
        "fvcore in eval mode adds 2 per BatchNorm and 5 per LayerNorm element",
        norms,
        _CODE.format("3378afe0d71dc2aa95e358bc78dc9b67cb48825a"),
        "batchnorm_flop_jit and norm_flop_counter, since commit 052545c of 3 June 2021",
        everywhere=True,
    ),
    Counter(
        "fvcore 2021-03",
        "fvcore",
        "fvcore of March to June 2021 adds 5 per element of every normalisation",
        partial(norms, training=True),
        _CODE.format("1f43d07bf4d2ed987928c0c8501b31dfdbbca8a5"),
        "norm_flop_counter, which ignores modes from commit 1f43d07 of 9 March 2021 to 052545c of 3 June 2021",
        everywhere=True,
    ),
    Counter(
        "fvcore without BatchNorm",
        "fvcore without BatchNorm",
        "fvcore with its charge for BatchNorm taken out adds 5 per LayerNorm element",
        partial(norms, batch_norm=False),
        _CODE.format("3378afe0d71dc2aa95e358bc78dc9b67cb48825a"),
        "norm_flop_counter; the caller sets _DEFAULT_SUPPORTED_OPS['aten::batch_norm'] = None",
    ),
    Counter(
        "fvcore blind to mamba's function",
        "fvcore blind to mamba's function",
        "fvcore adds 5 per LayerNorm element and sees nothing of a custom autograd function: neither the convolution, "
        "the projections of x and Δ nor the scan",
        _blind_to_mambas_function,
        "https://github.com/OpenGVLab/VideoMamba/blob/f3427e42cb8453a523aec3a6f86d57b5bc1de5c3/mamba/mamba_ssm/modules/mamba_simple.py",
        "lines 185-210: both calls of mamba_inner_fn_no_out_proj",
    ),
)
