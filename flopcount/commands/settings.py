"""What --on and the options beside it say: devices and how a network runs on them, parsed before torch is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..core.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from ..hardware.setting import Setting

    Settings: TypeAlias = tuple[Setting, ...]
else:
    Settings = tuple  # commands are read for their options while nothing of a device is loaded

__all__ = ["PRECISION_NAMES", "RUNNABLE_WORDS", "Running", "Settings", "dtypes_of", "one_setting", "parse_settings_on"]

PRECISION_NAMES = ("fp32", "tf32", "amp", "amp_bf16", "bf16", "fp16", "fp8", "int8", "w4a16")
"""Names of `hardware.precision`, so that --help does not load it; a test compares them."""

RUNNABLE_WORDS = "fp32, tf32, amp, amp_bf16, bf16 or fp16"
"""Those that torch runs any module in, as `hardware.execution_setup` has them; a test compares them too."""


@dataclass(frozen=True, slots=True)
class Running:
    """How a network runs for real: the device that it is compared with, by name, and the way to run."""

    on: str | None
    compile: bool
    layout: str
    dtype: str | None


def dtypes_of(dtype: str | None, on: str | None) -> tuple[str | None, str | None]:
    """The dtype to count in, and the one to run in, of what --dtype says; None leaves both to the model.

    A precision such as amp is a way to run a network that is counted in float32.

    Raises:
        InputError: a dtype whose time nobody can say, or a precision without a device to run on.
        UnknownNameError: no such dtype.
    """
    from ..core.parsing import DTYPES  # here, since --help does not need it

    if dtype is None:
        return None, None
    if on is None:
        if dtype in PRECISION_NAMES and dtype not in DTYPES:
            raise InputError(
                f"--dtype {dtype} is a way to run on a device, and none is named",
                [("fix", "add --on rtx-4090, or count in float32, float16, bfloat16 or float64")],
            )
        return dtype, None
    if dtype in PRECISION_NAMES:
        return None, dtype
    if dtype not in DTYPES:
        names = (*PRECISION_NAMES, "float32", "float16", "bfloat16")
        raise UnknownNameError("dtype", dtype, names, f"choose {', '.join(names)}")
    if DTYPES[dtype] == "float64":
        raise InputError(f"no time of {dtype}", [("fix", f"choose {', '.join(PRECISION_NAMES)}")])
    return DTYPES[dtype], DTYPES[dtype]


def parse_settings_on(values: Mapping[str, Any], dtype: str | None) -> tuple[Setting, ...]:
    """A setting for each device of --on; none without --on.

    Arguments:
        values: of the options `on`, `compile`, `layout`, `price`, `prices`, `region` and `utilisation`.
        dtype: to run in, of `dtypes_of`.

    Raises:
        InputError, UnknownNameError: a device, dtype, layout or price is wrong or missing; or an option lacks another.
    """
    given = {name: value for name, value in values.items() if value is not None and value is not False}
    if "on" not in given:
        for name in given:
            raise InputError(f"--{name} needs a device", [("fix", f"add --on rtx-4090, or leave --{name} out")])
        return ()
    names = [name.strip() for name in given["on"].split(",")]
    _require_utilisation(given.get("utilisation", 1.0))
    if "price" in given:
        if "prices" in given:
            raise InputError("--price and --prices both say what an hour costs", [("fix", "give one of them")])
        if len(names) > 1:
            raise InputError(
                f"--price is of one device, and --on names {len(names)}", [("fix", "give a price file: --prices FILE")]
            )
    return _settings(names, given, dtype)


def _settings(names: list[str], given: Mapping[str, Any], dtype: str | None) -> tuple[Setting, ...]:
    from ..facts.prices import read_prices
    from ..hardware.device_price import device_price
    from ..hardware.money import parse_price
    from ..hardware.named_device import device_named
    from ..hardware.setting import Setting

    region = given.get("region")
    typed = parse_price(given["price"], region=region) if "price" in given else None
    among = read_prices(given["prices"]) if "prices" in given else None
    settings: dict[str, Setting] = {}
    for name in names:
        device, _ = device_named(name)
        if device.name in settings:
            raise InputError(f"device {device.name} is named twice", [("fix", "leave one out")])
        price = typed or device_price(device, among, region)
        how = {"price": price, "utilisation": given.get("utilisation", 1.0)}
        setting = Setting.of(name, dtype, given.get("compile", False), given.get("layout") or "nchw", **how)
        conditions = setting.conditions()  # of float32, which is counted unless the model has another dtype
        conditions.require_peaks()
        setting.choice(conditions)  # a calibration may be of another way to run
        settings[device.name] = setting
    return tuple(settings.values())


def _require_utilisation(share: float) -> None:
    if not 0 < share <= 1:
        raise InputError(f"--utilisation is {share:g}", [("fix", "give a share above 0 and at most 1")])


def one_setting(settings: tuple[Setting, ...], why: str) -> Setting | None:
    """The setting of a command that takes one device at most; `why` says what it cannot do with several.

    Raises:
        InputError: there are several.
    """
    if len(settings) > 1:
        names = ", ".join(setting.device.name for setting in settings)
        raise InputError(f"--on names {len(settings)} devices: {why}", [("seen", names), ("fix", "name one")])
    return settings[0] if settings else None
