"""The same model under other counters: counts side by side, and every difference named and sized."""

from .checking import Check, CheckRow, check, check_model
from .peer import Cause, PeerCount

__all__ = ["Cause", "Check", "CheckRow", "PeerCount", "check", "check_model"]
