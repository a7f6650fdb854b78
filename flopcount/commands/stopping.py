"""Ctrl-C: what was being done when it came, in one line, and the exit code that shells expect of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["EXIT_STOPPED", "Stopped", "remember_ctrl_c", "stop_if_pressed", "telling_what_stopped"]

EXIT_STOPPED = 130  # 128 and the number of SIGINT, as shells have it


class Stopped(KeyboardInterrupt):
    """Ctrl-C in the middle of long work; `doing` says of which. No result was printed, and no file written."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        super().__init__(doing)


_pressed = threading.Event()


def remember_ctrl_c() -> None:
    """Let no import of a C extension lose a Ctrl-C: what swallows the exception is stopped at its next step."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _on_ctrl_c)


def _on_ctrl_c(number: int, frame: FrameType | None) -> None:
    _pressed.set()
    raise KeyboardInterrupt


def stop_if_pressed() -> None:
    """Raise again what Ctrl-C raised, where something swallowed it.

    Raises:
        KeyboardInterrupt: Ctrl-C came.
    """
    if _pressed.is_set():
        raise KeyboardInterrupt


@contextmanager
def telling_what_stopped(doing: Callable[[], str]) -> Iterator[None]:
    """A block of long work that writes nothing; `doing` tells what it is at.

    Raises:
        Stopped: Ctrl-C came in the block.
    """
    try:
        yield
        stop_if_pressed()
    except Stopped:
        raise
    except KeyboardInterrupt:
        raise Stopped(doing()) from None
