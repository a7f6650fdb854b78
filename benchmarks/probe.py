"""One measurement in a process of its own: `python probe.py NETWORK TOOL` prints one JSON object.

A fresh process is the only fair one: two of the tools patch torch for good, and the first forward pass on meta tensors
imports over a second of machinery that a later one gets for free. The clock starts after the imports of torch and of
the tool and after the network is built, so what a call imports by itself is in its time, for every tool alike.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import time
from typing import Any

__all__ = ["measure", "probe"]

LAZY = ("sympy", "torch._dynamo")  # the machinery that meta kernels import when they first run


def probe(network: str, tool: str) -> dict[str, Any]:
    """The measurement, or what stopped it; what the tool prints is dropped."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return {"status": "ok", **measure(network, tool)}
        except ModuleNotFoundError as error:
            return absence(tool, error)
        except Exception as error:  # a peer may raise anything, and the table says what
            return {"status": "failed", "reason": reason(error)}


def measure(network: str, tool: str) -> dict[str, Any]:
    """Seconds, bytes and MACs of a first and of a repeated call."""
    import torch
    from counters import TOOLS
    from networks import NETWORKS

    count = TOOLS[tool].load()
    imported = peak_bytes()
    with torch.device(TOOLS[tool].device):
        module = NETWORKS[network].build().eval()
        x = torch.rand(NETWORKS[network].shape)
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    loaded = set(sys.modules)
    with torch.no_grad():
        first_s, macs = timed(count, module, x)
        peak, lazy = peak_bytes(), [name for name in LAZY if name in sys.modules and name not in loaded]
        again_s, again = timed(count, module, x)
    if again != macs:
        raise ValueError(f"first {macs}, repeated {again}")
    return {
        "macs": macs,
        "first_s": first_s,
        "again_s": again_s,
        "imported_bytes": imported,
        "peak_bytes": peak,
        "weight_bytes": weights,
        "imported_by_call": lazy,
    }


def timed(count: Any, module: Any, x: Any) -> tuple[float, int | None]:
    start = time.perf_counter()
    macs = count(module, x)
    return time.perf_counter() - start, macs


def peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def absence(tool: str, error: ModuleNotFoundError) -> dict[str, Any]:
    """Not installed where the tool itself is missing; failed where a package that it needs but does not install is."""
    from counters import TOOLS

    if error.name is not None and error.name.partition(".")[0] == TOOLS[tool].package:
        return {"status": "not installed", "reason": f"{TOOLS[tool].package} is not installed"}
    return {"status": "failed", "reason": reason(error)}


def reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


if __name__ == "__main__":
    print(json.dumps(probe(*sys.argv[1:])))
