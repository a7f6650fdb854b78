"""A notebook that has run, as a page of the gallery with its pictures."""

from __future__ import annotations

import re
from typing import Any

from nbconvert import MarkdownExporter

__all__ = ["notebook_page"]


def notebook_page(notebook: Any, name: str) -> tuple[str, dict[str, bytes]]:
    """The page, and its pictures by their path beside it.

    Arguments:
        notebook: a notebook (nbformat 4) with the outputs of its cells.
        name: of the page, and of the folder of its pictures.
    """
    resources = {"unique_key": name, "output_files_dir": name}
    text, resources = MarkdownExporter().from_notebook_node(notebook, resources=resources)
    text = re.sub(r"<style scoped>.*?</style>\n*", "", text, flags=re.DOTALL)  # of pandas; the site has its own
    text = re.sub(r'<table border="1" class="dataframe">', "<table>", text)
    lines = [line.rstrip() for line in text.replace("![png]", "![chart]").splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n", resources["outputs"]
