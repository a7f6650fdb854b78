"""mmengine's counter, a fork of fvcore that mmaction2 runs on the backbone alone.

`tools/analysis_tools/get_flops.py` of mmaction2 sets `forward = extract_feat`, so that the head, which gives the class
scores, is not traced: the linear layers behind the last normalisation (TRN's and X3D's heads have two), or where there
are none, the last contraction. Parameters are those of the whole model. It prints `flops_str`, which has three decimals
of G between 100 M and 100 G; a table may round that on, 32.875G to 32.88.
"""

from __future__ import annotations

from ...core.ops import Kind
from ...core.result import Result
from ..counter import Counter
from .fvcore import norms

__all__ = ["COUNTERS"]


def _without_the_head(report: Result) -> int:
    return norms(report) - (_behind_the_last_norm(report) or _last_macs(report))


def _behind_the_last_norm(report: Result) -> int:
    """MACs of linear layers there; 0 in a network without normalisations."""
    last = max((i for i, costed in enumerate(report.ops) if costed.kind is Kind.NORM), default=len(report.ops))
    return sum(costed.work.macs for costed in report.ops[last:] if costed.kind is Kind.LINEAR)


def _last_macs(report: Result) -> int:
    """MACs of the last contraction."""
    return next((costed.work.macs for costed in reversed(report.ops) if costed.work.macs), 0)


_STEP = 10**6
_FROM, _TO = 10**8, 10**11


def _flops_str(flops: int) -> int:
    """The number that `_format_size` of mmengine/analysis/print_helper.py prints, where that is in G."""
    return (flops + _STEP // 2) // _STEP * _STEP if _FROM < flops <= _TO else flops


COUNTERS = (
    Counter(
        "mmengine",
        "mmengine",
        "mmengine adds 2 per BatchNorm and 5 per LayerNorm element, and mmaction2 leaves the head out",
        _without_the_head,
        "https://github.com/open-mmlab/mmengine/blob/254342938d9bde1775c39ea7d5181c5d294026c4/mmengine/analysis/complexity_analysis.py",
        "_DEFAULT_SUPPORTED_FLOP_OPS",
        shown=_flops_str,
    ),
)
