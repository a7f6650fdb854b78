"""Numbers and quick tests under several torches: `python benchmarks/torch_versions.py --out reports/torch_versions.md`.

The oldest that pyproject.toml declares, the pinned one and the newest of the registry, each in a new environment, one
after the other. Takes minutes and gigabytes for each, and leaves nothing of them. pip's own configuration holds: where
it caps torch below the newest, `PIP_CONSTRAINT=/dev/null` before the command lifts that for the command alone. `--keep`
takes what the JSON file has already of the same sources and tests, and so goes on where an earlier run was stopped;
`--wheels` is a folder that keeps what all environments share.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from page import write_whole
from speed import environment, positive, say
from torch_environment import Unavailable, environment_with
from torch_versions_page import holds, markdown

ROOT = Path(__file__).resolve().parent.parent
TESTS = ("tests/test_laws.py", "tests/rules", "tests/tracing")
PROBE = Path(__file__).with_name("torch_probe.py")
SELF = "python benchmarks/torch_versions.py"


def main(argv: Sequence[str] | None = None) -> int:
    """Run each torch, and write page and raw answers once all have run; exit code 1 where one does not hold."""
    options = parse(argv)
    raw = options.out.with_suffix(".json")
    kept = json.loads(raw.read_text()) if options.keep and raw.exists() else {}
    roles = chosen(
        (ROOT / "pyproject.toml").read_text(), (ROOT / "constraints.txt").read_text(), options.newest or newest()
    )
    result: dict[str, Any] = {
        "command": command_of(options),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "flopcount": flopcount_version(),
        "sources": digest(),
        "tests": list(options.tests),
        "pinned": next(version for version, names in roles.items() if "pinned" in names),
        "versions": {},
    }
    same = all(kept.get(name) == result[name] for name in ("sources", "tests"))
    known = kept.get("versions", {}) if same else {}
    with tempfile.TemporaryDirectory(prefix="torches") as folder:
        for version, names in roles.items():
            if "failure" in known.get(version, {"failure": ""}):
                say(f"torch {version}: {', '.join(names)}")
                known[version] = ran(version, Path(folder), options)
            result["versions"][version] = known[version] | {"roles": names}
            if options.keep:
                write_whole({raw: json.dumps(result, indent=1) + "\n"})
    write_whole({options.out: markdown(result), raw: json.dumps(result, indent=1) + "\n"})
    pinned = result["versions"][result["pinned"]]
    return 0 if all(holds(entry, pinned) for entry in result["versions"].values()) else 1


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=SELF, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--newest", metavar="VERSION", help="in place of the newest of the registry")
    parser.add_argument("--workers", type=positive, default=2, help="processes that run tests (default 2)")
    parser.add_argument("--keep", action="store_true", help="keep what the JSON file has of the same sources")
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="PATH", help=f"default: {' '.join(TESTS)}")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="in place of one that is gone afterwards")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.md")
    return parser.parse_args(argv)


def command_of(options: argparse.Namespace) -> str:
    """What gives the same page anywhere: the setting that decides which torch pip takes, and what was asked."""
    setting = [f"PIP_CONSTRAINT={os.environ['PIP_CONSTRAINT']}"] if "PIP_CONSTRAINT" in os.environ else []
    asked = ["--newest", options.newest] if options.newest else []
    asked += ["--tests", *options.tests] if tuple(options.tests) != TESTS else []
    return shlex.join([*setting, *SELF.split(), *asked, "--out", str(options.out)])


def chosen(pyproject: str, constraints: str, last: str) -> dict[str, list[str]]:
    """Versions to run -> what each is; one may be two of them."""
    (oldest,) = re.findall(r"^torch>=([\d.]+)$", "\n".join(tomllib.loads(pyproject)["project"]["dependencies"]), re.M)
    (pinned,) = re.findall(r"^torch==(\S+)$", constraints, re.M)
    roles: dict[str, list[str]] = {}
    for role, version in (("oldest declared", oldest), ("pinned", pinned), ("newest", last)):
        roles.setdefault(version, []).append(role)
    return roles


def newest() -> str:
    """The newest torch that the registry has."""
    command = [sys.executable, "-m", "pip", "index", "versions", "torch"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (found,) = re.findall(r"^torch \(([\d.]+)", done.stdout, re.M)
    return str(found)


def flopcount_version() -> str:
    sys.path.insert(0, str(ROOT))
    from flopcount import __version__

    return __version__


def digest() -> str:
    """Of all that decides what a run gives: the package, its tests and these files."""
    paths = [
        *(ROOT / "flopcount").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *Path(__file__).parent.glob("torch_*.py"),
    ]
    summed = hashlib.sha256()
    for path in sorted(paths):
        summed.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return summed.hexdigest()


def ran(version: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What one torch gives, in an environment that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        try:
            python, stand_ins = environment_with(version, Path(place) / "venv", options.wheels or folder / "wheels")
            say("  installed")
            answers = probed(python)
        except Unavailable as error:
            say(f"  {error}")
            return {"failure": str(error)}
        say(f"  torch {answers['torch']}, {len(answers['answers'])} questions answered")
        tests = tested(python, Path(place) / "tests.xml", options)
        say(f"  {tests['passed']} passed, {len(tests['skipped'])} skipped, {len(tests['failed'])} failed")
        return {**answers, "stand_ins": stand_ins, "tests": tests}


def probed(python: Path) -> dict[str, Any]:
    """The answers of `torch_probe.py`.

    Raises:
        Unavailable: it does not even begin, as where torch cannot be imported.
    """
    command = [str(python), "-W", "ignore", str(PROBE)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"the probe: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    answers: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answers


def tested(python: Path, log: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The quick tests of this checkout."""
    command = [str(python), "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", f"--junitxml={log}"]
    command += ["-n", str(options.workers), "--dist", "worksteal", *options.tests]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    said = (done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["nothing"])[-1]
    cases = ElementTree.parse(log).iter("testcase") if log.exists() else ()
    return {**outcomes(cases), "exit_code": done.returncode, "said": said}


def outcomes(cases: Iterable[ElementTree.Element]) -> dict[str, Any]:
    """How many passed, and which were skipped or failed, each with the first line of why."""
    found: dict[str, Any] = {"passed": 0, "skipped": [], "failed": []}
    for case in cases:
        verdicts = [child for child in case if child.tag in ("failure", "error", "skipped")]
        for verdict in verdicts:
            why = (verdict.get("message") or verdict.text or "no message").strip().splitlines()[0]
            name = f"{case.get('classname')}::{case.get('name')}"
            found["skipped" if verdict.tag == "skipped" else "failed"].append({"name": name, "why": why})
        found["passed"] += not verdicts
    return found


if __name__ == "__main__":
    sys.exit(main())
