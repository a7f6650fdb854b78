"""Table -> LaTeX with booktabs, ready for a paper."""

from __future__ import annotations

from typing import Any

from ...core.table import Formula, Table
from ..cells import cells, heading
from ..format import Format
from ..tree_names import named_below

__all__ = ["FORMAT"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "−": "--",
    "Δ": r"$\Delta$",
    "→": r"$\to$",
    "…": r"\ldots{}",
}
_INDENT = r"\quad "  # of a level of a tree
_ALIGNMENT = {"text": "l", "prose": r"p{0.3\linewidth}"}


def _text(table: Table) -> str:
    r"""A tabular between rules; needs \usepackage{booktabs}. Notes follow as comments."""
    alignment = "".join(_ALIGNMENT.get(column.kind, "r") for column in table.columns)
    body = [_line(_cells(table, line.values)) for line in table.lines]
    if table.tree:
        names = [_INDENT * level + _escaped(name) for level, name in named_below(table)]
        lines = zip(names, table.lines, strict=True)
        body = [_line([name, *_cells(table, line.values)[1:]]) for name, line in lines]
    total = [r"\midrule", _line(_cells(table, table.total))] if table.total is not None else []
    return "\n".join(
        [
            f"% {table.title}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            _line([_escaped(heading(column)) for column in table.columns]),
            r"\midrule",
            *body,
            *total,
            r"\bottomrule",
            r"\end{tabular}",
            *(f"% {note}" for note in table.notes),
        ]
    )


def _cells(table: Table, row: tuple[Any, ...]) -> list[str]:
    """Formulas are LaTeX already."""
    texts = map(_escaped, cells(table.columns, row))
    return [f"${value.latex}$" if isinstance(value, Formula) else text for value, text in zip(row, texts, strict=True)]


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(c, c) for c in text)


def _line(texts: list[str]) -> str:
    return " & ".join(texts) + r" \\"


FORMAT = Format(_text)
