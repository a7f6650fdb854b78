"""A prediction as JSON: an element of the key `cost` of a report, and its schema; what is unknown is null."""

from __future__ import annotations

from typing import Any

from ..hardware.constants import Basis
from ..hardware.energy import Energy
from ..hardware.kernels import Family
from ..hardware.money import Money
from ..hardware.precision import PRECISIONS
from ..hardware.prediction import JOB, LIMITS, Prediction, UnitCost
from .schema_words import Schema, count, list_of, nullable, number, one_of, or_null, record, text

__all__ = ["cost_data", "cost_schema"]


def cost_data(cost: Prediction) -> dict[str, Any]:
    """In plain types: seconds, joules and money per pass of the input as counted."""
    conditions = cost.conditions
    return {
        "device": conditions.device.name,
        "dtype": conditions.precision.name,
        "compile": conditions.compiled,
        "layout": conditions.layout,
        "batch": cost.batch,
        "conditions": str(conditions),
        "per": cost.pass_word,
        "basis": cost.basis.value,
        "basis_words": cost.basis_words,
        "widened": list(cost.widened),
        **_amounts(cost),
        "utilisation": cost.utilisation,
        "units": [
            {"unit": unit.unit, "words": unit.words, "passes": unit.passes} | _amounts(unit) for unit in cost.units
        ],
        "by_kind": [
            {
                "kind": kind.kind,
                "macs": kind.macs,
                "bytes": kind.nbytes,
                "kernels": kind.kernels,
                "estimate_s": kind.seconds,
                "limit": kind.limit,
            }
            for kind in cost.by_kind
        ],
    }


def _amounts(cost: Prediction | UnitCost) -> dict[str, Any]:
    return {
        "bound_s": cost.bound,
        "estimate_s": cost.estimate,
        "low_s": cost.low,
        "high_s": cost.high,
        "energy_j": _energy(cost.energy),
        "money": _money(cost.money),
    }


def _energy(energy: Energy | None) -> dict[str, float] | None:
    return None if energy is None else {"low": energy.low, "mid": energy.mid, "high": energy.high}


def _money(money: Money | None) -> dict[str, Any] | None:
    if money is None:
        return None
    return {
        "amount": money.amount,
        "currency": money.currency,
        "per_hour": money.per_hour,
        "region": money.region,
        "date": money.date,
        "source": money.source,
        "note": money.note,
    }


def cost_schema() -> Schema:
    """The schema of `cost_data`."""
    kind = record(
        {
            "kind": one_of([family.value for family in Family], "kernels that devices run alike"),
            "macs": count("MACs of them"),
            "bytes": count("bytes that they move in this precision"),
            "kernels": count("how many of them run"),
            "estimate_s": number("seconds of them"),
            "limit": one_of(LIMITS, "what most of these seconds are"),
        }
    )
    unit = record(
        {
            "unit": text("what is paid for: sample, video, hour of video, epoch, run, million clips"),
            "words": text("how it is made up"),
            "passes": number("passes that it takes"),
            **_amounts_schema(),
        }
    )
    return record(
        {
            "device": text("as `flopcount devices` names it"),
            "dtype": one_of(list(PRECISIONS), "precision that it runs in"),
            "compile": {"type": "boolean", "description": "whether torch.compile fuses"},
            "layout": text("nchw, or nhwc for channels last"),
            "batch": nullable("integer", "samples in one pass; null where unknown"),
            "conditions": text("all of this in words"),
            "per": one_of(["forward pass", "training step", JOB], "what the numbers are per"),
            "basis": one_of([basis.value for basis in Basis], "what the estimate rests on"),
            "basis_words": text("the same in words, with the rows that it was fitted on"),
            "widened": list_of(text(), "kinds of kernel that few measurements are of, which make the range wider"),
            **_amounts_schema(),
            "utilisation": number("FLOPs of contractions per second over the peak of the datasheet (MFU)"),
            "units": list_of(unit, "what else was asked for, such as the views of a video"),
            "by_kind": list_of(kind, "seconds by kind of kernel, the longest first"),
        }
    )


def _amounts_schema() -> dict[str, Schema]:
    energy = record({"low": number(), "mid": number("what is expected"), "high": number()})
    money = record(
        {
            "amount": number("in units of the currency"),
            "currency": text("three letters"),
            "per_hour": number("price of one device for an hour"),
            "region": nullable("string", "where the price holds"),
            "date": nullable("string", "when it held"),
            "source": text("where it was read"),
            "note": text("what is uncertain about it"),
        }
    )
    return {
        "bound_s": number("seconds that the datasheet allows at least"),
        "estimate_s": number("seconds to expect"),
        "low_s": number("8 of 10 unseen networks are between this and high_s"),
        "high_s": number("see low_s"),
        "energy_j": or_null(energy, "joules of the device alone; null where its power limit is unknown"),
        "money": or_null(money, "what it costs; null without a price"),
    }
