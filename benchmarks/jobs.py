"""How long a whole job takes to count, beside bare forwards of its parts on meta tensors: `python benchmarks/jobs.py`.

Each measurement is a process of its own; the clock starts after the imports. The bare side builds the same modules
without weights and calls each once under `torch.no_grad()`: one pass of every stage, and nothing is counted. The page
says seconds of the machine that wrote it; what holds elsewhere are the ratios.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from page import rows_of, verdict, write_whole
from summary import Grid, Target

ROOT = Path(__file__).resolve().parent.parent
JOBS: dict[str, dict[str, Any]] = {
    "wan2.1-t2v-14b": {},
    "hunyuanvideo": {},
    "cogvideox-5b": {},
    "qwen2.5-vl-7b": {"video": "32x448x448", "prompt": 64, "new_tokens": 256},
    "qwen3-vl-30b-a3b": {"video": "32x448x448", "prompt": 64, "new_tokens": 256},
}
MAX_SECONDS = {"generation": 3.0, "language": 5.0}
MAX_BYTES = 10**9
OUT = ROOT / "benchmarks" / "jobs.md"


def measure(name: str, how: str) -> dict[str, Any]:
    """In this process: seconds and the highest resident bytes of counting a job, or of its bare forwards."""
    import diffusers  # noqa: F401
    import torch
    import transformers  # noqa: F401

    from flopcount.models.torchvision_operators import ready_torchvision
    from flopcount.pipelines.answering import stages
    from flopcount.pipelines.generation import generated_video
    from flopcount.pipelines.jobs_of_models import ModelJob

    ready_torchvision()
    job = ModelJob.of(name, **JOBS[name])
    preload(job.sizes)
    forwards: list[float] = []
    if how == "bare":
        watch_forwards(torch, (sys.modules[generated_video.__module__], stages), forwards)
    start = time.perf_counter()
    pipeline = job.count()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if how == "bare":
        seconds = sum(forwards)
    return {
        "seconds": seconds,
        "bytes": peak,
        "macs": pipeline.macs,
        "stages": len(forwards),
        "of": len(pipeline.stages),
        "task": job.sizes.task,
    }


def preload(sizes: Any) -> None:
    """Import the files of the classes, which both sides need."""
    from flopcount.models.part import part_class

    for part in sizes.parts.values():
        part_class(part)


def watch_forwards(torch: Any, modules: tuple[Any, ...], forwards: list[float]) -> None:
    """Have every stage run bare first, once for each stage, on meta tensors; its time is added to `forwards`."""
    from flopcount.tracing.arguments import arguments_of
    from flopcount.tracing.shape_arguments import with_specs

    def watched(count: Any) -> Any:
        seen: list[list[str]] = []

        def run(module: Any, inputs: Any, *rest: Any, **keywords: Any) -> Any:
            key = sorted(inputs)
            if key not in seen:
                seen.append(key)
                root = module if isinstance(module, torch.nn.Module) else module.args[0]
                args, kwargs = arguments_of(with_specs(inputs, root), root)
                on_meta = [to_meta(torch, value) for value in args]
                named = {key: to_meta(torch, value) for key, value in kwargs.items()}
                start = time.perf_counter()
                try:
                    with torch.no_grad():
                        module(*on_meta, **named)
                except Exception as error:  # code that looks at values cannot run on meta tensors
                    print(f"{type(root).__name__}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
                else:
                    forwards.append(time.perf_counter() - start)
            return count(module, inputs, *rest, **keywords)

        return run

    for module in modules:
        module.count = watched(module.count)


def to_meta(torch: Any, value: Any) -> Any:
    """Tensors and shapes as tensors on meta, also inside containers; whatever else as it is."""
    from flopcount.core.ops import TensorSpec
    from flopcount.tracing.literal import Literal

    if isinstance(value, Literal):
        return to_meta(torch, value.value)
    if isinstance(value, TensorSpec):
        return torch.empty(value.shape, dtype=getattr(torch, value.dtype), device="meta")
    if isinstance(value, torch.Tensor):
        return value.to("meta")
    if type(value) in (list, tuple):
        return type(value)(to_meta(torch, part) for part in value)
    return {key: to_meta(torch, part) for key, part in value.items()} if type(value) is dict else value


def in_process(name: str, how: str) -> dict[str, Any]:
    """`measure` in a fresh process."""
    command = [sys.executable, __file__, "--measure", name, how]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(rounds: int) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Every job, counted and bare, round by round; the two are interleaved."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {name: {"count": [], "bare": []} for name in JOBS}
    for round_ in range(rounds):
        for name in JOBS:
            for how in ("bare", "count"):
                found[name][how].append(in_process(name, how))
                print(f"{round_ + 1}/{rounds} {name} {how} {found[name][how][-1]['seconds']:.2f} s", file=sys.stderr)
    return found


def page(found: dict[str, dict[str, list[dict[str, Any]]]], command: str) -> str:
    """The page; each number on it is of this run."""
    rows, targets = [], []
    for name, sides in found.items():
        count, bare = (median(run["seconds"] for run in sides[how]) for how in ("count", "bare"))
        peak = max(run["bytes"] for run in sides["count"])
        task, (stages, of) = sides["count"][0]["task"], (sides["bare"][0][key] for key in ("stages", "of"))
        ran = f"{bare:.2f} s, {stages} of {of} stages" if stages else "no stage runs on meta"
        ratio = f"{count / bare:.2f}" if 2 * stages > of else "–"  # of what is not most of the job a ratio says nothing
        macs = f"{sides['count'][0]['macs']:,}"
        rows.append((name, f"{count:.2f} s", ran, ratio, f"{peak / 1e6:.0f} MB", macs))
        limit = MAX_SECONDS[task]
        targets.append(Target(f"{name}: at most {limit:g} s", f"{count:.2f} s", count <= limit))
        if task == "generation":
            targets.append(Target(f"{name}: at most 1 GB", f"{peak / 1e6:.0f} MB", peak <= MAX_BYTES))
    head = ("job", "counted in", "bare forwards on meta", "ratio", "highest memory", "MACs")
    promises = Grid("", ("target", "measured", ""), tuple((t.promise, t.found, verdict(t)) for t in targets))
    parts = [
        "# How fast a whole job is counted",
        f"Written by `{command}` on {datetime.now(UTC).date()}. Each number is a median over processes; the clock "
        "starts after the imports of torch, diffusers and transformers. The bare side calls every stage once on meta "
        "tensors without counting; a stage whose own code looks at values cannot run so, and is not in its time.",
        "## Targets",
        rows_of(promises),
        "## Jobs",
        rows_of(Grid("", head, tuple(rows))),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--measure", nargs=2, metavar=("NAME", "HOW"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    command = f"python benchmarks/jobs.py --rounds {options.rounds}"
    write_whole({options.out: page(measured(options.rounds), command)})


if __name__ == "__main__":
    main()
