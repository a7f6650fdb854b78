"""Names of files and folders -> the video files to read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ...core.errors import InputError

__all__ = ["SUFFIXES", "is_folder", "video_paths"]

SUFFIXES = frozenset(
    [
        ".3gp",
        ".avi",
        ".flv",
        ".h264",
        ".hevc",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
        ".y4m",
    ]
)
"""Of the files of a folder that are read; a file that is named is read whatever it is called."""


def video_paths(names: Iterable[str | Path]) -> list[Path]:
    """Each file, and the video files of each folder and the folders in it, in order of their names, but hidden files.

    Raises:
        InputError: a folder holds none, or cannot be read; a name is empty, or an address.
    """
    paths: list[Path] = []
    for name in names:
        _require_name(str(name))
        path = Path(name)
        if not is_folder(path):
            paths.append(path)
            continue
        found = sorted(_files(path))
        if not found:
            seen = f"no file called {' '.join(sorted(SUFFIXES)[:4])} or the like"
            raise InputError(f"{path} has no video files", [("seen", seen), ("fix", "name the files themselves")])
        paths.extend(found)
    return list(dict.fromkeys(paths))


def is_folder(path: Path) -> bool:
    """Whether it is one; of what cannot be looked at, whoever reads it as a file says why."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _require_name(name: str) -> None:
    if not name:  # as a path it would be the folder where we are
        raise InputError("a video file has an empty name", [("fix", "name a video file, or a folder of them")])
    if "://" in name:
        fix = "fetch it first, and name the file"
        raise InputError(f"{name} is an address, and nothing is downloaded", [("fix", fix)])


def _files(folder: Path) -> Iterable[Path]:
    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror}", [("fix", f"chmod u+rx {error.filename}")]
        )

    for base, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):  # ._clip.mp4 is no video on a Mac
                yield Path(base, name)
