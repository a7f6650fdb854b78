"""What ran under each torch -> its markdown page: a pure function, which a test runs again on the published JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["differences", "holds", "markdown"]

READING = """\
- **Numbers**: {asked} questions, each answered by exact numbers: networks of each family, a training step and a closed
  form (`benchmarks/torch_probe.py`). They have to be those of the pinned torch.
- **Tests**: `{tests}`, less what is marked slow. A test is skipped where it needs what that environment lacks; each
  reason is below. No environment has torchvision, which is built for one torch each.
- **Build**: a CPU build, or the CUDA build of the registry, installed without its CUDA libraries and run on the CPU. In
  their place stand libraries in which every function answers that there is no device
  (`benchmarks/torch_environment.py`), so nothing here was measured on a GPU.
- **Python**: the one that ran the command. Another interpreter runs the same command."""


def holds(entry: Mapping[str, Any], pinned: Mapping[str, Any]) -> bool:
    """The numbers are those of the pinned torch, tests passed, and none failed."""
    if "failure" in entry or "failure" in pinned:
        return False
    tests = entry["tests"]
    return not differences(entry, pinned) and tests["passed"] > 0 and not tests["failed"] and tests["exit_code"] == 0


def differences(entry: Mapping[str, Any], pinned: Mapping[str, Any]) -> list[str]:
    """Questions without an answer, or with another one than under the pinned torch."""
    found = []
    for question in pinned["answers"] | entry["answers"]:
        theirs, ours = pinned["answers"].get(question, {}), entry["answers"].get(question, {})
        if "failure" in ours:
            found.append(f"{question}: `{ours['failure']}`")
        elif ours != theirs:
            names = [name for name in theirs | ours if theirs.get(name) != ours.get(name)]
            found.append(f"{question}: " + ", ".join(f"{n} {ours.get(n)}, not {theirs.get(n)}" for n in names))
    return found


def markdown(result: Mapping[str, Any]) -> str:
    """The page; every number in it comes from the raw answers."""
    versions = result["versions"]
    pinned = versions[result["pinned"]]
    asked = max((len(entry["answers"]) for entry in versions.values() if "answers" in entry), default=0)
    parts = [
        "# Versions of torch that flopcount was run on",
        f"Written by `{result['command']}` on {result['date']}, flopcount {result['flopcount']};\n"
        "the raw answers are in the JSON file beside it.",
        _grid(
            ["torch", "which is", "Python", "build", "numbers", "passed", "skipped", "failed", "verdict"],
            [_row(version, entry, pinned) for version, entry in versions.items()],
        ),
        "## What failed",
        "\n".join(line for version, entry in versions.items() for line in _failures(version, entry, pinned))
        or "Nothing.",
        "## What was skipped",
        "\n".join(line for version, entry in versions.items() for line in _skips(version, entry)) or "Nothing.",
        "## How to read this",
        READING.format(asked=asked, tests=" ".join(result["tests"])),
    ]
    return "\n\n".join(parts) + "\n"


def _row(version: str, entry: Mapping[str, Any], pinned: Mapping[str, Any]) -> list[str]:
    role = ", ".join(entry["roles"])
    if "failure" in entry:
        return [version, role, *["–"] * 6, "not run"]
    tests, answers = entry["tests"], entry["answers"]
    equal = "–" if "failure" in pinned else f"{len(answers) - len(differences(entry, pinned))} of {len(answers)} equal"
    build = f"CUDA {entry['cuda']}, on the CPU" if entry["cuda"] else "CPU"
    counts = [tests["passed"], len(tests["skipped"]), len(tests["failed"])]
    verdict = "holds" if holds(entry, pinned) else "FAILS"
    return [entry["torch"], role, entry["python"], build, equal, *(f"{count:,}" for count in counts), verdict]


def _failures(version: str, entry: Mapping[str, Any], pinned: Mapping[str, Any]) -> Iterator[str]:
    if "failure" in entry:
        yield f"- **{version}** was not run: `{entry['failure']}`"
        return
    if "failure" not in pinned:
        yield from (f"- **{version}** {text}" for text in differences(entry, pinned))
    yield from (f"- **{version}** `{test['name']}`: `{test['why']}`" for test in entry["tests"]["failed"])
    if entry["tests"]["exit_code"] and not entry["tests"]["failed"]:
        yield f"- **{version}** pytest ended with {entry['tests']['exit_code']}: `{entry['tests']['said']}`"


def _skips(version: str, entry: Mapping[str, Any]) -> Iterator[str]:
    reasons = Counter(test["why"] for test in entry.get("tests", {}).get("skipped", ()))
    yield from (f"- **{version}** {count:,}: {why}" for why, count in sorted(reasons.items()))


def _grid(header: list[str], rows: list[list[str]]) -> str:
    rule = ["---", "---", "---", "---", *["---:"] * 4, "---"]
    cells = [[text.replace("|", "\\|") for text in row] for row in (header, rule, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
