"""The reference of the Python interface, from the public names of the package."""

from __future__ import annotations

import ast

from .markdown import ROOT

__all__ = ["python_page"]

_HEAD = """# Python

Every public name, as `import flopcount` has it. The signatures and texts are those of the code.
"""

_TITLES = {
    "report": "Counting",
    "core": "Nouns and errors",
    "models": "Models",
    "training": "Training",
    "hardware": "Time, energy and money",
    "symbolic": "Closed forms",
    "analysis": "Readers of a result",
    "output": "Saved reports",
    "publishing": "Comparison, sweep and budget",
    "crosscheck": "Other counters",
    "rules": "Rules",
    "tracing": "Tracing",
}


def python_page() -> str:
    """One section per room of the package, counting first."""
    rooms: dict[str, list[str]] = {room: [] for room in _TITLES}
    stub = ast.parse((ROOT / "flopcount" / "__init__.pyi").read_text(encoding="utf-8"))
    for node in ast.walk(stub):
        if isinstance(node, ast.ImportFrom) and not node.names[0].name.startswith("_"):
            room = (node.module or "").split(".")[0]
            rooms.setdefault(room, []).extend(f"flopcount.{node.module}.{name.name}" for name in node.names)
    sections = [
        f"## {_TITLES.get(room, room)}\n\n" + "\n\n".join(f"::: {name}" for name in names)
        for room, names in rooms.items()
        if names
    ]
    return "\n\n".join([_HEAD, *sections])
