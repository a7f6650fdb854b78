"""Counting against the forward pass it watches, in one warm process: `benchmarks/warm.py --out benchmarks/README.md`.

`speed.py` starts a process per measurement, where imports weigh most. Here everything is imported and every network
has run before, so that what is left is the counting itself: a first count (nothing remembered), a repeated one, and
one without our shape functions and memory. Rounds are interleaved and a ratio is one of medians.
"""

from __future__ import annotations

import argparse
import copy
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch
from counters import TOOLS
from forms import forms
from networks import VideoTransformer
from page import rows_of, show, verdict, write_whole
from summary import Grid, Target, geometric_mean, times
from torch import nn

from flopcount import count_flops, create_model, weightless
from flopcount.core import memo as remembered

ZOO = ("c3d", "r3d_18", "slowfast_r50_8x8", "ir_csn_152", "swin3d_t", "mvitv2_s_16x4", "cnn_lstm")
TRANSFORMER = "a transformer shaped as ViViT-B"
MAX_FIRST, MAX_AGAIN, MIN_FVCORE, MAX_CLIP_GROWTH, MAX_DEPTH_GROWTH = 0.25, 0.12, 100, 1.3, 0.6
DEPTHS = (4, 64)
CLIPS = ((8, 64, 64), (64, 256, 256))
PROFILED, PROFILE_ROWS = "ir_csn_152", 12

COLUMNS: dict[str, Callable[[nn.Module, Any], object]] = {
    "first count": lambda module, shape: count_flops(module, shape),
    "repeated": lambda module, shape: count_flops(module, shape),
    "fast=False": lambda module, shape: count_flops(module, shape, fast=False),
}


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    found = {name: measure(name, options.rounds) for name in (*ZOO, TRANSFORMER)}
    fvcore = {name: by_fvcore(name) for name in found} if options.fvcore else {}
    growth = {"clip": clip_growth(options.rounds), "depth": depth_growth(options.rounds)}
    answered, promised = forms()
    tables = [ratios(found), against(found, fvcore), growths(growth), answered]
    targets = [*promises(found, fvcore, growth), promised]
    show(tables, targets, [])
    if options.out:
        command = " ".join(["python benchmarks/warm.py", *(sys.argv[1:] if argv is None else argv)])
        write_whole({options.out: page(command, tables, targets, list(profiles()))})
    return 1 if any(target.holds is False for target in targets) else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each, interleaved")
    parser.add_argument("--fvcore", action=argparse.BooleanOptionalAction, default=True, help="half a minute of it")
    parser.add_argument("--out", type=Path, help="markdown file")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return options


def network(name: str, device: str = "meta") -> tuple[nn.Module, tuple[int, ...]]:
    """A network in eval mode without weights, or with them, and the shape it takes."""
    build = VideoTransformer if name == TRANSFORMER else lambda: create_model(name)
    module = (build() if device == "cpu" else weightless(build)).eval()
    recipe = getattr(module, "recipe", None)
    return module, (1, *recipe.inputs[0]) if recipe else (1, 3, 32, 224, 224)


def measure(name: str, rounds: int) -> dict[str, float]:
    """Median seconds of a bare forward pass on meta tensors, of torch's counter on it, and of our counts."""
    say(name)
    module, shape = network(name)
    bare = copy.deepcopy(module).to("meta")  # a module without weights keeps its small buffers
    x = torch.empty(shape, device="meta")
    flop_counter_mode = TOOLS["flopcountermode-meta"].load()
    seconds: dict[str, list[float]] = {}
    for round_ in range(rounds + 1):
        with torch.no_grad():
            calls = {"bare": lambda: bare(x), "FlopCounterMode": lambda: flop_counter_mode(bare, x)}
            calls |= {column: lambda count=count: count(module, shape) for column, count in COLUMNS.items()}
            for column, call in calls.items():
                if column == "first count":
                    remembered.forget()
                elapsed = clock(call)
                if round_:  # the first warms up
                    seconds.setdefault(column, []).append(elapsed)
    return {column: median(all_rounds) for column, all_rounds in seconds.items()}


