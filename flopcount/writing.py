"""Files written whole or not at all: what is there stays there until what replaces it is complete."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from .errors import InputError

__all__ = ["write_files"]


def write_files(files: dict[Path, bytes]) -> None:
    """All of them or none: every file is complete beside its place before the first takes it.

    Raises:
        InputError: one of them cannot be written.
    """
    unfinished = {path: path.with_name(f"{path.name}.unfinished") for path in files}
    try:
        for path, content in files.items():
            if len(files) > 1:  # a folder was asked for, not a file in one
                path.parent.mkdir(parents=True, exist_ok=True)
            unfinished[path].write_bytes(content)
        for path, whole in unfinished.items():
            whole.replace(path)
    except OSError as error:
        for whole in unfinished.values():
            with suppress(OSError):
                whole.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {path}: {error.strerror}", [("fix", "name a file in a folder that exists")]
        ) from None
