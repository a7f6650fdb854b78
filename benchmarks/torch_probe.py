"""What flopcount counts under the torch that is installed: `python torch_probe.py` prints one JSON object.

Exact numbers of networks of each family, of a training step and of a closed form. Under another torch they have to be
the same.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from typing import Any

from probe import reason

__all__ = ["NETWORKS", "answers"]

NETWORKS = {
    "convolution": ("c3d", "x3d_xs", "r3d_18", "tsm_r50", "alexnet"),
    "attention": ("vit_b_8f", "timesformer_b", "mvitv2_s_16x4", "cnn_attention"),
    "recurrence": ("cnn_lstm",),
    "two streams": ("two_stream", "slowfast_r50_8x8"),
}
TRAINED, FORMED = "c3d", "r3d_18"


def answers() -> dict[str, Any]:
    """Versions, and question -> its numbers, or what stopped them."""
    import torch

    questions: dict[str, Callable[[], dict[str, Any]]] = {
        f"{name}, {family}": lambda name=name: totals(name) for family, names in NETWORKS.items() for name in names
    }
    questions |= {f"{TRAINED}, a training step": training_step, f"{FORMED}, closed form": closed_form}
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "answers": {question: _answer(ask) for question, ask in questions.items()},
    }


def _answer(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return ask()
    except Exception as error:  # any of torch's changes may raise anything, and the page shall say what
        return {"failure": reason(error)}


def totals(name: str) -> dict[str, Any]:
    from flopcount import count_model

    return _numbers(count_model(name).to_json())


def training_step() -> dict[str, Any]:
    from flopcount import count_flops, create_model
    from flopcount.core.model_spec import ModelSpec
    from flopcount.models.by_name import input_of

    module = create_model(TRAINED)
    report = count_flops(module, input_of(module, ModelSpec(TRAINED)), mode="train")
    if report.training is None:
        raise ValueError("no training step was counted")
    return _numbers(report.training.step.to_json())


def closed_form() -> dict[str, Any]:
    from flopcount import closed_form_of

    forms = json.loads(closed_form_of(FORMED, "TS").to_json())["forms"]
    return {name: form["text"] for name, form in forms.items()}


def _numbers(report: str) -> dict[str, Any]:
    counted = json.loads(report)
    return {**counted["total"], "uncosted": counted["uncosted"]}


if __name__ == "__main__":
    print(json.dumps(answers()))
