"""The raw answers of an audit -> its markdown page: a pure function, which a test runs again on the published JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audit_cell import METERS

__all__ = ["markdown"]

READING = """\
- **MACs**: multiply-accumulates of one forward pass at the network's own clip, batch 1. A tool's answer is converted
  from its unit (torch's FLOPs are halved); where a tool adds other operations to its MACs, the sum is its answer.
- **×**: the tool's answer over flopcount's. 1.0000 means equality to the last digit, `≈1.0000` means nearly.
- **CPU**: a real forward pass in a fresh process, in which flopcount listens beside the tool. **meta**: module and
  input without data, the tool called as its documentation does; ptflops with its default backend.
- **Who is right**: flopcount's column is the sum over layers of the formulas in [rules.md](rules.md). Where a tool
  gives something else on the CPU, the causes below add up to the difference exactly, each computed by its own formula
  from what ran; what they leave over is listed as unexplained. On meta tensors ptflops alone differs from its answer
  on the CPU beyond attention; the causes of that difference are listed too.
- **Failures** are the tools' own, on that network and device."""


def markdown(result: Mapping[str, Any]) -> str:
    """The page; every number in it comes from the raw answers."""
    models = result["models"]
    tools = [tool for tool in METERS if any(f"{tool} cpu" in model["cells"] for model in models.values())]
    known = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    parts = [
        "# Audit: what each counter answers, and why",
        f"Written by `{result['command']}` on {result['date']}, with at most {result['limit_s']} s per answer;\n"
        f"the raw answers are in the JSON file beside it. {known}.",
        "## Answers",
        _grid(
            ["network", "input", "flopcount MACs", "on", *tools],
            [row for name, model in models.items() for row in _answers(name, model, tools)],
        ),
        "## How often each tool is right",
        _grid(
            ["tool", "equal on CPU", "differs, all explained", "unexplained", "failed", "equal on meta", "failed"],
            [_score(tool, models) for tool in tools],
        ),
        "## How to read this",
        READING,
        "## Why the others differ",
        *(part for name, model in models.items() for part in _reasons(name, model, tools)),
    ]
    return "\n\n".join(parts) + "\n"


def _answers(name: str, model: Mapping[str, Any], tools: list[str]) -> Iterator[list[str]]:
    shapes = ", ".join("×".join(map(str, shape)) for shape in model["input"])
    yield [name, shapes, f"{model['macs']:,}", "CPU", *(_answer(model, f"{tool} cpu") for tool in tools)]
    yield ["", "", "", "meta", *(_answer(model, f"{tool} meta") for tool in tools)]


def _answer(model: Mapping[str, Any], key: str) -> str:
    cell = model["cells"].get(key)
    if cell is None:
        return "not run"
    if "failure" in cell:
        return "failed"
    ratio = f"{cell['macs'] / model['macs']:.4f}"
    if cell["macs"] == model["macs"]:
        return f"{ratio}×"
    return f"{'≈' if float(ratio) == 1 else ''}{ratio}×"


def _score(tool: str, models: Mapping[str, Any]) -> list[str]:
    on = {
        device: [(model, model["cells"].get(f"{tool} {device}", {"failure": ""})) for model in models.values()]
        for device in ("cpu", "meta")
    }
    failed = {device: sum("failure" in cell for _, cell in cells) for device, cells in on.items()}
    answered = [(model, cell) for model, cell in on["cpu"] if "failure" not in cell]
    equal = sum(cell["macs"] == model["macs"] for model, cell in answered)
    unexplained = sum(bool(cell["unexplained"]) for _, cell in answered)
    differing = sum(cell["macs"] != model["macs"] and not cell["unexplained"] for model, cell in answered)
    on_meta = sum(cell.get("macs") == model["macs"] for model, cell in on["meta"])
    return [tool, *map(str, (equal, differing, unexplained, failed["cpu"], on_meta, failed["meta"]))]


def _reasons(name: str, model: Mapping[str, Any], tools: list[str]) -> Iterator[str]:
    lines = [line for tool in tools for line in _differences(tool, model)]
    if lines:
        yield f"### {name}"
        yield "\n".join(lines)


def _differences(tool: str, model: Mapping[str, Any]) -> Iterator[str]:
    cell = model["cells"].get(f"{tool} cpu", {})
    if cell.get("causes") or cell.get("unexplained"):
        yield f"- **{tool}** {_signed(cell['macs'] - model['macs'])} MACs:"
        for cause in sorted(cell["causes"], key=lambda cause: -abs(cause["macs"])):
            calls = f"{cause['calls']:,} call" + "s" * (cause["calls"] != 1)
            yield f"  - {cause['why']}: {cause['op']}, {_signed(cause['macs'])} in {calls}"
        if cell["unexplained"]:
            yield f"  - unexplained: {cell['unexplained']:,}"
    yield from _twice(tool, model)
    for device in ("cpu", "meta"):
        failure = model["cells"].get(f"{tool} {device}", {}).get("failure")
        if failure is not None:
            yield f"- **{tool}** failed on {'the CPU' if device == 'cpu' else 'meta'}: `{failure.replace('`', '')}`"


def _twice(tool: str, model: Mapping[str, Any]) -> Iterator[str]:
    """What ptflops counts on meta tensors beyond the CPU; what this cause leaves over is listed too."""
    cells = [model["cells"].get(f"{tool} {device}", {}) for device in ("meta", "cpu")]
    linear = model.get("linear_with_bias")  # answers kept from an older audit lack it
    if tool != "ptflops" or linear is None or any("macs" not in cell for cell in cells):
        return
    more = cells[0]["macs"] - cells[1]["macs"]
    yield f"- **{tool}** on meta, {_signed(more)} MACs against its answer on the CPU:"
    yield (
        "  - counts the products of a Linear with bias twice, since torch's meta kernel for addmm is Python that calls "
        f"torch.mm, which ptflops patches: {_signed(linear['macs'])} in {linear['calls']:,} calls"
    )
    if more != linear["macs"]:
        yield f"  - unexplained: {_signed(more - linear['macs'])}"


def _signed(amount: int) -> str:
    return f"{'+' if amount > 0 else '−' if amount else ''}{abs(amount):,}"


def _grid(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
