"""The counters that a check can ask, by name: one file each in `peers`, loaded when it is asked and not before."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from ..core.errors import InputError, UnknownNameError
from .peer import Peer

__all__ = ["DEFAULT", "TOOLS", "chosen"]

TOOLS = ("fvcore", "torch", "thop", "torchinfo", "calflops", "ptflops")
DEFAULT = ("fvcore", "torch")


def chosen(names: str | Sequence[str]) -> tuple[Peer, ...]:
    """Tools by name, each once; one that does not exist or is not installed is an error before anything runs."""
    wanted = dict.fromkeys(name.strip() for name in (names.split(",") if isinstance(names, str) else names))
    if not wanted:
        raise InputError("no tool to check against", [("fix", f"name some of {', '.join(TOOLS)}")])
    return tuple(map(_peer, wanted))


def _peer(name: str) -> Peer:
    if name not in TOOLS:
        raise UnknownNameError("tool", name, TOOLS, f"choose from {', '.join(TOOLS)}")
    peer: Peer = import_module(f".peers.{name}", __package__).PEER
    if not peer.installed:
        fix = f"pip install 'flopcount[peers]', or check against {', '.join(DEFAULT)}"
        raise InputError(f"{name} is not installed", [("fix", fix)])
    return peer
