"""Ctrl-C: what was being done when it came, in one line, and the exit code that shells expect of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["EXIT_STOPPED", "Stopped", "telling_what_stopped"]

EXIT_STOPPED = 130  # 128 and the number of SIGINT, as shells have it


class Stopped(KeyboardInterrupt):
    """Ctrl-C in the middle of long work; `doing` says of which. No result was printed, and no file written."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        super().__init__(doing)


@contextmanager
def telling_what_stopped(doing: Callable[[], str]) -> Iterator[None]:
    """A block of long work that writes nothing; `doing` tells what it is at.

    Raises:
        Stopped: Ctrl-C came in the block.
    """
    try:
        yield
    except Stopped:
        raise
    except KeyboardInterrupt:
        raise Stopped(doing()) from None
