"""A report's page for a browser, as the command writes it."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from typer.testing import CliRunner

from flopcount.cli import app

__all__ = ["interactive_page"]

_COMMAND = "report c3d --clip 16x112x112 --views 10x1 --format html"


@cache  # `mkdocs serve` builds again and again
def interactive_page() -> str:
    """One HTML file that holds all it needs."""
    with tempfile.TemporaryDirectory() as folder:
        result = CliRunner().invoke(app, [*_COMMAND.split(), "--out", folder], catch_exceptions=False)
        if result.exit_code:
            raise RuntimeError(f"flopcount {_COMMAND}\n{result.stderr}")
        return (Path(folder) / "index.html").read_text(encoding="utf-8")
