"""What mkdocs does beside reading docs/: it adds the pages that are generated from the package and its reports.

Nothing of it is written to disk: a page is a function of the package, made anew with every build.
"""

from __future__ import annotations

from generators.command_line import command_line_page, exit_codes_page
from generators.facts import facts_page
from generators.interactive_page import interactive_page
from generators.networks import networks_page
from generators.python import python_page
from generators.quantities import quantities_page
from generators.report_json import json_page, json_schema
from generators.repository import repository_files
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = {
    "gallery/c3d_page.html": interactive_page,
    "reference/command_line.md": command_line_page,
    "reference/exit_codes.md": exit_codes_page,
    "reference/facts.md": facts_page,
    "reference/flopcount-1.schema.json": json_schema,
    "reference/json.md": json_page,
    "reference/networks.md": networks_page,
    "reference/python.md": python_page,
    "reference/quantities.md": quantities_page,
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated, and what lies elsewhere in the repository."""
    for path, page in PAGES.items():
        files.append(File.generated(config, path, content=page()))
    for path, content in repository_files().items():
        files.append(File.generated(config, path, content=content))
    return files
