"""What mkdocs does beside reading docs/: it adds what lies elsewhere in the repository, and a page for a browser.

Links of the pages in docs/ lead to files of the repository; on the site they lead to the same at its place there.
"""

from __future__ import annotations

from typing import Any

from generators.interactive_page import interactive_page
from generators.repository import placed, repository_files
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what does not lie in docs/."""
    for path, content in {"gallery/c3d_page.html": interactive_page(), **repository_files()}.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **others: Any) -> str:
    """Set links out of docs/ anew."""
    return placed(markdown, page.file.src_uri)
