"""ES modules that import from each other -> one script, since a page opened from a file may load no other file.

Each module becomes a function that gives what the module exports, called once and after those it imports from; what it
does not export stays its own. An import is `import { a, b } from "./file.js";`, an export precedes a `function`,
`class` or `const`; any other form is an error, and so is a circular import.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["one_script"]

_IMPORT = re.compile(r'^import \{([\w$,\s]+)\} from "\./([\w-]+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) ([\w$]+))", re.MULTILINE)
_OTHER = re.compile(r"^\s*(?:import|export)\b.*", re.MULTILINE)


def one_script(entry: str, read: Callable[[str], str]) -> str:
    """The module `entry` and all that it needs, as the text of one script.

    Arguments:
        entry: a file's name without its ".js".
        read: the text of a file by its name.

    Raises:
        ValueError: an unknown form, a name that is not exported, or a circular import.
    """
    exports: dict[str, list[str]] = {}
    functions: list[str] = []

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"circular imports: {' -> '.join((*above[above.index(name) :], name))}")
        if name in exports:
            return
        text = read(f"{name}.js")
        for names, source in _IMPORT.findall(text):
            add(source, (*above, name))
            missing = set(_names(names)) - set(exports[source])
            if missing:
                raise ValueError(f"{name}.js imports what {source}.js does not export: {', '.join(sorted(missing))}")
        exports[name] = _EXPORT.findall(text)
        functions.append(_function(name, text, exports[name]))

    add(entry, ())
    return "\n".join(functions)


def _function(name: str, text: str, exports: list[str]) -> str:
    body = _IMPORT.sub(lambda found: f"const {{ {', '.join(_names(found[1]))} }} = {_variable(found[2])};", text)
    body = _EXPORT.sub("", body)
    other = _OTHER.search(body)
    if other:
        raise ValueError(f"{name}.js has an unknown form of import or export: {other[0].strip()}")
    gives = f"return {{ {', '.join(exports)} }};\n" if exports else ""
    return f"const {_variable(name)} = (() => {{\n{body.rstrip()}\n{gives}}})();"


def _names(listed: str) -> list[str]:
    return [name for name in re.split(r"[,\s]+", listed) if name]


def _variable(name: str) -> str:
    return f"${name.replace('-', '_')}"
