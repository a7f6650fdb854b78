"""The site: it builds without a warning, every link leads somewhere, and nothing is loaded from elsewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer
import yaml

from flopcount.cli import app

pytest.importorskip("mkdocs")
from generators import pages
from generators.markdown import relinked

ROOT = Path(__file__).parent.parent
LOADED = ("src", "srcset", "imagesrcset", "data", "poster", "background", "xlink:href", "ping")  # attributes that load
HREF_LOADS = ("link", "image", "use", "base")  # elements whose href does too
STYLE_LOADS = re.compile(r"(?:url\(\s*[\"']?|@import\s*[\"'])\s*(?:https?:)?//", re.IGNORECASE)


class Page(HTMLParser):
    """The ids of a page, where it leads, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.leads, self.loads, self.styles = set(), [], [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs.get("id"), attrs.get("name")} - {None}
        if tag == "a" and attrs.get("href"):
            self.leads.append(attrs["href"])
        loading = LOADED + (
            ("href",) if tag in HREF_LOADS and attrs.get("rel") not in ("canonical", "prev", "next") else ()
        )
        for name in loading:
            places = (attrs.get(name) or "").split(",") if name.endswith("srcset") else [attrs.get(name) or ""]
            self.loads += [place.split()[0] for place in places if place.split()]
        self.styles += [value or "" for value in attrs.values()]  # SVG has styles in many attributes

    def handle_data(self, data):
        self.styles.append(data if self.lasttag == "style" else "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.mark.slow
def test_the_site_is_whole_and_stands_alone(site):
    """Asked together, so that the site is built once."""
    parsed = {path: Page(path) for path in site.rglob("*.html")}
    assert len(parsed) > 40
    broken, foreign = [], []
    for path, page in parsed.items():
        for link in page.leads + page.loads:
            parts = urlsplit(link)
            if parts.scheme in ("data", "mailto"):
                continue
            if parts.scheme or parts.netloc:
                foreign += [f"{path.name}: {link}"] if link in page.loads else []
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if path.name == "404.html":  # its links are from the root of wherever the site is put
                target = site / unquote(parts.path).lstrip("/")
            target = target / "index.html" if target.is_dir() else target
            ids = parsed[target].ids if target in parsed else set()
            if not target.exists() or (parts.fragment and target in parsed and unquote(parts.fragment) not in ids):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []
    assert foreign == []
    styles = {path: path.read_text() for path in site.rglob("*.css")}
    styles |= {path: "\n".join(page.styles) for path, page in parsed.items()}
    assert [path.name for path, text in styles.items() if STYLE_LOADS.search(text)] == []
    for term in ("multiply-accumulates", "receptive_field", "kinetics400"):
        assert term in (site / "search" / "search_index.json").read_text()


@pytest.mark.parametrize(
    "body",
    [
        '<img srcset="a.png 1x, https://x.org/b.png 2x">',
        '<video poster="https://x.org/a.png">',
        '<object data="https://x.org/a">',
        '<p style="background: url(//x.org/a.png)">',
        "<style>@import 'https://x.org/a.css'</style>",
        '<link rel="stylesheet" href="https://x.org/a.css">',
        '<svg><image href="https://x.org/a.png"></svg>',
        '<svg><rect fill="url(https://x.org/a.svg)"></svg>',
    ],
)
def test_what_is_loaded_from_elsewhere_is_found(body, tmp_path):
    (tmp_path / "page.html").write_text(body)
    page = Page(tmp_path / "page.html")
    assert any(urlsplit(link).netloc for link in page.loads) or STYLE_LOADS.search("\n".join(page.styles))


def navigated(entry):
    """The pages of a navigation."""
    if isinstance(entry, str):
        return [entry]
    return [page for inner in (entry.values() if isinstance(entry, dict) else entry) for page in navigated(inner)]


def test_every_command_has_a_page_that_the_navigation_names():
    named = navigated(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert len(named) == len(set(named))
    for command in typer.main.get_command(app).commands:
        assert f"how_to/{command}.md" in named
        assert f"$ flopcount {command}" in (ROOT / "docs" / "how_to" / f"{command}.md").read_text()


@pytest.mark.parametrize("name", pages.PAGES)
def test_the_reference_is_what_the_package_says(name, update_golden):
    path, text = ROOT / "docs" / name, pages.PAGES[name]()
    if update_golden:
        path.write_text(text)
    assert path.read_text() == text, f"{name} differs; look at it, then pytest --update-golden"


def test_the_reference_holds_nothing_else():
    assert {f"reference/{path.name}" for path in (ROOT / "docs" / "reference").iterdir()} == set(pages.PAGES)


def test_code_is_no_link():
    text = "[a](b.md#c) ![p](q.png) `d[0](e)` [`f`](g.md)\n```python\nh[1](i)\n```\n[x](https://x.org)"
    moved = "[a](B#c) p `d[0](e)` [`f`](G)\n```python\nh[1](i)\n```\n[x](https://x.org)"
    assert relinked(text, {"b.md": "B", "g.md": "G"}.get) == moved


MADE_BY_THE_BUILD = {"c3d_page.html"}


def test_links_in_the_repository_lead_somewhere():
    folders = [ROOT, ROOT / "reports", ROOT / "benchmarks"]
    for path in [*(page for folder in folders for page in folder.glob("*.md")), *(ROOT / "docs").rglob("*.md")]:
        text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            parts = urlsplit(link)
            if not parts.scheme and parts.path and parts.path not in MADE_BY_THE_BUILD:
                assert (path.parent / unquote(parts.path)).exists(), f"{path.name}: {link}"
