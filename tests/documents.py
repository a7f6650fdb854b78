"""The blocks of a markdown page: its commands are run, its code is executed, and what they print is put in their place.

A page's blocks run in their order, in one folder and one Python session:

    ```console                 lines "$ command", each followed by what it prints
    ```pycon                   lines ">>> code", each followed by what it prints
    ```python                  code that runs without an error
    ```python title="net.py"   a file, which the blocks below can use; so with any other language

A line "..." among what is printed stands for lines left out. A command may fail if the next is `echo $?`.
"""

import codeop
import contextlib
import io
import re
import runpy
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from flopcount.cli import app

BLOCK = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^```$', re.DOTALL | re.MULTILINE)
LEFT_OUT = "..."


@dataclass
class Page:
    """A page as it runs: the folder that holds its files, and the names its code has defined."""

    folder: Path
    names: dict

    def renewed(self, text):
        """The page with what its commands and code print now; what is left out of an output stays left out."""
        return BLOCK.sub(self._block, text)

    def _block(self, match):
        language, title, body = match["language"], match["title"], match["body"]
        if title:
            path = self.folder / title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
            if path.suffix == ".py":
                sys.modules.pop(path.stem, None)  # an earlier version, or that of another test
        elif language == "console":
            return match[0].replace(body, self._console(body))
        elif language == "pycon":
            return match[0].replace(body, self._session(body))
        elif language == "python":
            exec(compile(body, "<page>", "exec"), self.names)
        return match[0]

    def _console(self, body):
        lines, status = [], 0
        for typed, shown in steps(body, "$ "):
            words = shlex.split(" ".join(line.removeprefix("$ ").removesuffix("\\") for line in typed), comments=True)
            if status and words != ["echo", "$?"]:
                raise AssertionError(f"before {typed[0]!r} a command exits with {status}, and no `echo $?` says so")
            status, printed = self._command(words, status)
            lines += [*typed, *shortened(printed.splitlines(), shown)]
        assert status == 0, f"the last command exits with {status}, and no `echo $?` says so"
        return "".join(f"{line}\n" for line in lines)

    def _command(self, words, status):
        """Its exit code, and what a terminal shows."""
        words, target = (words[:-2], words[-1]) if ">" in words else (words, None)
        match words:
            case ["flopcount", *rest]:
                result = CliRunner().invoke(app, rest, catch_exceptions=False)
                status, printed, errors = result.exit_code, result.stdout, result.stderr
            case ["python", script]:
                out = io.StringIO()
                with contextlib.redirect_stdout(out):
                    runpy.run_path(script, run_name="__main__")
                status, printed, errors = 0, out.getvalue(), ""
            case ["cat", file]:
                status, printed, errors = 0, Path(file).read_text(), ""
            case ["ls", *folder]:
                names = sorted(path.name for path in Path(*folder).iterdir() if not path.name.startswith(("_", ".")))
                status, printed, errors = 0, "\n".join(names), ""
            case ["echo", "$?"]:
                status, printed, errors = 0, str(status), ""
            case _:
                raise AssertionError(f"a page cannot run {shlex.join(words)}")
        if target is not None:
            Path(target).write_text(printed)
            printed = ""
        return status, printed + errors

    def _session(self, body):
        lines = []
        for typed, shown in steps(body, ">>> "):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(source(typed) + "\n", "<page>", "single"), self.names)
            lines += [*typed, *shortened(out.getvalue().splitlines(), shown)]
        return "".join(f"{line}\n" for line in lines)


def steps(body, prompt):
    """What is typed, with the lines that continue it, and what is shown below."""
    found = []
    for line in body.splitlines():
        if line.startswith(prompt):
            found.append(([line], []))
        elif found and not found[-1][1] and continues(found[-1][0], line, prompt):
            found[-1][0].append(line)
        else:
            assert found, f"a block begins with {line!r} and not with {prompt!r}"
            found[-1][1].append(line)
    return found


def continues(typed, line, prompt):
    """Whether a line belongs to what is typed. A formatter takes away the dots that end a loop."""
    if prompt == "$ ":
        return typed[-1].endswith("\\")
    return (line == "..." or line.startswith("... ")) and codeop.compile_command(source(typed), symbol="single") is None


def source(typed):
    """The code of lines typed to an interpreter."""
    return "\n".join(line[4:] for line in typed)


def shortened(printed, shown):
    """The printed lines, less those that `shown` leaves out with a line of three dots."""
    if LEFT_OUT not in shown or shown == [LEFT_OUT]:  # dots alone would show nothing
        return printed
    head, tail = shown.index(LEFT_OUT), len(shown) - 1 - shown[::-1].index(LEFT_OUT)
    after = len(shown) - tail - 1
    if left_out(printed, shown):
        return shown
    if head + after >= len(printed):
        return printed
    return [*printed[:head], LEFT_OUT, *printed[len(printed) - after :]]


def left_out(printed, shown):
    """Whether the lines shown are lines of the printed ones, in their order, with something where the dots are."""
    dots = r"(?:.*\n)+"
    pattern = "".join(dots if line == LEFT_OUT else re.escape(line) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in printed)) is not None
