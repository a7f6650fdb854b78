"""The command: parse, call one library function, render. `--help` and `list` answer without importing torch."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading

# isort: off
from .commands import count, cost, generate, pipeline, video, streaming, formula, sweep, resources, difference, budget  # noqa: F401  (imported to register, in the order of --help)
from .commands import report, check, verify, lecture, compare, survey, clip, tokens, devices  # noqa: F401
from .commands import measure, calibrate, catalogue, datasets, show  # noqa: F401
from .commands.application import app
from .commands.characters import ascii_where_needed
from .commands.stopping import remember_ctrl_c

# isort: on

__all__ = ["app", "main"]

GC_THRESHOLD = 200_000  # objects made before the collector looks; Python's own 700 suits programs that make few


def main() -> None:
    """Entry point of the `flopcount` command."""
    # Importing torch makes half a million objects, which Python's collector would look through again and again: half
    # as long as the import itself. A count leaves little to collect, and what it does leave is still collected.
    gc.set_threshold(GC_THRESHOLD)
    ascii_where_needed()
    remember_ctrl_c()
    try:
        app(prog_name="flopcount")  # also where python -m runs it: shells complete the one name
    except SystemExit as end:
        leave(end.code)
        raise


def leave(code: object) -> None:
    """End the process at once, as mypy does, or return where it must end in the ordinary way.

    Taking apart what `import torch` made, object by object, takes longer than counting; the system frees it all at
    once. What was registered for the end still runs, and all that was printed is out before.
    """
    if not isinstance(code, int) or threading.active_count() > 1:  # a message, or threads to wait for
        return
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody reads any more: Python knows what to say
        return
    os._exit(code)
