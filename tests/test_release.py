"""What a release is made of: its changelog, its citation, its archives, and the command that refuses or makes it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path

import pytest

import flopcount

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GROUPS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2027-01-31\n\n### Added\n\n- A start.\n"


def loaded(path):
    spec = spec_from_loader(path.name, SourceFileLoader(path.name, str(path)))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = loaded(ROOT / ".ci" / "release")


def test_the_newest_section_is_of_the_version_or_unreleased():
    assert release.version() == flopcount.__version__
    assert release.changelog_versions()[0] in ("Unreleased", flopcount.__version__)


def test_the_changelog_keeps_its_form():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n")
    before, *sections = re.split(r"^## ", text, flags=re.M)
    assert "### " not in before
    assert len(sections) == len(set(release.changelog_versions())) == len(release.changelog_versions())
    for section in sections:
        heading, *groups = re.split(r"^### ", section, flags=re.M)
        names = [group.partition("\n")[0] for group in groups]
        assert names == [name for name in GROUPS if name in names], heading  # each once, in this order
        assert groups or heading.startswith("[Unreleased]"), heading
        for group in groups:
            lines = [line for line in group.splitlines()[1:] if line]
            assert lines, group
            assert all(line.startswith(("- ", "  ")) for line in lines), group
            assert group.rstrip().endswith("."), group


def test_the_citation_says_what_the_project_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["version"] == flopcount.__version__
    assert citation["title"] == PROJECT["name"]
    assert citation["license"] == PROJECT["license"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert citation["authors"] == [{"name": "The flopcount developers"}]
    opening = " ".join((ROOT / "README.md").read_text().split("\n\n")[1].split())
    assert citation["abstract"] == opening
    assert f"flopcount {PROJECT['description'].lower().removesuffix('.')}" == opening.partition(":")[0]
    assert citation["message"]


def test_the_release_is_the_command_that_is_documented():
    assert " && .venv/bin/python .ci/release\n" in (ROOT / "CONTRIBUTING.md").read_text()
    assert os.access(ROOT / ".ci" / "release", os.X_OK)


@pytest.fixture
def repository(tmp_path):
    """A committed package that may be released, with the command that does it."""
    for folder in (".ci", "flopcount"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / ".ci" / "release", tmp_path / ".ci")
    (tmp_path / "flopcount" / "_version.py").write_text('"""The version."""\n\n__version__ = "0.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def git(folder, *words):
    subprocess.run(["git", *words], cwd=folder, check=True)


def commit(folder):
    git(folder, "add", ".")
    git(folder, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "A commit")


def test_nothing_stops_a_version_that_is_described_and_committed(repository):
    assert release.obstacles(repository) == []


def test_changes_that_no_commit_has_stop_a_release(repository):
    (repository / "new.py").write_text("")
    assert release.obstacles(repository) == [
        "the tree has changes that no commit has: 1 of them, see `git status`",
    ]


@pytest.mark.parametrize("heading", ["[0.3.0] - 2027-01-31", "0.2.0 - 2027-01-31", "[0.2.0] - soon", "[Unreleased]"])
def test_a_version_that_no_section_describes_stops_a_release(repository, heading):
    (repository / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n")
    commit(repository)
    assert release.obstacles(repository) == ["CHANGELOG.md has no section of 0.2.0: add `## [0.2.0] - YYYY-MM-DD`"]


def test_a_tag_that_is_taken_stops_a_release(repository):
    git(repository, "tag", "v0.2.0")
    assert release.obstacles(repository) == ["tag v0.2.0 exists: raise the version in flopcount/_version.py"]


def test_a_refused_release_builds_nothing(repository):
    (repository / "new.py").write_text("")
    before = {*repository.rglob("*")}
    done = subprocess.run([sys.executable, ".ci/release"], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == "refused: the tree has changes that no commit has: 1 of them, see `git status`\n"
    assert {path for path in {*repository.rglob("*")} - before if ".git" not in path.parts} == set()


def test_a_wheel_that_counts_something_else_is_no_release(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # which would lend the empty environment this checkout
    command = (sys.executable, "-c", "import os; print(os.environ.get('PYTHONPATH'))")
    release._expect("None\n", *command, cwd=tmp_path)
    with pytest.raises(SystemExit, match=r"^no release: it prints\nNone\n\nand not\n38548959232$"):
        release._expect("38548959232", *command, cwd=tmp_path)
    with pytest.raises(SystemExit, match=r"^no release: \S+ exits with 3$"):
        release._expect("", sys.executable, "-c", "raise SystemExit(3)", cwd=tmp_path)


def test_tools_that_are_missing_are_named_with_what_brings_them(monkeypatch):
    monkeypatch.setattr(release, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"build, hatchling, twine is not installed: .* -e '\.\[release\]'$"):
        release.main(["--check"])


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_an_archive_has_the_files_that_git_tracks(kind, tmp_path):
    if find_spec("hatchling") is None:
        if os.environ.get("FLOPCOUNT_ALL_LIBRARIES") == "1":
            pytest.fail("hatchling is missing, and FLOPCOUNT_ALL_LIBRARIES promises it")
        pytest.skip("no hatchling")
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.iterdir()
    assert release.different_files(archive) == []
    suffixes = {Path(name).suffix for name in release.archive_files(archive)}
    assert suffixes >= {".py", ".pyi", ".typed", ".toml", ".csv", ".json", ".js", ".css", ".j2"}


def test_a_file_too_few_or_too_many_is_named(repository):
    wheel = repository.parent / "flopcount-0.2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("flopcount/stray.py", "")
        archive.writestr("flopcount-0.2.0.dist-info/METADATA", "")
    assert release.different_files(wheel, repository) == ["lacks flopcount/_version.py", "has flopcount/stray.py"]


def test_nothing_says_that_an_index_has_flopcount():
    """As long as none does, whoever installs it from one gets nothing, or somebody else's."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = [name for name in tracked.split("\0") if name and not name.startswith("tests/")]
    assert len(names) > 300
    promise = re.compile(rb"pip install (?:-\S+ )*['\"]?flopcount\b(?!-source)")
    assert [name for name in names if (ROOT / name).is_file() and promise.search((ROOT / name).read_bytes())] == []
