"""Options that several commands share, and what they are parsed to before torch is loaded."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any

import typer

from ..core.errors import InputError, UnknownNameError
from ..core.model_spec import ModelSpec
from ..core.protocol import Clip, Protocol, Views
from ..core.registries import PREFIXES
from ..output import command_formats
from .parameters import Command as _Command
from .parameters import option, parameter, with_parameters
from .settings import PRECISION_NAMES, RUNNABLE_WORDS, Running, dtypes_of, parse_settings_on

__all__ = [
    "By",
    "DepthOpt",
    "EpochsOpt",
    "FormatOpt",
    "FreezeOpt",
    "LossOpt",
    "ModelOptions",
    "OptimizerOpt",
    "SamplesOpt",
    "StrictOpt",
    "TableFormatOpt",
    "ThreadsOpt",
    "format_option",
    "takes_device",
    "takes_model",
    "takes_options",
    "text_option",
    "training_arguments",
]


class By(StrEnum):
    """Rows of the table."""

    module = "module"
    operator = "operator"
    kind = "kind"


def format_option(*more: str, help: str = "Format of the output.") -> Any:
    """The option --format: every format that suits a command, and `more` of its own."""
    names = sorted((*command_formats(), *more))

    def parse(text: str) -> str:
        if text not in names:
            raise UnknownNameError("format", text, names, f"choose {', '.join(names)}")
        return text

    help = f"{help} One of {', '.join(names)}."
    return typer.Option("--format", parser=parse, metavar="NAME", help=help, autocompletion=lambda: names)


def _require_depth(depth: int) -> int:
    if depth < -1:
        raise InputError(f"--depth is {depth}", [("fix", "give a number of levels, or -1 for all")])
    return depth


TableFormatOpt = Annotated[str, format_option()]
FormatOpt = Annotated[str, format_option("json")]
DepthOpt = Annotated[
    int, typer.Option(metavar="N", help="Levels of modules shown; -1 for all.", callback=_require_depth)
]
StrictOpt = Annotated[bool, typer.Option("--strict", help="Fail where an operator has no rule (exit code 3).")]
OptimizerOpt = Annotated[
    str | None, typer.Option(metavar="NAME", help="sgd, adam or adamw: with --train, its step too.")
]
FreezeOpt = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Layers or parameters that are not trained; repeatable.")
]
LossOpt = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Output to train on, such as heads.verb; else a returned loss, or all."),
]
EpochsOpt = Annotated[int | None, typer.Option(metavar="N", help="With --train and --samples: the whole training run.")]
SamplesOpt = Annotated[int | None, typer.Option(metavar="N", help="Clips of the data set, each seen once per epoch.")]
ThreadsOpt = Annotated[
    int | None,
    typer.Option(metavar="N", help="Threads on the CPU; with 1, its own clock, which other processes do not move."),
]


def text_option(key: str, metavar: str, text: str) -> inspect.Parameter:
    """An option --key of a command made with `takes_options`."""
    return option(key.replace("-", "_"), str, metavar, text)


def takes_options(gathered: str, options: Sequence[inspect.Parameter]) -> Callable[[_Command], _Command]:
    """Replace the parameter `gathered` of a command by many options; it gets the text of those typed, by key."""

    def decorate(command: _Command) -> _Command:
        @wraps(command)
        def run(**values: Any) -> None:
            typed = {each.name.replace("_", "-"): values.pop(each.name) for each in options}
            command(**values, **{gathered: {key: text for key, text in typed.items() if text is not None}})

        return with_parameters(run, command, {gathered: options})

    return decorate


_WHICH = "of the zoo, [cyan]package.module:callable[/] or [cyan]file.py:callable[/]."
_ARGUMENTS = {
    "spec": [parameter("name", str, typer.Argument(metavar="NAME", help=f"A network {_WHICH}"))],
    "specs": [parameter("names", list[str], typer.Argument(metavar="NAME...", help=f"Networks {_WHICH}"))],
}
_OPTIONS = (
    option("clip", str, "TxHxW", "Frames, height and width of the clip."),
    option(
        "video",
        str,
        "TxHxW",
        "Frames and pixels of a video, of which a generator makes latents and a language model tokens.",
    ),
    option("batch", int, "N", "Clips in one pass, 1 by default; beside --input, the samples that the inputs hold."),
    option("views", str, "CLIPSxCROPS", "Views per video, such as 10x3."),
    option("fps", float, "F", "Frames per second of the video."),
    option("stride", int, "S", "Frames from one sample of the clip to the next."),
    option("dtype", str, "NAME", "float32, float16, bfloat16 or float64."),
    option(
        "input",
        list[str],
        "NAME:SHAPE:DTYPE",
        "An input that is not one clip, =VALUES if they matter; repeatable.",
    ),
    option("num_classes", int, "N", "Classes of the last layer."),
    option("set", list[str], "KEY=VALUE", "An argument of the model's builder; repeatable."),
)
"""All that says what a model is, and how it is fed and tested."""
_TESTING = ("views", "fps", "stride")
"""The options that only some commands use."""
_DTYPE_ON = option("dtype", str, "NAME", f"float32, float16 or bfloat16; with --on also {', '.join(PRECISION_NAMES)}.")
_ON = (
    option("on", str, "DEVICE,...", "Devices as in [cyan]flopcount devices[/]: time, energy and money on them."),
    parameter("compile", bool, typer.Option("--compile", help="As torch.compile runs it."), False),
    option("layout", str, "NAME", "nchw, or nhwc for channels last; nchw by default."),
    option(
        "price", str, "AMOUNT", "What an hour of the device costs, 2.79 (US dollars) or 2.79EUR; else a dated price."
    ),
    option("prices", str, "FILE", "A price file with the columns of the SkyPilot catalogue."),
    option("region", str, "NAME", "Where the price holds, as the price file names it."),
    option("utilisation", float, "U", "The share of the paid hours in which the device is in use; 1 by default."),
)
"""All that says what a network runs on, and how."""
_RUN = (
    option("on", str, "DEVICE", "The device to compare with, as in [cyan]flopcount devices[/], or here.json."),
    *(each for each in _ON if each.name in ("compile", "layout")),
)
_DTYPE_RUN = option("dtype", str, "NAME", f"{RUNNABLE_WORDS}; by default as the model is.")
"""What a network that really runs can be asked for."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What the options say about each model that a command names.

    `words` are the options as typed, and `device_words` those that say what the models run on.
    """

    spec: ModelSpec
    protocol: Protocol
    words: tuple[tuple[str, str], ...]
    device_words: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def parse(cls, values: Mapping[str, Any], counted: str | None) -> ModelOptions:
        """From what typer read; `counted` is the dtype of the count, where --dtype says how the network runs.

        Raises:
            InputError: a value is malformed.
        """
        typed = {f"--{name.replace('_', '-')}": value for name, value in values.items() if value is not None}
        words = [(name, str(v)) for name, value in typed.items() for v in (value if type(value) is list else [value])]
        get = values.get
        built = {"options": get("set"), "inputs": get("input"), "dtype": counted}
        spec = ModelSpec.of("", clip=get("clip"), num_classes=get("num_classes"), video=get("video"), **built)
        protocol = Protocol(Views.parse(get("views")), get("stride"), get("fps"), get("batch"))
        spec.require_batch(protocol.batch)
        return cls(spec, protocol, tuple(words))

    def running_on(self, of_device: Mapping[str, Any]) -> ModelOptions:
        """With the words of these options of a device."""
        typed = {name: value for name, value in of_device.items() if value not in (None, False)}
        words = tuple((f"--{name}",) if value is True else (f"--{name}", str(value)) for name, value in typed.items())
        return replace(self, device_words=words)

    def named(self, name: str, clip: str | None = None) -> ModelSpec:
        """The spec of one model under these options, with its own clip where it has one.

        Raises:
            InputError: the name is that of a saved report.
            UnknownNameError: no such network.
        """
        from ..models import name_in_zoo, require_inputs, require_known

        if name.endswith(".json") and name.partition(":")[0] not in PREFIXES:
            raise InputError(
                f"{name} is a saved report, which does not have the shapes of the model's operators",
                [("fix", "name the model that it is of; `flopcount diff` compares saved reports")],
            )
        name = name_in_zoo(name)
        require_known(name)
        spec = replace(self.spec, name=name, clip=self.spec.clip if clip is None else Clip.parse(clip))
        require_inputs(spec)
        return spec

    def refuse(self, why: str, *only: str) -> None:
        """Refuse options that a command cannot use: those of `only`, or any.

        Raises:
            InputError: one was given; `why` follows its name.
        """
        for name, _ in self.words:
            if not only or name in only:
                raise InputError(f"{name} {why}", [("fix", f"leave {name} out")])


def takes_model(*testing: str) -> Callable[[_Command], _Command]:
    """A command that takes models, with all options that say what they are: these are listed here and nowhere else.

    Of the command's parameters `spec: ModelSpec` becomes the argument NAME, `specs: list[ModelSpec]` the arguments
    NAME..., and `protocol: Protocol` or `options: ModelOptions`, whichever comes first, the options: --clip, --video,
    --batch, --dtype, --input, --num-classes, --set, and those of `testing` (views, fps, stride). `settings: Settings`
    becomes --on, --compile, --layout, --price, --prices, --region and --utilisation; --dtype then takes precisions to
    run in too, of which float32 is counted. `running: Running` becomes --on, --compile and --layout of a network that
    runs for real. What was typed is parsed before the command runs, and it gets these nouns.
    """
    all_of_model = [each for each in _OPTIONS if each.name in testing or each.name not in _TESTING]

    def decorate(command: _Command) -> _Command:
        own = inspect.signature(command).parameters
        on = _ON if "settings" in own else _RUN if "running" in own else ()
        dtype = _DTYPE_ON if "settings" in own else _DTYPE_RUN
        options_of_model = [dtype if on and option.name == "dtype" else option for option in all_of_model]
        of_nouns = {"protocol": options_of_model, "options": options_of_model, "settings": on, "running": on}
        replaced: dict[str, Sequence[inspect.Parameter]] = {**_ARGUMENTS, **of_nouns}

        @wraps(command)
        def run(**values: Any) -> None:
            of_model = {option.name: values.pop(option.name) for option in options_of_model}
            of_device = {option.name: values.pop(option.name) for option in on}
            typed = of_model["dtype"]
            device = "this machine" if "running" in own else of_device.get("on")
            counted, precision = dtypes_of(typed, device) if on else (typed, None)
            if "running" in own:
                counted = _built_in(typed)
            options = ModelOptions.parse(of_model, counted).running_on(of_device)
            nouns: dict[str, Any] = {"protocol": options.protocol, "options": options}
            if "spec" in own:
                nouns["spec"] = options.named(values.pop("name"))
            if "specs" in own:
                nouns["specs"] = [options.named(name) for name in values.pop("names")]
            if "running" in own:
                layout = of_device["layout"] or "nchw"
                nouns["running"] = Running(of_device["on"], of_device["compile"], layout, precision)
            if "settings" in own:  # last, since devices load numpy
                nouns["settings"] = parse_settings_on(of_device, precision)
            command(**values, **{name: noun for name, noun in nouns.items() if name in own})

        return with_parameters(run, command, replaced)

    return decorate


def takes_device() -> Callable[[_Command], _Command]:
    """A command without a model's options, that takes what a job runs on.

    Of its parameters `settings: Settings` becomes --on, --dtype, --compile, --layout, --price, --prices, --region and
    --utilisation, `counted: str | None` is the dtype that is counted in, and `typed: str` the command as it was typed,
    without what only says how the answer is shown.
    """

    def decorate(command: _Command) -> _Command:
        own = inspect.signature(command).parameters

        @wraps(command)
        def run(**values: Any) -> None:
            typed = _typed(command, values)
            of_device = {option.name: values.pop(option.name) for option in _ON}
            dtype, on = values.pop("dtype"), of_device.get("on")
            if dtype is not None and on is None and "counted" not in own:
                fix = "add --on rtx-4090, or write dtype beside each model of the file"
                raise InputError(f"--dtype {dtype} is a way to run on a device, and none is named", [("fix", fix)])
            counted, precision = dtypes_of(dtype, on)
            nouns: dict[str, Any] = {"counted": counted, "typed": typed}
            nouns["settings"] = parse_settings_on(of_device, precision)
            command(**values, **{name: noun for name, noun in nouns.items() if name in own})

        return with_parameters(run, command, {"settings": [_DTYPE_ON, *_ON], "counted": [], "typed": []})

    return decorate


_SHOWING = ("by", "depth", "formula", "html", "strict", "format")


def _typed(command: Callable[..., None], values: Mapping[str, Any]) -> str:
    """The command with these values where they are not its defaults; a parameter without one is an argument."""
    own = inspect.signature(command).parameters
    words = ["flopcount", command.__name__]
    for name, value in values.items():
        default = own[name].default if name in own else None
        if name in _SHOWING or value == default or (name not in own and value is False):
            continue
        option = f"--{name.replace('_', '-')}"
        if default is inspect.Parameter.empty:
            words.append(str(value))
        elif isinstance(value, bool):
            words.append(option if value else f"--no-{name.replace('_', '-')}")
        else:
            words += [word for each in (value if isinstance(value, list) else [value]) for word in (option, str(each))]
    return shlex.join(words)


def _built_in(typed: str | None) -> str | None:
    """The dtype that a network which runs is built in, and so counted in: that of --dtype, where it is one."""
    from ..core.parsing import DTYPES  # here, since --help does not need it

    return DTYPES.get(typed or "")


def training_arguments(
    train: bool,
    optimizer: str | None,
    freeze: list[str] | None,
    loss: str | None,
    epochs: int | None,
    samples: int | None,
) -> tuple[str, str | None, list[str], str | None]:
    """Mode, optimizer, frozen layers and loss from --train and its options, before torch is loaded.

    Raises:
        InputError: an option lacks the one that it needs, or the optimizer does not exist.
    """
    from ..training.optimizers import find_optimizer

    options = {
        "--optimizer": optimizer,
        "--freeze": freeze,
        "--loss": loss,
        "--epochs": epochs,
        "--samples": samples,
    }
    if not train:
        for option, value in options.items():
            if value is not None:
                raise InputError(f"{option} needs --train", [("fix", f"add --train, or leave {option} out")])
        return "forward", None, [], None
    find_optimizer(optimizer)
    for option, value, other in (("--epochs", epochs, samples), ("--samples", samples, epochs)):
        missing = "--samples" if option == "--epochs" else "--epochs"
        if value is not None and other is None:
            raise InputError(
                f"{option} {value} alone does not say how long the run is", [("fix", f"give {missing} too")]
            )
        if value is not None and value < 1:
            raise InputError(f"{option} is {value}", [("fix", "give a whole number above 0")])
    return "train", optimizer, freeze or [], loss
