"""What the tutorials show and their own blocks do not run: the workflow for GitHub Actions, and shares in words."""

import re
from pathlib import Path

import pytest
import yaml
from documents import BLOCK

import flopcount

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorials" / "budget_in_ci.md"
JOB_PAGE = ROOT / "docs" / "tutorials" / "a_whole_job.md"


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


@pytest.mark.slow
def test_a_whole_job_says_what_its_commands_print(tmp_path):
    """Words about shares in docs/tutorials/a_whole_job.md, whose blocks hold the numbers themselves."""
    page = JOB_PAGE.read_text()
    (toml,) = (match["body"] for match in BLOCK.finditer(page) if match["title"])
    (tmp_path / "job.toml").write_text(toml)
    job = flopcount.read_pipeline(tmp_path / "job.toml", dataflow=True)
    cost = job.cost("t4")
    assert "it has no MACs at all" in page
    assert job.part("flow").macs == 0 < job.part("flow").other_flops
    assert "More than nine tenths of the time is flow" in page
    assert 0.9 < cost.stages[0].times.estimate / cost.estimate < 0.97


@pytest.mark.slow
def test_a_question_says_what_its_commands_print():
    pytest.importorskip("transformers")
    page = JOB_PAGE.read_text()
    asked = {"video": "32x448x448", "prompt": 64, "new_tokens": 256, "dataflow": True}
    job = flopcount.count_generation("qwen2.5-vl-7b", **asked)
    cost = job.cost("l4", dtype="bf16")
    assert "32 frames are 4,096 tokens, and the words are 64" in page
    assert job.facts["tokens"]["tokens"] == 4_096
    assert "about a twentieth" in page
    assert 0.045 < job.part("decode").macs / job.macs < 0.055
    assert "a device spends most of its time on it" in page
    assert cost.stages[2].times.estimate > cost.estimate / 2


@pytest.mark.slow
def test_a_generation_says_what_its_commands_print():
    pytest.importorskip("diffusers")
    page = JOB_PAGE.read_text()
    job = flopcount.count_generation("wan2.1-t2v-1.3b")
    assert "Nearly all of it is the denoiser, which runs twice at each of fifty steps" in page
    assert job.part("denoise").macs / job.macs > 0.98
    assert (job.parameters["passes"], job.parameters["steps"]) == (2, 50)
