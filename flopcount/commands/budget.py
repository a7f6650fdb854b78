"""Whether networks stay within their budgets, for continuous integration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import InputError, UnknownNameError
from ..publishing.measures import Measure, measures
from .application import EXIT_FAILED_CHECK, app
from .arguments import ModelOptions, TableFormatOpt, takes_model, takes_options, text_option
from .output import show, working
from .settings import Settings, one_setting

if TYPE_CHECKING:
    from ..hardware.setting import Setting
    from ..publishing.budget import Budget

__all__ = ["budget"]


def _help(measure: Measure) -> str:
    """What is limited, and in which unit a bare number is."""
    quantity = measure.quantity
    if quantity.pico:
        unit = f" in {quantity.limit}, or with its unit such as 0.5{quantity.unit}" if quantity.unit else ""
        return f"Limit of {measure.what} on the device of --on, as estimated: a number{unit}."
    scale = f" in {quantity.scale}" if quantity.scale else ""
    return f"Limit of {measure.what}: a number{scale}, or with a prefix such as 1.5T."


_LIMITS = [text_option(key, "N", _help(measure)) for key, measure in measures().items()]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount budget c3d --clip 16x112x112 --max-gmacs 40 --max-params 80M\n\n"
    "flopcount budget nets.py:build --clip 16x112x112 --views 10x3 --max-gmacs-per-video 1.2T\n\n"
    "flopcount budget nets.py:build --clip 16x112x112 --batch 8 --max-gmacs 300\n\n"
    "flopcount budget c3d --max-ms 12 --on t4 --dtype amp\n\n"
    "flopcount budget job.toml --max-gmacs 1.2T   [dim]a job, or one that was saved as .json[/]\n\n"
    "flopcount budget   [dim]every \\[tool.flopcount.budgets.NAME] of pyproject.toml[/]"
)
@takes_model("views")
@takes_options("limits", _LIMITS)
def budget(
    *,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="A network with limits, or one budget of pyproject.toml; by default all budgets."
        ),
    ] = None,
    limits: Mapping[str, str],
    options: ModelOptions,
    settings: Settings,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The pyproject.toml; by default the nearest, here or above.")
    ] = None,
    format: TableFormatOpt = "table",
) -> None:
    """Compare networks with their budgets: exit code 1 where one costs more, with the layers that cost most.

    Time, energy and money are those of the device of --on, and hold where the estimate is within the limit.
    """
    from ..publishing.budget import check_budgets, parse_limit

    setting = one_setting(settings, "a budget is of one")
    allowed = {key: parse_limit(key, text) for key, text in limits.items()}
    if name is None or not allowed:
        typed = [words[0] for words in (*options.words, *options.device_words)] + [f"--{key}" for key in allowed]
        if typed:
            missing = "the name of a network" if name is None else "a limit, such as --max-gmacs 40"
            raise InputError(f"{typed[0]} needs {missing}", [("fix", "see flopcount budget --help")])
        budgets = _from_file(config, name)
    else:
        if config is not None:
            raise InputError("--config does not go with limits of the command line", [("fix", "give one of them")])
        budgets = [_named(name, options, allowed, setting)]
    with working("counting") as say:
        result = check_budgets(budgets, say)
    table = result.table()
    show(table, format)
    for note in table.notes if format == "csv" else ():  # csv has no place for notes
        typer.echo(note, err=True)
    if not result.holds:
        raise typer.Exit(EXIT_FAILED_CHECK)


def _named(name: str, options: ModelOptions, allowed: dict[str, int], setting: Setting | None) -> Budget:
    """The budget of one network, or of the job in a file."""
    from ..publishing.budget import Budget

    if not name.endswith((".toml", ".json")):
        return Budget(name, options.named(name), allowed, options.protocol, setting)
    from ..pipelines.named_file import PipelineFile

    options.refuse("is for networks, and this is the budget of a job")
    return Budget(name, PipelineFile(Path(name)), allowed, setting=setting)


def _from_file(config: Path | None, name: str | None) -> list[Budget]:
    """All budgets of the file, or the one of that name."""
    from ..publishing.budget_file import find_pyproject, read_budgets

    path = config or find_pyproject()
    budgets = {budget.name: budget for budget in read_budgets(path)}
    if name is None:
        return list(budgets.values())
    if name not in budgets:
        fix = f"choose {', '.join(budgets)}, or give a limit, such as --max-gmacs 40"
        raise UnknownNameError(f"budget in {path}", name, budgets, fix)
    return [budgets[name]]
