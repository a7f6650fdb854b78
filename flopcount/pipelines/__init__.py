"""Whole jobs: named stages times repeats. Its files are loaded when they are needed: a refusal needs few of them."""
