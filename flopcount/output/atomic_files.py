"""Files written whole or not at all: an old file stays until its replacement is complete."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core.errors import InputError

__all__ = ["require_folder", "require_writable", "write_files"]


def require_writable(*paths: Path) -> None:
    """Refuse, before long work, paths that its result cannot go to.

    Raises:
        InputError: a path is a folder, or in a folder that does not exist or takes no files.
    """
    for path in paths:
        if path.is_dir():
            raise _cannot_write(path, os.strerror(errno.EISDIR))
        if path.parent.exists() and not path.parent.is_dir():
            raise _cannot_write(path, os.strerror(errno.ENOTDIR))
        if not os.access(path.parent, os.W_OK):
            raise _cannot_write(path, os.strerror(errno.EACCES if path.parent.exists() else errno.ENOENT))


def require_folder(folder: Path) -> None:
    """Refuse, before long work, a folder that its files cannot go to; one that is missing is made later.

    Raises:
        InputError: the folder is a file, or lies in a folder that takes none.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        raise InputError(f"cannot write to {folder}: {there} is not a folder", [("fix", "name a folder")])
    if not os.access(there, os.W_OK):
        raise InputError(f"cannot write to {folder}: {os.strerror(errno.EACCES)}", [("fix", "name another folder")])


def write_files(files: dict[Path, bytes], *, folders: bool = False) -> None:
    """Write all files or none: each is complete under a temporary name before the first takes its place.

    `folders` also makes the folders that they go to, for a command that takes a folder.

    Raises:
        InputError: one of them cannot be written.
    """
    unfinished = {path: path.with_name(f"{path.name}.unfinished") for path in files}
    try:
        for path, content in files.items():
            if folders:
                path.parent.mkdir(parents=True, exist_ok=True)
            unfinished[path].write_bytes(content)
        with _to_the_end():
            for path, whole in unfinished.items():
                whole.replace(path)
    except BaseException as error:
        for whole in unfinished.values():
            with suppress(OSError):
                whole.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _cannot_write(path, error.strerror or type(error).__name__) from None
        raise


@contextmanager
def _to_the_end() -> Iterator[None]:
    """A block that Ctrl-C does not break off in its middle; what it asks for follows behind."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:  # no signals come, or not to Python
        yield
        return
    pressed: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def _cannot_write(path: Path, why: str) -> InputError:
    return InputError(f"cannot write {path}: {why}", [("fix", "name a file in a folder that exists")])
