"""Video files: what is in them, which frames a network needs, what must be decoded for that, and the whole job."""

from __future__ import annotations

__all__: list[str] = []
