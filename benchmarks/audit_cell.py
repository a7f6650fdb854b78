"""One cell of the audit in a process of its own: `python audit_cell.py MODEL TOOL DEVICE` prints one JSON object.

On the CPU the tool runs a real forward pass under `flopcount check`, which names the causes of its difference; on meta
tensors it is called as its documentation does, for its total alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

from probe import reason

__all__ = ["METERS", "cell"]

METERS = {
    "fvcore": "fvcore-meta",
    "torch": "flopcountermode-meta",
    "ptflops": "ptflops",
    "thop": "thop-meta",
    "torchinfo": "torchinfo-meta",
    "calflops": "calflops-meta",
}
"""Tools of the check, and what benchmarks/counters.py calls them: ptflops with its default backend, as in the check."""


def cell(model: str, tool: str, device: str) -> dict[str, Any]:
    """What the tool answers, or what stopped it."""
    try:
        return on_cpu(model, tool) if device == "cpu" else on_meta(model, tool)
    except Exception as error:  # a tool may raise anything, and the table says what
        return {"failure": reason(error)}


def on_cpu(model: str, tool: str) -> dict[str, Any]:
    """The check of one tool: its total in its own unit and in MACs, the causes, and what they leave over."""
    from flopcount.core.model_spec import ModelSpec
    from flopcount.crosscheck import check_model

    result = check_model(ModelSpec(model), against=[tool])
    (peer,) = result.peers
    if peer.failure is not None:
        return {"failure": peer.failure}
    summed: dict[tuple[str, str], list[int]] = {}
    for row in result.rows:
        for cause in row.causes:
            entry = summed.setdefault((cause.op, str(cause.why)), [0, 0])
            entry[0] += cause.amount
            entry[1] += cause.calls
    return {
        "printed": peer.printed,
        "unit": peer.unit,
        "macs": sum(row.counts[tool] for row in result.rows),
        "causes": [{"op": op, "why": why, "macs": macs, "calls": calls} for (op, why), (macs, calls) in summed.items()],
        "unexplained": sum(abs(row.unexplained(tool)) for row in result.rows),
    }


def on_meta(model: str, tool: str) -> dict[str, Any]:
    """The tool's total in MACs, of a model and an input without data."""
    import torch
    from counters import TOOLS

    from flopcount import create_model
    from flopcount.core.model_spec import ModelSpec
    from flopcount.models.by_name import input_of
    from flopcount.tracing.arguments import arguments_of

    count = TOOLS[METERS[tool]].load()
    with torch.device("meta"):
        module = create_model(model).eval()
    (spec,), _ = arguments_of(input_of(module, ModelSpec(model)), module)
    x = torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device="meta")
    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()) as printed:
        macs = count(module, x)
    if macs is None:  # ptflops prints what stopped it
        return {
            "failure": f"no number; it printed {printed.getvalue().partition('exception:')[2].strip().splitlines()[0]}"
        }
    return {"macs": macs}


if __name__ == "__main__":
    answer = cell(*sys.argv[1:])
    print(json.dumps(answer))
