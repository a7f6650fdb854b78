"""A comparison -> every file of its page: markdown, LaTeX, and for each chart PNG, SVG, PDF and its data as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from .._version import __version__
from ..comparison import PER, Comparison
from .files import FORMATS, picture
from .scatter import scatter

__all__ = ["comparison_files", "comparison_page"]

_THEMES = (("light", False), ("dark", True))


def comparison_files(comparison: Comparison, command: str, pers: Sequence[str] = PER) -> dict[str, bytes]:
    """Path below the folder asked for -> content; nothing is written here, so that all can be written or nothing.

    Arguments:
        comparison: what to show; with no point at all the page is its table alone.
        command: what made it, for the page.
        pers: charts per "view", per "video", or both.
    """
    name, table = comparison.dataset, comparison.table()
    charts = pers if comparison.rows else ()
    files = {
        f"{name}.md": comparison_page(comparison, command, charts).encode(),
        f"{name}/{name}.tex": (table.to_latex() + "\n").encode(),
    }
    for per in charts:
        files[f"{name}/per_{per}.csv"] = (table.to_csv() + "\n").encode()
        for theme, dark in _THEMES:
            for form in FORMATS:
                draw = partial(scatter, comparison, per, dark=dark)
                files[f"{name}/per_{per}_{theme}.{form}"] = picture(draw, form)
    return files


def comparison_page(comparison: Comparison, command: str, pers: Sequence[str] = PER) -> str:
    """The page in markdown: how it was made, the charts, the table with its notes."""
    from torch import __version__ as torch_version

    built = torch_version.partition("+")[0]  # CPU or CUDA makes no difference to a count
    made = f"Made by `{command}`, flopcount {__version__}, torch {built}."
    parts = [f"# Cost against accuracy on {comparison.dataset}", made]
    for per in pers:
        stem = f"{comparison.dataset}/per_{per}"
        text = f"top-1 on {comparison.dataset} against GMACs per {per}"
        parts.append(
            f'<picture>\n<source media="(prefers-color-scheme: dark)" srcset="{stem}_dark.svg">\n'
            f'<img src="{stem}_light.svg" alt="{text}">\n</picture>'
        )
        links = ", ".join(f"[{form.upper()}]({stem}_light.{form})" for form in FORMATS)
        parts.append(f"The chart per {per}: {links}; its data: [CSV]({stem}.csv).")
    parts.append(comparison.table().to_markdown())
    return "\n\n".join(parts) + "\n"
