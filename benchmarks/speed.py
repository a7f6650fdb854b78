"""flopcount beside its peers in time, memory and exactness: `python benchmarks/speed.py --out reports/speed.md`.

Every number is a median over fresh processes, one per network, tool and round, interleaved so that whatever else the
machine does hits all alike. Times are ratios to a bare forward pass of the same module on meta tensors. The exit code
is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from counters import BARE, OURS, TOOLS
from page import markdown, show, write_whole
from startup import heavy_imports, measure_startup, startup_grid, startup_targets
from summary import failures, grids, summarise, targets

ROOT = Path(__file__).resolve().parent.parent
PROBE = Path(__file__).with_name("probe.py")
NETWORK_NAMES = ("c3d", "r3d18", "slowfast", "vivit")  # networks.py imports torch, which would blur the children's peak
TIMEOUT_S = 300


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    env = environment()
    started = datetime.now(UTC)
    load_before = os.getloadavg()[0]
    records = list(measure_all(options, env))
    startup = measure_startup(options.repeats, env, say) if options.startup else {}
    heavy = heavy_imports(env) if options.startup else {}
    result = {
        "date": started.strftime("%Y-%m-%d %H:%M UTC"),
        "command": " ".join(["python benchmarks/speed.py", *(sys.argv[1:] if argv is None else argv)]),
        "machine": {
            "cpus": os.cpu_count(),
            "architecture": platform.machine(),
            "system": platform.system(),
            "load": [round(load_before, 1), round(os.getloadavg()[0], 1)],
        },
        "versions": versions(),
        "rounds": {"meta": options.repeats, "cpu": min(options.repeats, options.cpu_repeats), "warm_up": 1},
        "networks": networks(options.models),
        "measurements": records,
        "startup_s": startup,
        "heavy_imports": heavy,
    }
    return report(result, options)


def report(result: dict[str, Any], options: argparse.Namespace) -> int:
    """Tables on the terminal, files where asked for, and the exit code."""
    titles = {name: network["title"] for name, network in result["networks"].items()}
    tools = {name: TOOLS[name].title for name in TOOLS if name in options.tools}
    cells = summarise(result["measurements"], {n: v["macs"] for n, v in result["networks"].items()}, BARE)
    tables = grids(cells, titles, tools)
    verdicts = targets(cells, titles, OURS)
    if result["startup_s"]:
        tables.append(startup_grid(result["startup_s"]))
        verdicts += startup_targets(result["startup_s"], result["heavy_imports"])
    problems = failures(cells, titles, tools)
    show(tables, verdicts, problems)
    if options.out:
        text = markdown(result, tables, verdicts, problems)
        raw = json.dumps(result, indent=1) + "\n"
        write_whole({options.out: text, options.out.with_suffix(".json"): raw})
        say(f"wrote {options.out} and {options.out.with_suffix('.json')}")
    return 1 if any(verdict.holds is False for verdict in verdicts) else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python benchmarks/speed.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=positive, default=5, metavar="N", help="rounds (default 5)")
    help_text = "rounds of tools that compute on real tensors, which take seconds (default 3)"
    parser.add_argument("--cpu-repeats", type=positive, default=3, metavar="N", help=help_text)
    parser.add_argument("--tools", nargs="+", choices=list(TOOLS), default=list(TOOLS), metavar="TOOL")
    parser.add_argument("--models", nargs="+", choices=NETWORK_NAMES, default=list(NETWORK_NAMES), metavar="MODEL")
    parser.add_argument("--no-startup", dest="startup", action="store_false", help="leave the command's start-up out")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the report, and its raw data beside it")
    options = parser.parse_args(argv)
    if options.out is not None:  # refused now, not after the measurements
        if options.out.suffix != ".md":
            parser.error(f"--out is {options.out}; give a name that ends in .md (the raw data go beside it as .json)")
        options.out.parent.mkdir(parents=True, exist_ok=True)
    options.tools = [BARE, *(tool for tool in options.tools if tool != BARE)]  # every ratio needs it
    return options


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return int(text)


def environment() -> dict[str, str]:
    """The environment of every child: this checkout is importable, and its bytecode is kept as for a package."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return env


def measure_all(options: argparse.Namespace, env: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Rounds outermost; every other one backwards, so that a slow drift of the machine cancels."""
    for tool in options.tools:  # untimed: reads the disk and compiles bytecode
        child(options.models[0], tool, env)
        say(f"warm-up  {tool}")
    plan = list(schedule(options))
    began = time.monotonic()
    for done, (round_, network, tool) in enumerate(plan, 1):
        record = child(network, tool, env)
        left = (time.monotonic() - began) / done * (len(plan) - done)
        outcome = f"{record['first_s']:.3f} s" if record["status"] == "ok" else record["reason"]
        say(f"{done}/{len(plan)}  {network}  {tool}  {outcome}  ({left:.0f} s left)")
        yield {**record, "network": network, "tool": tool, "round": round_}


def schedule(options: argparse.Namespace) -> Iterator[tuple[int, str, str]]:
    for round_ in range(options.repeats):
        tools = [t for t in options.tools if TOOLS[t].device == "meta" or round_ < options.cpu_repeats]
        for network in options.models:
            for tool in tools if round_ % 2 == 0 else reversed(tools):
                yield round_, network, tool


def child(network: str, tool: str, env: dict[str, str]) -> dict[str, Any]:
    """One probe; a crash, a kill or a timeout is a result too."""
    command = [sys.executable, str(PROBE), network, tool]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return {"status": "failed", "reason": f"no answer in {TIMEOUT_S} s"}
    try:
        record: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"status": "failed", "reason": f"exit code {done.returncode}: {last}"}
    return record


def networks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    from networks import NETWORKS  # imports torch, so only once no child needs this process small any more

    return {n: {"title": NETWORKS[n].title, "shape": NETWORKS[n].shape, "macs": NETWORKS[n].macs} for n in names}


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("flopcount", "torch", "fvcore", "ptflops", "thop", "torchinfo", "calflops"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    if found["flopcount"] == "not installed":  # run from a checkout
        sys.path.insert(0, str(ROOT))
        from flopcount import __version__

        found["flopcount"] = __version__
    return found


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
