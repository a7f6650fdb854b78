"""Every tool of the benchmark behind one call: (module, input) -> MACs as the tool sees them.

Each is called as its own documentation does, on real tensors and, where it can, on meta tensors as well, so that each
tool is seen at its best. A tool that gives FLOPs is divided by 2. Functions that load a tool import it; the
call they return is what is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["BARE", "OURS", "TOOLS", "Tool"]

Count = Callable[[Any, Any], int | None]


@dataclass(frozen=True)
class Tool:
    """How a tool is loaded, the package whose version counts, where weights and input live, and its unit."""

    title: str
    package: str
    device: str
    unit: str
    load: Callable[[], Count]


def bare_forward() -> Count:
    def count(module: Any, x: Any) -> None:
        module(x)

    return count


def flopcount() -> Count:
    from flopcount.report import count_flops

    return lambda module, x: count_flops(module, tuple(x.shape)).macs


def fvcore() -> Count:
    from fvcore.nn import FlopCountAnalysis

    def count(module: Any, x: Any) -> int:
        analysis = FlopCountAnalysis(module, x).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return int(analysis.total())

    return count


def flop_counter_mode() -> Count:
    from torch.utils.flop_counter import FlopCounterMode

    def count(module: Any, x: Any) -> int:
        with FlopCounterMode(display=False) as counter:
            module(x)
        return int(counter.get_total_flops()) // 2

    return count


def ptflops(backend: str) -> Callable[[], Count]:
    def load() -> Count:
        from ptflops import get_model_complexity_info

        def count(module: Any, x: Any) -> int | None:
            options = {"as_strings": False, "print_per_layer_stat": False, "backend": backend}
            return get_model_complexity_info(module, tuple(x.shape[1:]), **options)[0]

        return count

    return load


def thop() -> Count:
    from thop import profile

    return lambda module, x: int(profile(module, inputs=(x,), verbose=False)[0])


def torchinfo() -> Count:
    from torchinfo import summary

    return lambda module, x: int(summary(module, input_data=x, device=x.device, verbose=0).total_mult_adds)


def calflops() -> Count:
    from calflops import calculate_flops

    options = {"output_as_string": False, "print_results": False, "print_detailed": False}
    return lambda module, x: int(calculate_flops(module, input_shape=tuple(x.shape), **options)[1])


TOOLS = {
    "bare": Tool("bare forward, meta", "torch", "meta", "", bare_forward),
    "flopcount": Tool("flopcount", "flopcount", "meta", "MACs", flopcount),
    "flopcount-cpu": Tool("flopcount, real weights", "flopcount", "cpu", "MACs", flopcount),
    "flopcountermode-meta": Tool("FlopCounterMode, meta", "torch", "meta", "FLOPs", flop_counter_mode),
    "fvcore-meta": Tool("fvcore, meta", "fvcore", "meta", "MACs", fvcore),
    "ptflops-meta": Tool("ptflops aten, meta", "ptflops", "meta", "MACs", ptflops("aten")),
    "thop-meta": Tool("thop, meta", "thop", "meta", "MACs", thop),
    "torchinfo-meta": Tool("torchinfo, meta", "torchinfo", "meta", "MACs", torchinfo),
    "calflops-meta": Tool("calflops, meta", "calflops", "meta", "MACs", calflops),
    "flopcountermode": Tool("FlopCounterMode, CPU", "torch", "cpu", "FLOPs", flop_counter_mode),
    "fvcore": Tool("fvcore, CPU", "fvcore", "cpu", "MACs", fvcore),
    "ptflops": Tool("ptflops, CPU", "ptflops", "cpu", "MACs", ptflops("pytorch")),
    "thop": Tool("thop, CPU", "thop", "cpu", "MACs", thop),
    "torchinfo": Tool("torchinfo, CPU", "torchinfo", "cpu", "MACs", torchinfo),
    "calflops": Tool("calflops, CPU", "calflops", "cpu", "MACs", calflops),
}
"""In the order of the tables: the reference, flopcount, tools on shapes alone, tools that compute."""

BARE, OURS = "bare", "flopcount"
