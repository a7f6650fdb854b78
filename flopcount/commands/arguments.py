"""Options that several commands share, and what they become before torch is loaded."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import UnknownNameError
from ..output import command_formats

if TYPE_CHECKING:
    from ..core.protocol import Clip

__all__ = [
    "BatchOpt",
    "By",
    "ClassesOpt",
    "ClipOpt",
    "DtypeOpt",
    "FormatOpt",
    "InputOpt",
    "NameArg",
    "SetOpt",
    "TableFormatOpt",
    "arguments_of",
    "clip_of",
    "format_option",
    "training_arguments",
    "views_of",
]


class By(StrEnum):
    """Rows of the table."""

    module = "module"
    operator = "operator"
    kind = "kind"


def format_option(*more: str, help: str = "How to write it.") -> Any:
    """The option --format: every format that suits a command, and `more` that it has itself."""
    names = sorted((*command_formats(), *more))

    def parse(text: str) -> str:
        if text not in names:
            raise UnknownNameError("format", text, names, f"choose {', '.join(names)}")
        return text

    return typer.Option("--format", parser=parse, metavar=f"<{'|'.join(names)}>", help=help)


TableFormatOpt = Annotated[str, format_option()]
FormatOpt = Annotated[str, format_option("json")]
NameArg = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A network of the zoo, [cyan]package.module:callable[/] or [cyan]file.py:callable[/]."
    ),
]
ClipOpt = Annotated[str | None, typer.Option("--clip", metavar="TxHxW", help="Frames, height, width.")]
BatchOpt = Annotated[int, typer.Option("--batch", metavar="N", help="Clips in one pass.")]
ClassesOpt = Annotated[int | None, typer.Option("--num-classes", metavar="N", help="Classes of the last layer.")]
SetOpt = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An argument of the model's builder; repeatable.")
]
InputOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="NAME:SHAPE:DTYPE", help="An input of a model that takes no single clip; repeatable."
    ),
]
DtypeOpt = Annotated[str | None, typer.Option("--dtype", help="float32, float16, bfloat16 or float64.")]


def arguments_of(
    name: str,
    clip: str | None,
    batch: int,
    num_classes: int | None,
    settings: list[str] | None,
    inputs: list[str] | None,
    dtype: str | None,
) -> dict[str, Any]:
    """What every command that builds a model passes on, parsed before torch is loaded."""
    from ..core.parsing import parse_dtype, parse_input, parse_settings
    from ..models import require_known

    require_known(name)
    kind = parse_dtype(dtype) if dtype else None
    return {
        "name": name,
        "clip": clip_of(clip),
        "batch": batch,
        "num_classes": num_classes,
        "options": parse_settings(settings or ()),
        "inputs": [parse_input(text, kind or "float32") for text in inputs or ()],
        "dtype": kind,
    }


def clip_of(text: str | None) -> Clip | None:
    """What --clip says."""
    from ..core.protocol import Clip

    return Clip.parse(text) if text is not None else None


def views_of(text: str | None) -> Any:
    """What --views says."""
    from ..core.protocol import Views

    return Views.parse(text)


def training_arguments(
    train: bool, optimizer: str | None, freeze: list[str] | None, epochs: int | None, samples: int | None
) -> dict[str, Any]:
    """What --train and the options that belong to it pass on, refused before torch is loaded.

    Raises:
        InputError: one of them without what it belongs to, or an optimizer that does not exist.
    """
    from ..core.errors import InputError
    from ..training.optimizers import find_optimizer

    options = {"--optimizer": optimizer, "--freeze": freeze, "--epochs": epochs, "--samples": samples}
    if not train:
        for option, value in options.items():
            if value is not None:
                raise InputError(
                    f"{option} is of no use without --train", [("fix", f"add --train, or leave {option} out")]
                )
        return {}
    find_optimizer(optimizer)
    for option, value, other in (("--epochs", epochs, samples), ("--samples", samples, epochs)):
        missing = "--samples" if option == "--epochs" else "--epochs"
        if value is not None and other is None:
            raise InputError(f"{option} {value} is no whole run", [("fix", f"give {missing} too")])
        if value is not None and value < 1:
            raise InputError(f"{option} is {value}", [("fix", "give a whole number above 0")])
    return {"mode": "train", "optimizer": optimizer, "freeze": freeze or ()}
