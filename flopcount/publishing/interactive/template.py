"""What every page is made with: templates, styles and scripts of `assets`, and data that a script can read safely."""

from __future__ import annotations

import json
from importlib import import_module, resources
from typing import Any

from ...core.errors import InputError
from ...core.installation import Installation

__all__ = ["INSTALLATION", "asset", "filled", "library", "script_safe"]

INSTALLATION = Installation("html", ("jinja2>=3.1", "plotly>=6.0"))


def asset(name: str) -> str:
    """The text of a file of `assets`."""
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def library(name: str) -> Any:
    """A library that a page is made with.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        missing = name.partition(".")[0]
        raise InputError(f"a page needs {missing}, which is not installed", [("fix", str(INSTALLATION))]) from None


def filled(template: str, **values: Any) -> str:
    """A template of `assets` with these values; whatever is text in them is escaped.

    Raises:
        InputError: jinja2 is not installed.
    """
    jinja2 = library("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text: str = environment.get_template(template).render(**values)
    return text


def script_safe(data: Any) -> str:
    """JSON that cannot end the script element around it, nor be read as anything but JSON."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
