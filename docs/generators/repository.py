"""Pages and pictures that lie elsewhere in the repository, at their place on the site."""

from __future__ import annotations

import os
import posixpath

from .markdown import ROOT, relinked

__all__ = ["repository_files"]

_REPORTS = ("audit", "c3d", "kinetics400", "lecture", "published", "speed", "survey")

_PAGES = {
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "README.md": "index.md",  # the site has its own front page, which links to the README lead to
    "benchmarks/README.md": "gallery/benchmarks.md",
    "reports/README.md": "gallery/index.md",
    "reports/rules.md": "reference/rules.md",
    "reports/torch_versions.md": "reference/versions.md",
    **{f"reports/{name}.md": f"gallery/{name}.md" for name in _REPORTS},
}
_OWN = ("README.md", "reports/README.md")  # the site has a page of its own there
_FOLDERS = {f"reports/{name}": f"gallery/{name}" for name in _REPORTS}


def repository_files() -> dict[str, str | bytes]:
    """Path on the site -> content; links lead to the site, and a link to what is not there is its text alone."""
    found: dict[str, str | bytes] = {}
    for source, target in _PAGES.items():
        if source not in _OWN:
            found[target] = _page(source, target)
    for folder, target in _FOLDERS.items():
        for path in sorted((ROOT / folder).glob("*")):
            found[f"{target}/{path.name}"] = path.read_bytes()
    return found


def _page(source: str, target: str) -> str:
    def place(link: str) -> str | None:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        folder, name = posixpath.split(path)
        there = _PAGES.get(path) or (f"{_FOLDERS[folder]}/{name}" if folder in _FOLDERS else None)
        return there and os.path.relpath(there, posixpath.dirname(target))

    return relinked((ROOT / source).read_text(encoding="utf-8"), place)
