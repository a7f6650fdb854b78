"""Frames and pixels -> what a vision tower gets, and how many tokens the text gets: the rule of each family."""

from .family import Family, VisualTokens
from .question import question_inputs, question_tokens
from .registry import family_of, has_family, visual_tokens, whole_of

__all__ = [
    "Family",
    "VisualTokens",
    "family_of",
    "has_family",
    "question_inputs",
    "question_tokens",
    "visual_tokens",
    "whole_of",
]
