"""The `flopcount` command, as its script and `python -m flopcount` begin it."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Entry point: all is imported within, so that Ctrl-C in the first half second is no traceback either."""
    try:
        from .cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.stderr.flush()
        # At once: where Ctrl-C met an exec(), Python would end itself by the signal, whatever is raised here.
        os._exit(130)  # as flopcount.commands.stopping.EXIT_STOPPED, which may not be imported yet


if __name__ == "__main__":
    main()
