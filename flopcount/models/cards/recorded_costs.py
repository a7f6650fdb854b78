"""What each network of the zoo costs at its own clip, as it was counted when it was last tested."""

from __future__ import annotations

import json
from importlib import resources

__all__ = ["recorded_costs"]


def recorded_costs() -> dict[str, tuple[int, int]]:
    """Name -> (params, MACs) at the network's own clip, written by `pytest --update-golden` and compared by tests."""
    text = resources.files(__package__).joinpath("costs.json").read_text()
    return {name: (cost["params"], cost["macs"]) for name, cost in json.loads(text).items()}
