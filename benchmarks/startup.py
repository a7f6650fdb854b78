"""How long the command takes from the shell: medians of whole processes, interleaved, beside `import torch`.

`--help` and `list` must answer without loading torch, pandas or matplotlib; that is read from `-X importtime`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median

from summary import Grid, Target, times

__all__ = ["COMMANDS", "heavy_imports", "measure_startup", "startup_grid", "startup_targets"]

MAX_MODEL_RATIO, MAX_COST_RATIO, MAX_LIGHT_S = 1.15, 1.3, 0.3
HEAVY = ("torch", "pandas", "matplotlib")
BARE = 'python -c "pass"'
REFERENCE = 'python -c "import torch"'
MODEL = "flopcount model c3d --clip 16x112x112"
COST = "flopcount cost c3d --clip 16x112x112 --on rtx-4090"
LIGHT = ("flopcount --help", "flopcount list")
COMMANDS = {
    BARE: ["-c", "pass"],
    REFERENCE: ["-c", "import torch"],
    **{name: ["-m", *name.split()] for name in (*LIGHT, MODEL, COST)},
}
TIMEOUT_S = 120

Say = Callable[[str], None]


def measure_startup(repeats: int, env: Mapping[str, str], say: Say) -> dict[str, list[float] | str]:
    """Seconds of every round of each command, or why it failed; a first untimed round fills caches."""
    found: dict[str, list[float] | str] = {name: [] for name in COMMANDS}
    for round_ in range(repeats + 1):
        for name, arguments in COMMANDS.items():
            seconds = found[name]
            if isinstance(seconds, str):
                continue
            start = time.perf_counter()
            problem = run([sys.executable, *arguments], env)[0]
            elapsed = time.perf_counter() - start
            if problem:
                found[name] = f"failed: {problem}"
            elif round_:
                seconds.append(elapsed)
            say(f"start-up {round_}/{repeats}  {name}  {problem or f'{elapsed:.2f} s'}")
    return found


def run(command: list[str], env: Mapping[str, str]) -> tuple[str | None, str]:
    """What went wrong, if anything, and stderr."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer in {TIMEOUT_S} s", ""
    last = (done.stderr.strip().splitlines() or [""])[-1]
    return (f"exit code {done.returncode}: {last}" if done.returncode else None), done.stderr


def heavy_imports(env: Mapping[str, str]) -> dict[str, list[str] | None]:
    """For each command that promises to be light: which heavy packages it loads (None: it failed)."""
    found: dict[str, list[str] | None] = {}
    for name in LIGHT:
        problem, log = run([sys.executable, "-X", "importtime", *COMMANDS[name]], env)
        found[name] = None if problem else heavy_in(log)
    return found


def heavy_in(log: str) -> list[str]:
    """Heavy packages in the output of `-X importtime`, whose last column is the module."""
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in log.splitlines() if "|" in line}
    return [name for name in HEAVY if name in imported]


def startup_grid(found: Mapping[str, list[float] | str]) -> Grid:
    rows = []
    for name, seconds in found.items():
        if isinstance(seconds, str):
            rows.append((name, seconds, "–"))
        else:
            rows.append((name, f"{median(seconds):.3f}", times(ratio_of(found, name))))
    return Grid("Whole processes", ("command", "seconds", "ratio to import torch"), tuple(rows))


def ratio_of(found: Mapping[str, list[float] | str], name: str, to: str = REFERENCE) -> float | None:
    ours, reference = found.get(name), found.get(to)
    if not ours or not reference or isinstance(ours, str) or isinstance(reference, str):
        return None
    return median(ours) / median(reference)


def seconds_over_python(found: Mapping[str, list[float] | str], name: str) -> float | None:
    ours, bare = found.get(name), found.get(BARE)
    if not ours or not bare or isinstance(ours, str) or isinstance(bare, str):
        return None
    return median(ours) - median(bare)


def startup_targets(found: Mapping[str, list[float] | str], heavy: Mapping[str, list[str] | None]) -> list[Target]:
    """The command's promises."""
    ratio = ratio_of(found, MODEL)
    holds = ratio <= MAX_MODEL_RATIO if ratio is not None else False
    targets = [Target(f"`{MODEL}` takes at most {MAX_MODEL_RATIO} of `{REFERENCE}`", times(ratio), holds)]
    if COST in found:  # older measurements lack it
        ratio = ratio_of(found, COST, MODEL)
        holds = ratio is not None and ratio <= MAX_COST_RATIO
        targets.append(Target(f"`{COST}` takes at most {MAX_COST_RATIO} of `{MODEL}`", times(ratio), holds))
    for name in LIGHT:
        over = seconds_over_python(found, name)
        shown = "–" if over is None else f"{over:.2f} s"
        text = f"`{name}` takes at most {MAX_LIGHT_S} s on top of Python's start"
        targets.append(Target(text, shown, over is not None and over <= MAX_LIGHT_S))
    for name, packages in heavy.items():
        text = "the command failed" if packages is None else ", ".join(packages) or "none of them"
        targets.append(Target(f"`{name}` loads none of {', '.join(HEAVY)}", text, packages == []))
    return targets
