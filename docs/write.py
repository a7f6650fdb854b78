"""Writes what takes longer than a build of the site: `python docs/write.py`.

These are the notebooks of examples/ with their outputs, and the picture of a report's page. `tests/test_notebooks.py`
compares the texts with notebooks that it runs; pictures are not compared, since fonts differ between machines.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from generators.markdown import ROOT
from generators.notebooks import notebook_page
from nbclient import NotebookClient
from playwright.sync_api import sync_playwright
from typer.testing import CliRunner

from flopcount.cli import app
from flopcount.output.atomic_files import write_files

DOCS = ROOT / "docs"
PAGE = "report slowfast_r50_8x8 --views 10x3 --format html"


def notebooks() -> dict[Path, bytes]:
    """The notebooks as pages of the gallery."""
    files: dict[Path, bytes] = {}
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        print(path.name, file=sys.stderr)
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
        text, pictures = notebook_page(notebook, path.stem)
        files[DOCS / "gallery" / f"{path.stem}.md"] = text.encode()
        files |= {DOCS / "gallery" / name: content for name, content in pictures.items()}
    return files


def picture() -> dict[Path, bytes]:
    """The upper part of a report's page in a browser."""
    print(PAGE, file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        result = CliRunner().invoke(app, [*PAGE.split(), "--out", folder], catch_exceptions=False)
        if result.exit_code:
            raise SystemExit(result.stderr)
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # which root cannot have
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
        tab = browser.new_page(viewport={"width": 1180, "height": 1180}, device_scale_factor=1.5)
        tab.goto((Path(folder) / "index.html").as_uri())
        tab.wait_for_selector("html[data-drawn=yes]")
        shown = tab.screenshot()
        browser.close()
    return {DOCS / "pictures" / "page.png": shown}


if __name__ == "__main__":
    write_files(picture() | notebooks(), folders=True)
