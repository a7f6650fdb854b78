"""What the tutorials show and their own blocks do not run: the workflow for GitHub Actions."""

import re
from pathlib import Path

import yaml
from documents import BLOCK

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorials" / "budget_in_ci.md"


def blocks():
    return [(match["title"], match["body"]) for match in BLOCK.finditer(PAGE.read_text())]


def workflow():
    (body,) = (body for title, body in blocks() if title == ".github/workflows/flopcount.yml")
    return yaml.safe_load(body)["jobs"]["budget"]["steps"]


def test_the_workflow_is_the_example_with_the_names_of_the_page():
    """The example is run step by step in tests/publishing/test_budget.py."""
    example = yaml.safe_load((ROOT / "examples" / "flopcount-budget.yml").read_text())["jobs"]["budget"]["steps"]
    shown, expected = ({step["name"]: step for step in steps if "name" in step} for steps in (workflow(), example))
    assert list(shown) == list(expected)
    for name in set(shown) - {"Install"}:
        expected[name]["run"] = expected[name]["run"].replace("model.py:build", "net.py:build")
        assert shown[name] == expected[name]


def test_what_the_workflow_compares_is_the_network_of_the_budget():
    (*_, last) = workflow()
    (model, clip), *_ = {
        (re.search(r'model = "(.*)"', body)[1], re.search(r'clip = "(.*)"', body)[1])
        for title, body in blocks()
        if title == "pyproject.toml"
    }
    assert last["run"].count(f"{model} --clip {clip} ") == 2


def test_the_workflow_installs_from_the_checkout_it_takes():
    checkout, _, install, *_ = workflow()
    assert checkout["with"]["submodules"] is True
    constraints, source = re.fullmatch(r"pip install -c (\S+)/constraints.txt \./(\S+)", install["run"]).groups()
    assert constraints == source
    assert (ROOT / "constraints.txt").is_file()
