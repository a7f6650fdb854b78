"""The repository's own reports: their texts and data are what is counted today, versions and pictures aside."""

import csv
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from flopcount.core.units import si
from flopcount.models.cards import recorded_costs
from flopcount.models.library_registry import find_library

REPORTS = Path(__file__).parent.parent / "reports"

sys.path.insert(0, str(REPORTS))  # as `python reports/write.py` does

import write  # noqa: E402

ZOO_WIDE = tuple(set(write.REPORTS) - {"rules", "lecture", "c3d"})


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name != "rules" else []) for name in write.REPORTS]
)
def test_a_report_is_fresh(name):
    if name in ZOO_WIDE:
        pytest.importorskip("transformers")
    written = write.REPORTS[name](lambda text: None)
    assert write.stale(written) == [], "look at what differs, then run python reports/write.py"


SURVEY = list(csv.DictReader((REPORTS / "survey.csv").read_text().splitlines()))
SURVEYED = ("zoo", "diffusers", "pytorchvideo", "timm", "torchvision", "transformers")


def surveyed(library):
    """The names of a library's models in the committed survey."""
    return [row["model"] for row in SURVEY if (row["model"].rpartition(":")[0] or "zoo") == library]


def test_the_survey_has_the_zoo_as_it_is():
    costs = {row["model"]: (row["params"], row["MACs"]) for row in SURVEY if ":" not in row["model"]}
    recorded = {name: (str(params), str(macs)) for name, (params, macs) in recorded_costs().items()}
    assert costs == recorded, "count the zoo again: reports/README.md has the command of the survey"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries, which use much that torch deprecates
@pytest.mark.parametrize("library", SURVEYED[1:])
def test_the_survey_has_every_model_of_a_library(library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    names = [f"{library}:{name}" for name in sorted(find_library(library).model_names())]
    assert surveyed(library) == names, "survey the library again: reports/README.md has the command"


def test_the_page_of_the_survey_is_that_of_its_rows():
    page = (REPORTS / "survey.md").read_text()
    assert f"`flopcount survey {' '.join(SURVEYED)}`" in page
    for library in SURVEYED:
        names = set(surveyed(library))
        rows = [row for row in SURVEY if row["model"] in names]
        failed = sum(bool(row["problem"]) for row in rows)
        cells = [library, *(si(count) if count else "" for count in (len(rows), len(rows) - failed, failed))]
        assert f"| {' | '.join(cells)} |" in page


def test_what_is_stale_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "FOLDER", tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "a.md").write_text(
        "Made by `x`, flopcount 0.1, torch 2.6.0.\n\n- versions: fvcore 1, torch 2\n\n3 MACs"
    )
    (tmp_path / "data/chart.png").write_bytes(b"a picture of another font")
    (tmp_path / "data/rows.csv").write_text("1")
    now = "Made by `x`, flopcount 0.2, torch 2.7.0.\n\n- versions: fvcore 9, torch 9\n\n{} MACs"
    assert write.stale(write.Written({"a.md": now.format(3), "data/rows.csv": "1"})) == []
    assert write.stale(write.Written({"a.md": now.format(4), "data/rows.csv": "1"})) == ["a.md"]
    (tmp_path / "a.json").write_text('{"macs": 3, "versions": {"flopcount": "0.1", "torch": "2.6.0+cpu"}}')
    later = '{"macs": 3, "versions": {"flopcount": "0.2", "torch": "2.7.0"}}'
    assert write.stale(write.Written({"a.json": later})) == []
    assert write.stale(write.Written({"a.json": later.replace("3", "4")})) == ["a.json"]
    assert write.stale(write.Written({"a.md": now.format(3), "data/new.csv": "1"})) == ["data/new.csv", "data/rows.csv"]


def test_one_command_writes_all_or_checks_all(tmp_path, monkeypatch, capsys):
    fakes = {name: lambda say, name=name: write.Written({f"{name}.md": name}, lambda: {f"{name}/x.svg": b"<svg/>"})
             for name in ("one", "two")}  # fmt: skip
    monkeypatch.setattr(write, "FOLDER", tmp_path)
    monkeypatch.setattr(write, "REPORTS", fakes)
    assert write.main(["--check"]) == 1
    assert "stale: one.md\nstale: two.md" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert write.main([]) == 0
    assert (tmp_path / "two/x.svg").read_bytes() == b"<svg/>"
    assert write.main(["--check"]) == 0
    assert write.main(["--chekc"]) == 2


def test_the_readme_of_the_reports_names_every_file():
    readme = (REPORTS / "README.md").read_text()
    there = {path.name for path in REPORTS.iterdir()} - {"README.md", "__pycache__"}
    named = set(re.findall(r"[\w.]+", readme))
    assert {name for name in there if name not in named} == set()
    for target in re.findall(r"\]\(([^)]+)\)", readme):
        assert (REPORTS / target).exists(), target


def test_links_of_the_reports_lead_somewhere():
    for page in REPORTS.glob("*.md"):
        for target in re.findall(r'(?:\]\(|src=|srcset=)"?([^")\s]+)', page.read_text()):
            assert target.startswith("http") or (REPORTS / target.partition("#")[0]).exists(), (page.name, target)
