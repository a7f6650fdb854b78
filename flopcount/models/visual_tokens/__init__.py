"""Frames and pixels -> what a vision tower gets, and how many tokens the text gets: the rule of each family."""

from .family import Family, VisualTokens
from .registry import family_of, visual_tokens, whole_of

__all__ = ["Family", "VisualTokens", "family_of", "visual_tokens", "whole_of"]
