"""The counters that a check can run, by name: one file each in `peers`, loaded on first use."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from ..core.errors import InputError, UnknownNameError
from ..core.registries import DEFAULT_TOOLS, TOOLS
from .peer import Peer

__all__ = ["chosen", "find_peer"]


def chosen(names: str | Sequence[str]) -> tuple[Peer, ...]:
    """Tools by name, each once; one that does not exist or is not installed is an error before anything runs."""
    wanted = dict.fromkeys(name.strip() for name in (names.split(",") if isinstance(names, str) else names))
    if not wanted:
        raise InputError("no tool to check against", [("fix", f"name some of {', '.join(TOOLS)}")])
    return tuple(map(_installed, wanted))


def _installed(name: str) -> Peer:
    peer = find_peer(name)
    if not peer.installed:
        fix = f"{peer.installation or f'pip install {name}'}, or check against {', '.join(DEFAULT_TOOLS)}"
        raise InputError(f"{name} is not installed", [("fix", fix)])
    return peer


def find_peer(name: str) -> Peer:
    """A tool, installed or not.

    Raises:
        UnknownNameError: no such tool, with near names.
    """
    if name not in TOOLS:
        raise UnknownNameError("tool", name, TOOLS, f"choose from {', '.join(TOOLS)}")
    peer: Peer = import_module(f".peers.{name}", __package__).PEER
    return peer
