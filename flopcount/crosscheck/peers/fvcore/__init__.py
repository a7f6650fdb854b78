"""fvcore's FlopCountAnalysis: its run with the causes of its difference, and the formulas that they follow from."""

from .analysis import PEER

__all__ = ["PEER"]
