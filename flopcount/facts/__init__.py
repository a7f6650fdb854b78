"""What others published, as data with sources: costs, parameters, accuracies, and the lecture's table.

Nothing here imports torch. Reading a row without a url or a locator is an error.
"""

from __future__ import annotations

from .lecture import LectureFact, lecture
from .mapping import Unmapped, ZooModel, classes_of, dataset_classes, zoo_model
from .printed import SCALES, Printed
from .published import Published, published, published_row

__all__ = [
    "SCALES",
    "LectureFact",
    "Printed",
    "Published",
    "Unmapped",
    "ZooModel",
    "classes_of",
    "dataset_classes",
    "lecture",
    "published",
    "published_row",
    "zoo_model",
]
