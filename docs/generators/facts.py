"""The facts that the package holds, each with the place where it was read."""

from __future__ import annotations

from collections import Counter

from flopcount.core.units import si
from flopcount.facts import (
    PEAK_DTYPES,
    DecodeRate,
    DecodeShare,
    Device,
    Printed,
    Published,
    decode_rates,
    decode_shares,
    devices,
    lecture,
    prices,
    published,
    throughput_rows,
)
from flopcount.facts.optical_flow import OpticalFlowFact, optical_flow_facts

from .markdown import table

__all__ = ["facts_page"]

_HEAD = """# Facts and their sources

What papers and model zoos print, as the package holds it. A row without a URL and a place there is refused. Costs are
copied digit by digit, under the source's own word for their unit; whether they are right is another question, which
[the verdicts](../../reports/published.md) answer. "Not there" names what the cited place does not print, and what
follows from another text. Devices and prices have a source each; what was not read is unknown,
and `flopcount devices NAME` shows the notes of a device.
"""


def facts_page() -> str:
    """Sources, the lecture's numbers, every published row, devices, prices, and where measured rows are from."""
    rows = published()
    return "\n".join(
        [
            _HEAD,
            "## Sources\n",
            table(("source", "rows"), ((name, number) for name, number in Counter(map(_source, rows)).most_common())),
            "## The lecture's slide\n",
            table(("item", "printed", "place"), ((f.item, f.printed, f"[{f.locator}]({f.url})") for f in lecture())),
            "## Published costs and accuracies\n",
            table(
                (
                    "model",
                    "data set",
                    "clip",
                    "not there",
                    "cost",
                    "unit",
                    "of a",
                    "views",
                    "params",
                    "top-1, %",
                    "mAP",
                    "place",
                ),
                map(_row, rows),
            ),
            "## Optical flow\n",
            table(
                (
                    "network",
                    "trained on",
                    "Sintel clean, px",
                    "final, px",
                    "KITTI 2015, px",
                    "outliers, %",
                    "cost",
                    "place",
                ),
                map(_flow, optical_flow_facts()),
            ),
            "## Devices\n",
            table(
                ("device", "kind", *PEAK_DTYPES, "memory", "bandwidth", "TDP", "source"),
                map(_device, devices()),
            ),
            "## Prices per hour\n",
            table(
                ("device", "price", "provider", "machine", "region", "day", "source"),
                (
                    (
                        p.device,
                        f"{p.amount_per_hour:g} {p.currency}",
                        p.provider,
                        p.instance,
                        p.region,
                        p.date,
                        p.source,
                    )
                    for p in prices()
                ),
            ),
            "## Video decoding\n",
            table(
                ("decoder", "codec", "bits", "frame", "on", "threads", "program", "frames/s", "pixels/s", "place"),
                map(_decoding, decode_rates()),
            ),
            "## From the file to the network, and the network\n",
            table(
                ("network", "backbone", "network on", "file to network, ms", "network, ms", "first share", "place"),
                map(_share, decode_shares()),
            ),
            "## Measured throughput\n",
            table(("file", "rows"), Counter(row.source for row in throughput_rows()).most_common()),
        ]
    )


def _source(row: Published) -> str:
    return f"[{row.source}]({row.url})"


def _row(row: Published) -> tuple[str, ...]:
    sizes = (row.frames, row.height, row.width)
    clip = "×".join(str(size) if size is not None else "?" for size in sizes) if any(sizes) else ""
    return (
        row.model,
        row.dataset,
        clip,
        ", ".join(row.assumed),
        _text(row.cost),
        row.unit,
        row.scope if row.cost else "",
        _text(row.views),
        _text(row.params),
        _text(row.top1),
        _text(row.mean_ap),
        f"[{row.locator}]({row.url})",
    )


def _flow(fact: OpticalFlowFact) -> tuple[str, ...]:
    return (
        fact.name,
        fact.training,
        *map(_text, (fact.sintel_clean, fact.sintel_final, fact.kitti15_epe, fact.kitti15_fl, fact.cost)),
        f"[{fact.locator}]({fact.url})",
    )


def _device(device: Device) -> tuple[str, ...]:
    peaks = ((device.peak(dtype), "op/s" if dtype == "int8" else "FLOP/s") for dtype in PEAK_DTYPES)
    amounts = (*peaks, (device.memory, "B"), (device.bandwidth, "B/s"), (device.tdp, "W"))
    numbers = ("unknown" if value is None else si(value, unit) for value, unit in amounts)
    return (device.name, device.kind, *numbers, device.source)


def _decoding(rate: DecodeRate) -> tuple[str, ...]:
    return (
        rate.decoder,
        rate.codec,
        _text(rate.bit_depth),
        f"{rate.height}×{rate.width}",
        rate.device,
        _text(rate.threads),
        rate.program,
        f"{rate.frames_per_s:.5g}",
        si(rate.pixels_per_s, "px/s"),
        f"[{rate.locator}]({rate.url})",
    )


def _share(share: DecodeShare) -> tuple[str, ...]:
    numbers = (f"{share.preprocess_ms:g}", f"{share.inference_ms:g}", f"{share.share:.1%}")
    return (share.network, share.backbone, share.device, *numbers, f"[{share.locator}]({share.url})")


def _text(value: Printed | float | None) -> str:
    """What was not printed stays empty."""
    return "" if value is None else str(value)
