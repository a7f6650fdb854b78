"""Calibrate the machine at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import InputError
from .application import app
from .arguments import TableFormatOpt, ThreadsOpt
from .output import progress, show, working
from .settings import RUNNABLE_WORDS

__all__ = ["calibrate"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount calibrate\n\n"
    "flopcount calibrate --threads 1\n\n"
    "flopcount calibrate --device cuda --dtype amp -o a100.json\n\n"
    "flopcount calibrate --quick -o /tmp/quick.json"
)
def calibrate(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Where the calibration goes; `--on FILE` uses it.")
    ] = Path("here.json"),
    device: Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda or cuda:1.")] = "cpu",
    dtype: Annotated[str, typer.Option(metavar="NAME", help=f"{RUNNABLE_WORDS}.")] = "fp32",
    compile: Annotated[
        bool, typer.Option("--compile", help="As torch.compile runs networks; compiling takes minutes.")
    ] = False,
    layout: Annotated[str, typer.Option(metavar="NAME", help="nchw, or nhwc for channels last.")] = "nchw",
    threads: ThreadsOpt = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer networks and repeats: sooner, and less sure.")] = False,
    format: TableFormatOpt = "table",
) -> None:
    """Time this machine, and write the constants that predict it: `--on here` then uses them.

    It times single layers and small networks with random weights, in one to three minutes.
    """
    from ..output.atomic_files import require_writable, write_files

    if out.suffix != ".json":
        raise InputError(f"{out} is no .json file", [("fix", "name one, such as -o here.json: --on takes no other")])
    require_writable(out)
    if threads is not None and threads < 1:
        raise InputError(f"--threads is {threads}", [("fix", "give a whole number above 0")])
    with working("calibrating"):
        from ..hardware.calibration import calibrate as calibrated
        from ..hardware.calibration import steps_of
        from ..hardware.calibration_tables import calibration_table
        from ..hardware.execution_setup import Execution
        from ..hardware.this_machine import device_here

        execution = Execution(device_here(device), dtype, compile, layout)
    with progress("calibrating", steps_of(quick)) as step:
        calibration = calibrated(execution, threads=threads, quick=quick, say=step)
    write_files({out: calibration.to_json().encode()})
    show(calibration_table(calibration, str(out)), format)
    typer.echo(f"wrote {out}", err=True)
