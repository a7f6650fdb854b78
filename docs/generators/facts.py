"""The facts that the package holds, each with the place where it was read."""

from __future__ import annotations

from collections import Counter

from flopcount.facts import Printed, Published, lecture, published

from .markdown import table

__all__ = ["facts_page"]

_HEAD = """# Facts and their sources

What papers and model zoos print, as the package holds it. A row without a URL and a place there is refused. Costs are
copied digit by digit, under the source's own word for their unit; whether they are right is another question, which
[the verdicts](../../reports/published.md) answer.
"""


def facts_page() -> str:
    """Sources, the lecture's numbers, and every published row."""
    rows = published()
    return "\n".join(
        [
            _HEAD,
            "## Sources\n",
            table(("source", "rows"), ((name, number) for name, number in Counter(map(_source, rows)).most_common())),
            "## The lecture's slide\n",
            table(("item", "printed", "place"), ((f.item, f.printed, f"[{f.locator}]({f.url})") for f in lecture())),
            "## Published costs and accuracies\n",
            table(
                ("model", "data set", "clip", "cost", "unit", "of a", "views", "params", "top-1, %", "place"),
                map(_row, rows),
            ),
        ]
    )


def _source(row: Published) -> str:
    return f"[{row.source}]({row.url})"


def _row(row: Published) -> tuple[str, ...]:
    sizes = (row.frames, row.height, row.width)
    clip = "×".join(str(size) if size is not None else "?" for size in sizes) if any(sizes) else ""
    return (
        row.model,
        row.dataset,
        clip,
        _text(row.cost),
        row.unit,
        row.scope if row.cost else "",
        _text(row.views),
        _text(row.params),
        _text(row.top1),
        f"[{row.locator}]({row.url})",
    )


def _text(value: Printed | float | None) -> str:
    """What was not printed stays empty."""
    return "" if value is None else str(value)
