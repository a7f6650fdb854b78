"""What runs by itself: .ci/run is the one list of checks, workflows call it, and hooks run the quick ones of it."""

import os
import re
import subprocess
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent
RUN = (ROOT / ".ci" / "run").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_no_more_than_it_needs(path):
    workflow = yaml.safe_load(path.read_text())
    assert set(workflow[True]) == {"push", "pull_request"}  # `on` is a truth value in YAML
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True
    assert "secrets" not in path.read_text()
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 90


def test_the_workflow_of_ci_calls_the_script_and_does_none_of_it():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step] == [
        "actions/checkout",
        "actions/setup-python",
        "actions/setup-node",
    ]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize(("user", "printed"), [("0", "apt-get update\n"), ("1000", "sudo apt-get update\n")])
@pytest.mark.skipif(os.name != "posix", reason=".ci/run is for bash")
def test_who_is_not_root_installs_by_sudo(user, printed, tmp_path):
    for name, line in (("id", f"echo {user}"), ("sudo", 'echo sudo "$@"'), ("apt-get", 'echo apt-get "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    (function,) = re.findall(r"^as_root\(\) \{.*?^\}$", RUN, re.M | re.S)
    done = subprocess.run(
        ["bash", "-c", f"{function}\nas_root apt-get update"],
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == printed
    assert not re.search(r"^\s*(?!as_root )\S*\bapt-get ", RUN, re.M)


def test_hooks_are_the_quick_checks_of_ci():
    """By the tools of the project's environments, so that nothing is fetched and versions are those of CI."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (repository,) = config["repos"]
    assert repository["repo"] == "local"
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert {hook["language"] for hook in hooks.values()} == {"system"}
    commands = {re.sub(r"^\.venv/bin/|^npx --no-install ", "", hook["entry"]) for hook in hooks.values()}
    (loop,) = re.findall(r"^for tool in (.*); do$", RUN, re.M)
    last = re.findall(r"^(?:\.venv/bin/|npx )(.*)$", RUN, re.M)
    assert commands == {*re.findall(r'"([^"]+)"', loop), *last}


def test_what_installs_the_hooks_is_pinned():
    assert ".venv/bin/pip install -c constraints.txt pre-commit\n" in (ROOT / "CONTRIBUTING.md").read_text()
    assert re.search(r"^pre-commit==", (ROOT / "constraints.txt").read_text(), re.M)
