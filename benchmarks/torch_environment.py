"""A virtual environment with one version of torch and the pinned versions of all else, on a machine without CUDA.

What the registry has of torch are mostly CUDA builds, whose libraries take gigabytes that no test here uses. So torch
is installed without its dependencies, which are pinned like the rest, and each CUDA library that it names and does not
bring gets a stand-in: a shared library with that name and those symbols, where every function answers "no device".
That needs Linux, `gcc` and `readelf`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Library", "Unavailable", "environment_with", "libraries_of", "pins", "source_of", "version_script"]

ROOT = Path(__file__).resolve().parent.parent
NOT_PINNED = ("torch", "torchvision")
"""Torch is what varies, and each torchvision is built for one torch."""

_CUDA = re.compile(r"lib(cu|nv|nccl)\w*\.so\.\d+")
# libraries whose symbols carry no version, so that only the beginning of a name says whose it is
_PREFIXES = {"cuda": "cu[A-Z]", "nccl": "nccl", "cufile": "cuFile", "cusparseLt": "cusparseLt", "curand": "curand"}
_NO_DEVICE = 100  # cudaErrorNoDevice: torch takes it for a machine without a GPU


class Unavailable(Exception):
    """What cannot be installed here, and the last words of what tried."""


@dataclass
class Library:
    """A library that torch wants: the versions it has to define, and symbol -> (its version, is it data)."""

    versions: set[str] = field(default_factory=set)
    symbols: dict[str, tuple[str, bool]] = field(default_factory=dict)


def pins(constraints: str) -> list[str]:
    """Everything that constraints.txt pins, less what belongs to one torch."""
    lines = [line.strip() for line in constraints.splitlines() if "==" in line and not line.startswith("#")]
    return [line for line in lines if line.partition("==")[0].lower() not in NOT_PINNED]


def environment_with(torch: str, folder: Path, wheels: Path) -> tuple[Path, list[str]]:
    """The interpreter of a new environment with this torch, and the libraries that are stand-ins there.

    `wheels` keeps what all environments share. pip's own configuration holds: where it caps torch, it says so.

    Raises:
        Unavailable: pip or the compiler fails.
    """
    _run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    _run(python, "-m", "pip", "install", "-q", "--no-cache-dir", "--no-compile", "--no-deps", f"torch=={torch}")
    shared = pins((ROOT / "constraints.txt").read_text())
    _run(python, "-m", "pip", "wheel", "-q", "--no-deps", "--find-links", wheels, "-w", wheels, *shared)
    offline = ["--no-deps", "--no-compile", "--no-index", "--find-links", wheels]
    _run(python, "-m", "pip", "install", "-q", *offline, *shared)
    (site,) = (folder / "lib").glob("python*/site-packages")
    return python, _put_stand_ins(site / "torch" / "lib")


def _put_stand_ins(folder: Path) -> list[str]:
    """Build each CUDA library that those in `folder` need and that is not there."""
    listings = {path.name: _run("readelf", "-dVW", "--dyn-syms", path) for path in folder.glob("*.so*")}
    wanted = {name: library for name, library in libraries_of(listings.values()).items() if name not in listings}
    for name, library in wanted.items():
        source, script = folder / "stand_in.c", folder / "stand_in.map"
        source.write_text(source_of(library))
        script.write_text(version_script(library))
        linked = [f"-Wl,--version-script={script}"] if library.versions else []
        flags = ["-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{name}", *linked]
        _run("gcc", *flags, "-o", folder / name, source)
        source.unlink()
        script.unlink()
    return sorted(wanted)


def libraries_of(listings: Iterable[str]) -> dict[str, Library]:
    """CUDA libraries that shared libraries need, from what `readelf -dVW --dyn-syms` prints of each."""
    found: dict[str, Library] = defaultdict(Library)
    loose: dict[str, bool] = {}
    for listing in listings:
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", listing):
            if _CUDA.fullmatch(name):
                found[name] = found[name]
        owners = _owners(listing)
        for version, owner in owners.items():
            found[owner].versions.add(version)
        for kind, name, version in _undefined(listing):
            if version in owners:
                found[owners[version]].symbols[name] = (version, kind == "OBJECT")
            elif not version:
                loose[name] = kind == "OBJECT"
    for name, library in found.items():
        prefix = _PREFIXES.get(name.removeprefix("lib").partition(".")[0])
        if not library.versions and prefix:
            library.symbols = {symbol: ("", data) for symbol, data in loose.items() if re.match(prefix, symbol)}
    return dict(found)


def _owners(listing: str) -> dict[str, str]:
    """Version of symbols -> the CUDA library that has to define it."""
    owners, library = {}, ""
    for line in listing.partition(".gnu.version_r")[2].splitlines():
        if found := re.search(r"File: (\S+)", line):
            library = found[1]
        elif (found := re.search(r"Name: (\S+)", line)) and _CUDA.fullmatch(library):
            owners[found[1]] = library
    return owners


def _undefined(listing: str) -> Iterable[tuple[str, str, str]]:
    """Kind, name and version of each symbol that another library has to have."""
    for line in listing.splitlines():
        words = line.split()
        if len(words) > 7 and words[6] == "UND":
            name, _, version = words[7].partition("@")
            yield words[3], name, version


def source_of(library: Library) -> str:
    """Functions that answer "no device", the text of an error where a text is asked for, and data that is zero."""
    lines = []
    for symbol, (_, data) in sorted(library.symbols.items()):
        if data:
            lines.append(f"long {symbol}[64];")
        elif re.search("String|ErrorName", symbol):
            lines.append(f'const char *{symbol}(void) {{ return "no CUDA here"; }}')
        else:
            lines.append(f"int {symbol}(void) {{ return {_NO_DEVICE}; }}")
    return "\n".join([*lines, ""])


def version_script(library: Library) -> str:
    """What the linker takes to give each symbol its version."""
    parts = []
    for version in sorted(library.versions):
        symbols = sorted(symbol for symbol, (its, _) in library.symbols.items() if its == version)
        parts.append(f"{version} {{ global: {' '.join(f'{symbol};' for symbol in symbols)} }};\n")
    return "".join(parts)


def _run(*command: object) -> str:
    words: Sequence[str] = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Unavailable(f"{words[0]} is not installed") from error
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith(("ERROR", "error"))]
        why = (errors or done.stderr.strip().splitlines() or ["no message"])[0]
        raise Unavailable(f"{' '.join(words[:4])} ...: {why}")
    return done.stdout
