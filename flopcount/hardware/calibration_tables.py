"""A calibration as a table: its networks, measured beside what is predicted of them without their family."""

from __future__ import annotations

from ..core.quantity import PICO
from ..core.table import Column, Table
from ..core.units import si
from .calibration_file import HERE, Calibration
from .machine import NOISY, noise_words

__all__ = ["calibration_table"]


def calibration_table(calibration: Calibration, path: str) -> Table:
    """One row per network, and below it how wrong the predictions are, and what they are relative to."""
    columns = (
        *(Column("network", "text"), Column("family", "text", drop=2), Column("MACs", drop=1)),
        *(Column("measured", unit="s", tone="strong", pico=True), Column("predicted", unit="s", pico=True)),
        Column("ratio", "text"),
    )
    rows = []
    for row in calibration.networks:
        measured, predicted = round(row.measured_s * PICO), round(row.predicted_s * PICO)
        rows.append((row.name, row.family, row.macs, measured, predicted, f"{predicted / measured:.2f}"))
    errors = calibration.errors
    peaks = ", ".join(f"{dtype} {si(peak, 'FLOP/s')}" for dtype, peak in calibration.peaks.items())
    notes = [
        f"measured on {calibration.machine}, in {calibration.mode}",
        "predicted: by constants fitted without any network of its family; ratio: predicted over measured",
        f"error on families left out: median {100 * errors.median:.1f}%, mean {100 * errors.mean:.1f}%, "
        f"rank correlation {errors.rank:.3f}",
        f"fastest contraction: {peaks}; fastest copy: {si(calibration.bandwidth, 'B/s')}",
        f"written to {path}; use it as --on {HERE if path == f'{HERE}.json' else path}",
    ]
    noisy = [row.name for row in calibration.networks if row.high_s > NOISY * row.low_s]
    if noisy:
        count, spread = f"{len(noisy)} of {len(rows)} networks", 100 * (NOISY - 1)
        notes.append(f"the times of {count} spread by more than {spread:.0f}%: {noise_words(calibration.machine)}")
    return Table(f"calibration of {calibration.machine.name}", columns, tuple(rows), None, tuple(notes))
