"""What others published, as data with sources: costs, accuracies, the lecture's table; devices, prices, times.

Nothing here imports torch. Reading a row without a source is an error.
"""

from __future__ import annotations

from .counters import CounterUse, counter_uses
from .datasets import Dataset, classes_of, dataset_classes, datasets, find_dataset, metric_of
from .decode_rates import (
    CODECS,
    DECODERS,
    DecodeRate,
    DecodeShare,
    decode_rate_row,
    decode_rates,
    decode_share_row,
    decode_shares,
    published_rates,
)
from .devices import DEVICE_KINDS, PEAK_DTYPES, Device, device_row, devices, find_device
from .lecture import LectureFact, lecture
from .mapping import Unmapped, ZooModel, zoo_model
from .measured_mapping import MeasuredRun, NotJudged, OtherPart, measured_run, measured_runs
from .measured_parts import MeasuredPart, measured_part, measured_parts
from .measured_times import MeasuredTime, measured_time, measured_times
from .optical_flow import OpticalFlowFact, optical_flow_facts, optical_flow_row
from .prices import CALLER, Price, cheapest_price, price_of, price_row, prices, read_prices
from .printed import SCALES, Printed
from .published import Published, published, published_row
from .throughput import MeasuredThroughput, throughput_row, throughput_rows

__all__ = [
    "CALLER",
    "CODECS",
    "DECODERS",
    "DEVICE_KINDS",
    "PEAK_DTYPES",
    "SCALES",
    "CounterUse",
    "Dataset",
    "DecodeRate",
    "DecodeShare",
    "Device",
    "LectureFact",
    "MeasuredPart",
    "MeasuredRun",
    "MeasuredThroughput",
    "MeasuredTime",
    "NotJudged",
    "OpticalFlowFact",
    "OtherPart",
    "Price",
    "Printed",
    "Published",
    "Unmapped",
    "ZooModel",
    "cheapest_price",
    "classes_of",
    "counter_uses",
    "dataset_classes",
    "datasets",
    "decode_rate_row",
    "decode_rates",
    "decode_share_row",
    "decode_shares",
    "device_row",
    "devices",
    "find_dataset",
    "find_device",
    "lecture",
    "measured_part",
    "measured_parts",
    "measured_run",
    "measured_runs",
    "measured_time",
    "measured_times",
    "metric_of",
    "optical_flow_facts",
    "optical_flow_row",
    "price_of",
    "price_row",
    "prices",
    "published",
    "published_rates",
    "published_row",
    "read_prices",
    "throughput_row",
    "throughput_rows",
    "zoo_model",
]
