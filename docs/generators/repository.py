"""Pages and pictures that lie elsewhere in the repository, at their place on the site."""

from __future__ import annotations

import os
import posixpath

from .markdown import ROOT, relinked

__all__ = ["placed", "repository_files"]

_REPORTS = (
    *("audit", "c3d", "kinetics400", "kinetics600", "kinetics700", "lecture", "published", "sintel_final", "speed"),
    *("ssv2", "survey", "time"),
)

_PAGES = {
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "benchmarks/README.md": "gallery/benchmarks.md",
    "reports/rules.md": "reference/rules.md",
    "reports/torch_versions.md": "reference/versions.md",
    **{f"reports/{name}.md": f"gallery/{name}.md" for name in _REPORTS},
}
_OWN = {"README.md": "index.md", "reports/README.md": "gallery/index.md"}  # the site has a page of its own there
_PICTURES = {"reports/time.png": "gallery/time.png"}
_FOLDERS = {f"reports/{name}": f"gallery/{name}" for name in _REPORTS}


def repository_files() -> dict[str, str | bytes]:
    """Path on the site -> content."""
    files: dict[str, str | bytes] = {
        target: _relinked((ROOT / source).read_text(encoding="utf-8"), source, target)
        for source, target in _PAGES.items()
    }
    files |= {target: (ROOT / source).read_bytes() for source, target in _PICTURES.items()}
    for folder, target in _FOLDERS.items():
        for path in sorted((ROOT / folder).glob("*")):
            files[f"{target}/{path.name}"] = path.read_bytes()
    return files


def placed(text: str, page: str) -> str:
    """A page of docs/ with its links to the repository set to the site; one to what is not there is its text alone."""
    return text if page in {*_PAGES.values()} else _relinked(text, f"docs/{page}", page)


def _relinked(text: str, source: str, target: str) -> str:
    def place(link: str) -> str | None:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        folder, name = posixpath.split(path)
        there = (_PAGES | _OWN | _PICTURES).get(path) or (f"{_FOLDERS[folder]}/{name}" if folder in _FOLDERS else None)
        if there is None and path.startswith("docs/"):
            there = path.removeprefix("docs/")
        return there and os.path.relpath(there, posixpath.dirname(target))

    return relinked(text, place)
