"""Files written whole or not at all: what is there stays there until what replaces it is complete."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from ..core.errors import InputError

__all__ = ["require_folder", "require_writable", "write_files"]


def require_writable(*paths: Path) -> None:
    """Before long work whose result goes there.

    Raises:
        InputError: one of them is a folder, or in a folder that does not exist or takes no files.
    """
    for path in paths:
        if path.is_dir():
            raise _cannot_write(path, os.strerror(errno.EISDIR))
        if not os.access(path.parent, os.W_OK):
            raise _cannot_write(path, os.strerror(errno.EACCES if path.parent.exists() else errno.ENOENT))


def require_folder(folder: Path) -> None:
    """Before long work whose files go there; it may be made then, with the folders above it.

    Raises:
        InputError: it is a file, or in a folder that takes none.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        raise InputError(f"cannot write to {folder}: {there} is no folder", [("fix", "name a folder")])
    if not os.access(there, os.W_OK):
        raise InputError(f"cannot write to {folder}: {os.strerror(errno.EACCES)}", [("fix", "name another folder")])


def write_files(files: dict[Path, bytes], *, folders: bool = False) -> None:
    """All of them or none: every file is complete beside its place before the first takes it.

    `folders` makes the folders they are in, for a command that was given a folder and no file.

    Raises:
        InputError: one of them cannot be written.
    """
    unfinished = {path: path.with_name(f"{path.name}.unfinished") for path in files}
    try:
        for path, content in files.items():
            if folders:
                path.parent.mkdir(parents=True, exist_ok=True)
            unfinished[path].write_bytes(content)
        for path, whole in unfinished.items():
            whole.replace(path)
    except OSError as error:
        for whole in unfinished.values():
            with suppress(OSError):
                whole.unlink(missing_ok=True)
        raise _cannot_write(path, error.strerror or type(error).__name__) from None


def _cannot_write(path: Path, why: str) -> InputError:
    return InputError(f"cannot write {path}: {why}", [("fix", "name a file in a folder that exists")])
