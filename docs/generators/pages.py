"""The pages of the reference that the package itself says: path in docs/ -> what makes it.

They are committed, so that links to them lead somewhere in the repository too; `tests/test_site.py` compares them, and
`--update-golden` writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .command_line import command_line_page, exit_codes_page
from .facts import facts_page
from .networks import networks_page
from .python import python_page
from .quantities import quantities_page
from .report_json import json_page, json_schema, pipeline_json_schema

__all__ = ["PAGES"]

PAGES: Mapping[str, Callable[[], str]] = {
    "reference/command_line.md": command_line_page,
    "reference/exit_codes.md": exit_codes_page,
    "reference/facts.md": facts_page,
    "reference/flopcount-1.schema.json": json_schema,
    "reference/flopcount-pipeline-1.schema.json": pipeline_json_schema,
    "reference/json.md": json_page,
    "reference/networks.md": networks_page,
    "reference/python.md": python_page,
    "reference/quantities.md": quantities_page,
}
