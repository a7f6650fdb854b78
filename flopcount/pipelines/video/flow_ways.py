"""Networks of the zoo by which optical flow between two frames is computed."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import UnknownNameError

__all__ = ["FLOWS", "FlowWay", "find_flow"]


@dataclass(frozen=True, slots=True)
class FlowWay:
    """A network of optical flow, and the multiple to which its frames are padded."""

    network: str
    multiple: int = 1

    def padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of what the network takes, of frames of a size (height, width)."""
        return -(-size[0] // self.multiple) * self.multiple, -(-size[1] // self.multiple) * self.multiple


FLOWS = {
    "tvl1": FlowWay("optical_flow_tvl1"),
    "raft": FlowWay("raft", 8),
    "raft_small": FlowWay("raft_small", 8),
    "pwc_net": FlowWay("pwc_net", 64),
}
"""Ways to compute optical flow. RAFT pads frames to multiples of 8 (core/utils/utils.py), PWC-Net of 64
(script_pwc.py)."""


def find_flow(name: str) -> str:
    """The name itself, if it is that of a way to compute flow.

    Raises:
        UnknownNameError: it is not.
    """
    if name not in FLOWS:
        raise UnknownNameError("flow", name, FLOWS, f"choose {', '.join(FLOWS)}")
    return name
