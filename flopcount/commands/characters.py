"""What is printed where a terminal, a pipe or a file has no character such as × or ─: ASCII of the same width."""

from __future__ import annotations

import codecs
import sys

__all__ = ["ascii_where_needed"]

_ASCII = {
    "×": "x",
    "·": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "─": "-",
    **dict.fromkeys("│├└", "|"),
    "→": ">",
    "↑": "^",
    "±": "+-",
    "≈": "~",
    "°": " degrees",
    "ᵢ": "_i",
    "…": "~",
    "Δ": "d",
    "█": "#",
    **dict.fromkeys("▉▊▋▌", "#"),
    **dict.fromkeys("▍▎▏", " "),
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "⌊": "floor(",
    "⌈": "ceil(",
    "⌋": ")",
    "⌉": ")",
    **{digit: f"^{value}" for value, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    "√": "sqrt ",
    "∏": "prod ",
    "Σ": "sum ",
    **dict.fromkeys("µμ", "u"),
    **dict(zip("αβεθλπσφ", ("alpha", "beta", "eps", "theta", "lambda", "pi", "sigma", "phi"), strict=True)),
    **{digit: str(value) for value, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    "ᵀ": "^T",
    "‘": "'",
    "’": "'",
    **dict.fromkeys("“”", '"'),
    **dict(zip("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\|/-\\|/", strict=True)),  # what turns while a person waits
}
"""Tables stay aligned: all that stands in their cells is one character for one."""
_HANDLER = "flopcount.ascii"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """The characters that a stream cannot show, in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ASCII.get(character, "?") for character in error.object[error.start : error.end]), error.end


def ascii_where_needed() -> None:
    """Let stdout and stderr show in ASCII what their encoding lacks, instead of an error."""
    codecs.register_error(_HANDLER, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a caller's own stream may be none of Python's
        if reconfigure is not None and not str(getattr(stream, "encoding", "")).lower().startswith("utf"):
            reconfigure(errors=_HANDLER)
