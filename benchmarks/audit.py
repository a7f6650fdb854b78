"""What each counter answers for well-known networks, and why: `python benchmarks/audit.py --out reports/audit.md`.

One fresh process per network, tool and device, with a time limit. The raw answers go into a JSON file beside the page;
`--keep` keeps the cells that are there already, and so resumes an earlier run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit_cell import METERS
from audit_page import markdown
from page import write_whole
from speed import environment, positive, say, versions

MODELS = (
    "c3d",
    "r3d_18",
    "r2plus1d_18",
    "i3d",
    "s3d",
    "slowfast_r50_8x8",
    "x3d_m",
    "ip_csn_152",
    "tsm_r50",
    "cnn_lstm",
    "timesformer_b",
    "vivit_b_16x2",
    "videomae_b",
    "mvit_b_16x4",
    "swin3d_t",
    "resnet50",
    "vgg16",
)
DEVICES = ("cpu", "meta")
CELL = Path(__file__).with_name("audit_cell.py")
SELF = "python benchmarks/audit.py"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write page and raw answers after every network, so that a stop loses one network at most."""
    options = parse(argv)
    raw = options.out.with_suffix(".json")
    found = versions()
    known = json.loads(raw.read_text()) if options.keep and raw.exists() else {}
    result: dict[str, Any] = {
        "command": f"{SELF} --out {options.out}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": found,
        "limit_s": options.limit,
        "models": known.get("models", {}) if known.get("versions") == found else {},
    }
    for model in options.models:
        cells = result["models"].get(model, {}).get("cells", {})
        answered = {
            f"{tool} {device}": cells.get(f"{tool} {device}") or child(model, tool, device, options.limit)
            for tool in options.tools
            for device in DEVICES
        }
        result["models"][model] = {**counted(model), "cells": cells | answered}
        result["models"] = {name: result["models"][name] for name in MODELS if name in result["models"]}
        write_whole({options.out: markdown(result), raw: json.dumps(result, indent=1) + "\n"})
        say(f"{model}: {summary(answered)}")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Options; a name that does not exist is refused before anything runs."""
    parser = argparse.ArgumentParser(prog=SELF, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--tools", nargs="+", choices=list(METERS), default=list(METERS), metavar="TOOL")
    parser.add_argument("--limit", type=positive, default=180, metavar="SECONDS", help="per cell (default 180)")
    parser.add_argument("--keep", action="store_true", help="keep the cells that the JSON file already has")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.md")
    return parser.parse_args(argv)


def counted(model: str) -> dict[str, Any]:
    """Our own count of a model at its own clip."""
    from flopcount.report import count_model

    report = count_model(model)
    biased = [op for op in report.ops if op.name == "aten.linear" and op.op.signature.arguments["bias"] is not None]
    return {
        "input": [list(shape) for shape in report.input.shapes],
        "macs": report.macs,
        "linear_with_bias": {"macs": sum(op.work.macs for op in biased), "calls": len(biased)},
    }


def child(model: str, tool: str, device: str, limit: int) -> dict[str, Any]:
    """One cell; a crash, a kill or the time limit is an answer too."""
    command = [sys.executable, "-W", "ignore", str(CELL), model, tool, device]
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": limit, "check": False}
    try:
        done = subprocess.run(command, env=environment(), **options)
    except subprocess.TimeoutExpired:
        return {"failure": f"not finished in {limit} s"}
    try:
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"failure": f"exit code {done.returncode}: {last}"}
    return answer


def summary(cells: dict[str, dict[str, Any]]) -> str:
    """How many cells answered, for the log."""
    return f"{sum('failure' not in cell for cell in cells.values())} of {len(cells)} cells answered"


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(main())
