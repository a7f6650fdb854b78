"""The README's set-up; what its commands print is compared in test_documents.py."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_two_commands_do_all_the_set_up():
    first, second = blocks("sh")
    assert first.strip().endswith("flopcount model c3d --clip 16x112x112")
    assert second.strip().endswith("-m pytest -q -n logical --dist worksteal")
    assert len(first.strip().splitlines()) == len(second.strip().splitlines()) == 1


def test_constraints_pin_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["test"], *extras["models"], *extras["html"], *extras["release"]]
    names = {re.match(r"[A-Za-z0-9_.-]+", requirement).group().lower() for requirement in wanted}
    pins = dict(
        line.lower().split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    assert names <= set(pins)
    assert not any("==" in requirement for requirement in project["dependencies"])  # users bring their own torch


def test_license_is_apache_2():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