def clock(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def by_fvcore(name: str) -> float:
    """Seconds of one fvcore count on the CPU, the only device where it runs."""
    say(f"{name}: fvcore")
    module, shape = network(name, "cpu")
    x = torch.rand(shape)
    with torch.no_grad():
        return clock(lambda: TOOLS["fvcore"].load()(module, x))


def first_counts(cases: Sequence[tuple[nn.Module, tuple[int, ...]]], rounds: int) -> list[float]:
    """Median seconds of a first count of each, interleaved."""
    seconds: list[list[float]] = [[] for _ in cases]
    for round_ in range(rounds + 1):
        for (module, shape), found in zip(cases, seconds, strict=True):
            remembered.forget()
            elapsed = clock(lambda module=module, shape=shape: count_flops(module, shape))
            if round_:  # the first warms up
                found.append(elapsed)
    return [median(found) for found in seconds]


def clip_growth(rounds: int) -> float:
    """Time for a large clip over time for a small one, with R3D-18."""
    module, _ = network("r3d_18")
    small, large = first_counts([(module, (1, 3, *clip)) for clip in CLIPS], rounds)
    return large / small


def depth_growth(rounds: int) -> float:
    """Time per operator of a deep transformer over that of a shallow one."""
    modules = [weightless(lambda depth=depth: VideoTransformer(depth=depth)).eval() for depth in DEPTHS]
    cases = [(module, (1, 3, 32, 224, 224)) for module in modules]
    operators = [len(count_flops(*case).ops) for case in cases]
    shallow, deep = (s / n for s, n in zip(first_counts(cases, rounds), operators, strict=True))
    return deep / shallow


def ratios(found: dict[str, dict[str, float]]) -> Grid:
    columns = ("FlopCounterMode", *COLUMNS)
    rows = [
        (name, f"{1000 * seconds['bare']:.1f} ms", *(times(seconds[column] / seconds["bare"]) for column in columns))
        for name, seconds in found.items()
    ]
    means = [times(geometric_mean(s[column] / s["bare"] for s in found.values())) for column in columns]
    header = ("network", "bare forward", "FlopCounterMode", *(f"flopcount, {column}" for column in COLUMNS))
    return Grid("Counting, ratio to a bare forward on meta tensors", header, (*rows, ("geometric mean", "", *means)))


def against(found: dict[str, dict[str, float]], fvcore: dict[str, float]) -> Grid:
    rows = tuple((name, f"{s:.2f} s", f"{s / found[name]['first count']:,.0f}") for name, s in fvcore.items())
    return Grid("fvcore on the CPU", ("network", "fvcore", "times as long as our first count"), rows)


def growths(growth: dict[str, float]) -> Grid:
    clips = " over ".join("×".join(map(str, clip)) for clip in reversed(CLIPS))
    rows = (
        (f"r3d_18: a clip of {clips}", times(growth["clip"])),
        (f"transformer: time per operator with {DEPTHS[1]} blocks over {DEPTHS[0]}", times(growth["depth"])),
    )
    return Grid("Growth of a first count", ("with", "ratio"), rows)


def promises(found: dict[str, dict[str, float]], fvcore: dict[str, float], growth: dict[str, float]) -> list[Target]:
    first, again = (geometric_mean(s[c] / s["bare"] for s in found.values()) or 0 for c in ("first count", "repeated"))
    faster = geometric_mean(s / found[name]["first count"] for name, s in fvcore.items())
    return [
        Target(f"first count: geometric mean at most {MAX_FIRST}", times(first), first <= MAX_FIRST),
        Target(f"repeated count: geometric mean at most {MAX_AGAIN}", times(again), again <= MAX_AGAIN),
        Target(
            f"fvcore on the CPU takes at least {MIN_FVCORE} times as long, geometric mean",
            times(faster),
            None if faster is None else faster >= MIN_FVCORE,
        ),
        Target(
            f"a larger clip takes at most {MAX_CLIP_GROWTH} of the time",
            times(growth["clip"]),
            growth["clip"] <= MAX_CLIP_GROWTH,
        ),
        Target(
            f"repeated blocks take at most {MAX_DEPTH_GROWTH} of the time per operator",
            times(growth["depth"]),
            growth["depth"] <= MAX_DEPTH_GROWTH,
        ),
    ]


def profiles() -> Iterator[tuple[str, Grid]]:
    """Where the time of one network goes: by torch's kernels alone, worked out by us, and looked up."""
    module, shape = network(PROFILED)
    count_flops(module, shape)
    for title, fast, forgetting in (
        ("every shape by torch's kernels (fast=False)", False, False),
        ("a first count", True, True),
        ("a repeated count", True, False),
    ):
        if forgetting:
            remembered.forget()
        profile = cProfile.Profile()
        profile.runcall(count_flops, module, shape, fast=fast)
        yield title, hottest(profile)


def hottest(profile: cProfile.Profile) -> Grid:
    """The functions with most time of their own, in percent of the whole."""
    stats = pstats.Stats(profile)
    total = stats.total_tt  # type: ignore[attr-defined]
    entries = sorted(stats.stats.items(), key=lambda entry: -entry[1][2])  # type: ignore[attr-defined]
    rows = tuple(
        (f"{Path(file).stem}.{function}" if line else function, f"{calls:,}", f"{own / total:.0%}")
        for (file, line, function), (_, calls, own, _, _) in entries[:PROFILE_ROWS]
    )
    return Grid("", ("function", "calls", "own time"), rows)


def page(command: str, tables: Sequence[Grid], targets: Sequence[Target], profiled: Sequence[tuple[str, Grid]]) -> str:
    promised = Grid("", ("target", "measured", ""), tuple((t.promise, t.found, verdict(t)) for t in targets))
    parts = [
        "# How fast counting is",
        "Two benchmarks: [speed.md](../reports/speed.md) beside the peers, each measurement in a process of its own "
        "(`python benchmarks/speed.py`), and this page, in one warm process.",
        f"Written by `{command}` on {datetime.now(UTC):%Y-%m-%d}, torch {torch.__version__}.",
        rows_of(promised),
        *(part for grid in tables if grid.rows for part in (f"## {grid.title}", rows_of(grid))),
        f"## Where the time goes: {PROFILED}",
        *(part for title, grid in profiled for part in (f"### {title.capitalize()}", rows_of(grid))),
    ]
    return "\n\n".join(parts) + "\n"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
