"""What others published, as data with sources: costs, accuracies, the lecture's table; devices, prices, throughput.

Nothing here imports torch. Reading a row without a source is an error.
"""

from __future__ import annotations

from .devices import DEVICE_KINDS, PEAK_DTYPES, Device, device_row, devices, find_device
from .lecture import LectureFact, lecture
from .mapping import Unmapped, ZooModel, classes_of, dataset_classes, zoo_model
from .prices import CALLER, Price, cheapest_price, price_of, price_row, prices, read_prices
from .printed import SCALES, Printed
from .published import Published, published, published_row
from .throughput import MeasuredThroughput, throughput_row, throughput_rows

__all__ = [
    "CALLER",
    "DEVICE_KINDS",
    "PEAK_DTYPES",
    "SCALES",
    "Device",
    "LectureFact",
    "MeasuredThroughput",
    "Price",
    "Printed",
    "Published",
    "Unmapped",
    "ZooModel",
    "cheapest_price",
    "classes_of",
    "dataset_classes",
    "device_row",
    "devices",
    "find_device",
    "lecture",
    "price_of",
    "price_row",
    "prices",
    "published",
    "published_row",
    "read_prices",
    "throughput_row",
    "throughput_rows",
    "zoo_model",
]
