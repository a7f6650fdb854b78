"""Table -> LaTeX with booktabs, ready for a paper."""

from __future__ import annotations

from ..tables import Table
from .cells import cells

__all__ = ["latex"]

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
}
_ALIGNMENT = {"text": "l", "prose": r"p{0.3\linewidth}"}


def latex(table: Table) -> str:
    r"""A tabular between rules; needs \usepackage{booktabs}. Notes follow as comments."""
    alignment = "".join(_ALIGNMENT.get(column.kind, "r") for column in table.columns)
    body = [_line(cells(table.columns, row)) for row in table.rows]
    total = [r"\midrule", _line(cells(table.columns, table.total))] if table.total is not None else []
    return "\n".join(
        [
            f"% {table.title}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            _line([column.name for column in table.columns]),
            r"\midrule",
            *body,
            *total,
            r"\bottomrule",
            r"\end{tabular}",
            *(f"% {note}" for note in table.notes),
        ]
    )


def _line(texts: list[str]) -> str:
    return " & ".join("".join(_SPECIAL.get(c, c) for c in text) for text in texts) + r" \\"
