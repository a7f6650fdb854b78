"""What was printed of networks for optical flow: end-point errors on Sintel, outliers on KITTI 2015, cost, time.

The data are in optical_flow.csv. Rows of one network have the same `name`, and one row has one source: the error of a
network and its cost may stand in two rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from ..core.errors import InputError
from ..core.one_line import OneLine
from ..core.parsing import parse_settings
from .printed import Printed
from .published import CONVENTIONS
from .rows import number, read, sourced, whole

__all__ = ["OpticalFlowFact", "optical_flow_facts", "optical_flow_row"]

SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True)
class OpticalFlowFact(OneLine):
    """One row. A value that the source does not give is None (text: "").

    `network` of the zoo with `options` is what had these errors; it is "" where the zoo has none, or where the source
    does not say which it was. `sintel_clean` and `sintel_final` are mean end-point errors in pixels, `kitti15_epe` too;
    `kitti15_fl` is the share of outliers (Fl-all) in percent. `sintel_split` and `kitti15_split` say of which frames:
    "train" without training on them, unless `training` names them, or "test" by the benchmark's own server.

    `cost` is of two frames of height×width by the network with `cost_options`, and `convention` says what it counts, as
    in published.csv. `time_ms` is of such a pair in float32 on `device`.
    """

    name: str
    network: str
    options: Mapping[str, Any]
    training: str
    sintel_split: str
    sintel_clean: float | None
    sintel_final: float | None
    kitti15_split: str
    kitti15_epe: float | None
    kitti15_fl: float | None
    params: Printed | None
    cost: Printed | None
    unit: str
    convention: str
    cost_options: Mapping[str, Any]
    height: int | None
    width: int | None
    time_ms: float | None
    device: str
    url: str
    locator: str
    secondary: bool
    notes: str


@cache
def optical_flow_facts() -> tuple[OpticalFlowFact, ...]:
    """Every row, in the order of the data file.

    Raises:
        InputError: a row has no source, or has a malformed cell.
    """
    return tuple(optical_flow_row(place, row) for place, row in read("optical_flow.csv"))


def optical_flow_row(place: str, row: dict[str, str]) -> OpticalFlowFact:
    """One row of the data file, checked.

    Raises:
        InputError: a row has no url or locator, or has a malformed cell; the message names the line.
    """
    sourced(place, row, ("name",))
    for errors, split in (
        (("sintel_clean", "sintel_final"), "sintel_split"),
        (("kitti15_epe", "kitti15_fl"), "kitti15_split"),
    ):
        if any(row[error] for error in errors) and row[split] not in SPLITS:
            raise InputError(f"{split} is {row[split]!r}", [("in", place), ("fix", f"choose {' or '.join(SPLITS)}")])
    if row["cost"] and row["convention"] not in CONVENTIONS:
        raise InputError(
            f"convention is {row['convention']!r}", [("in", place), ("fix", f"choose {', '.join(CONVENTIONS)}")]
        )
    return OpticalFlowFact(
        name=row["name"],
        network=row["network"],
        options=MappingProxyType(parse_settings(row["options"].split())),
        training=row["training"],
        sintel_split=row["sintel_split"],
        sintel_clean=number(place, row, "sintel_clean"),
        sintel_final=number(place, row, "sintel_final"),
        kitti15_split=row["kitti15_split"],
        kitti15_epe=number(place, row, "kitti15_epe"),
        kitti15_fl=number(place, row, "kitti15_fl"),
        params=Printed(row["params_m"], "M") if row["params_m"] else None,
        cost=Printed(row["cost"], row["scale"]) if row["cost"] else None,
        unit=row["unit"],
        convention=row["convention"],
        cost_options=MappingProxyType(parse_settings(row["cost_options"].split())),
        height=whole(place, row, "height") if row["height"] else None,
        width=whole(place, row, "width") if row["width"] else None,
        time_ms=number(place, row, "time_ms"),
        device=row["device"],
        url=row["url"],
        locator=row["locator"],
        secondary=row["secondary"] == "yes",
        notes=row["notes"],
    )
