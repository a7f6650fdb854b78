"""Advice fits the error, or is absent: each error here is that of a real call, and each piece of advice mends it."""

import builtins
import importlib

import numpy as np
import pytest
import torch
from modules import Apply
from torch import nn

from flopcount import ForwardError, InputError, ModelSpec, TensorSpec, count_flops
from flopcount.core.advice import advice_on_call, advice_on_package
from flopcount.models.loading import find_model

VIDEO = "(batch, channels, frames, height, width)"
IMAGE = "(batch, channels, height, width)"


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, frames: torch.Tensor, mask: torch.Tensor, *, scale: float = 1.0) -> torch.Tensor:
        return self.layer(frames) * mask * scale


class OfBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, batch):
        return self.layer(batch["x"])


class Unpacks(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        b, c, t, h, w = x.shape
        return self.layer(x.reshape(b, c, t, h, w))


def advice(module, value, **options):
    """The lines of advice under the error of a count."""
    with pytest.raises(ForwardError) as caught:
        count_flops(module, value, **options)
    return [text for label, text in caught.value.details if label in ("fix", "takes")]


def convolved(rank, *, norm=True):
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[rank](3, 8, 3, padding=1)
    return nn.Sequential(conv, {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[rank](8) if norm else nn.ReLU())


AXES = [
    (convolved(3), (3, 64, 64), f"Conv3d takes 5 axes {VIDEO}, and it gets 3: give an input with its batch"),
    (convolved(3), (16, 112, 112), f"Conv3d takes 5 axes {VIDEO}, and it gets 3: give an input with its batch"),
    (convolved(3), (3, 16, 64, 64), "give the input with its batch: (1, 3, 16, 64, 64)"),
    (convolved(2), (3, 64, 64), "give the input with its batch: (1, 3, 64, 64)"),
    (convolved(3), (1, 3, 64, 64), f"Conv3d takes 5 axes {VIDEO}, and it gets 4: give an input with its batch"),
    (convolved(2), (1, 3, 16, 64, 64), f"Conv2d takes 4 axes {IMAGE}, and it gets 5"),
    (convolved(2), (224, 224), f"Conv2d takes 4 axes {IMAGE}, and it gets 2: give an input with its batch"),
    (
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 5)),
        (3, 8, 8),
        "give the input with its batch: (1, 3, 8, 8)",
    ),
    (nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), (3, 8, 8), "give the input with its batch: (1, 3, 8, 8)"),
    (Apply(lambda x, head: head(x.flatten(1)), nn.Linear(96, 5)), (2, 3, 4, 4), "give the input with its batch: (1, 2"),
    (
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5)),
        (3, 8, 6),
        "give the input with its batch: (1, 3, 8, 6)",
    ),
    (Unpacks(), (3, 8, 32, 8), "it takes 5 axes apart, and it gets 4: give all of them, the batch included"),
]


@pytest.mark.parametrize("engine", ["auto", "meta", "real"])
@pytest.mark.parametrize(("module", "shape", "told"), AXES, ids=[f"{shape}" for _, shape, _ in AXES])
def test_missing_axes(module, shape, told, engine):
    (fix,) = advice(module, shape, engine=engine)
    assert fix.startswith(told)


def test_the_advice_for_a_missing_batch_mends_it():
    (fix,) = advice(convolved(3), (3, 16, 64, 64))
    shape = tuple(map(int, fix.rpartition("(")[2].rstrip(")").split(", ")))
    assert count_flops(convolved(3), shape).macs == 16 * 64 * 64 * 8 * 81


CHANNELS = [
    (nn.Sequential(nn.Flatten(), nn.Linear(16, 4)), (2, 8), "Linear takes 16 features on the last axis, and it gets 8"),
    (
        nn.Sequential(nn.Flatten(), nn.Linear(100, 4)),
        (3, 4, 5),
        "Linear takes 100 features on the last axis, and it gets 20",
    ),
    (nn.Conv3d(3, 8, 3), (1, 4, 16, 32, 32), "Conv3d takes 3 channels on axis 1, and it gets 4"),
    (
        nn.Conv3d(3, 8, 3),
        (1, 16, 3, 32, 32),
        "Conv3d takes 3 channels on axis 1, and it gets 16; axis 2 has 3: the order may be 1×3×16×32×32",
    ),
    (
        nn.Conv2d(3, 8, 3),
        (1, 32, 48, 3),
        "Conv2d takes 3 channels on axis 1, and it gets 32; axis 3 has 3: the order may be 1×3×32×48",
    ),
    (nn.BatchNorm2d(6), (1, 4, 8, 8), "BatchNorm2d takes 6 channels on axis 1, and it gets 4"),
    (nn.GroupNorm(2, 6), (1, 4, 8, 8), "GroupNorm takes 6 channels on axis 1, and it gets 4"),
    (nn.Linear(16, 4), (2, 8), "Linear takes 16 features on the last axis, and it gets 8"),
    (nn.GRU(16, 4), (2, 3, 8), "GRU takes 16 features on the last axis, and it gets 8"),
    (
        nn.MultiheadAttention(8, 2),
        ((4, 1, 6),) * 3,
        "MultiheadAttention takes 8 features on the last axis, and it gets 6",
    ),
]


@pytest.mark.parametrize(
    ("module", "value", "told"), CHANNELS, ids=[type(module).__name__ for module, _, _ in CHANNELS]
)
def test_other_channels(module, value, told):
    assert advice(module, value) == [told]


KINDS = [
    (nn.Embedding(5, 3), (1, 4), 'it takes indices: give TensorSpec((1, 4), "int64")'),
    (
        nn.Conv2d(3, 8, 3),
        TensorSpec((1, 3, 8, 8), "uint8"),
        'its weights are float32, and it gets uint8: give TensorSpec((1, 3, 8, 8), "float32")',
    ),
    (nn.Linear(8, 4), np.zeros((3, 8), "float32"), "give a tensor: torch.from_numpy(array)"),
    (nn.Linear(8, 4), [(3, 8), (3, 8)], "Linear takes a tensor, not a list"),
]


@pytest.mark.parametrize(("module", "value", "told"), KINDS, ids=[type(module).__name__ for module, _, _ in KINDS])
def test_other_kinds(module, value, told):
    assert advice(module, value) == [told]


MASKED = "(frames, mask, *, scale=1.0)"


@pytest.mark.parametrize(
    ("module", "value", "told"),
    [
        (Masked(), (3, 8), [MASKED, "give mask too, in a tuple: (frames, mask)"]),
        (Masked(), {"frames": (3, 8)}, [MASKED, "give mask too"]),
        (Masked(), (), [MASKED, "give frames and mask too"]),
        (Masked(), {"frame": (3, 8), "mask": (3, 1)}, [MASKED, "give frames for frame"]),
        (Masked(), {"a": (3, 8), "z": (3, 1)}, [MASKED, "name them as it does"]),
        (Masked(), ((3, 8), (3, 1), (3, 1)), [MASKED, "give 2 arguments, not 3"]),
        (OfBatch(), {"x": (3, 8), "y": (3,)}, ["(batch)", "give the mapping as one argument, in a tuple: (batch,)"]),
        (
            nn.Linear(8, 4),
            ((3, 8), (3, 8)),
            ["(input)", "give 1 argument, not 2: [a, b] is one list, (a, b) are two arguments"],
        ),
    ],
)
def test_calls_that_do_not_fit(module, value, told):
    assert advice(module, value) == told


def test_calls_of_any_arguments_fit():
    def takes_all(*args, **kwargs):
        return args, kwargs

    assert advice_on_call(takes_all, (1, 2), {"a": 3}) == []
    assert advice_on_call(lambda a, /, b=0: a, (1,), {"b": 1}) == []
    assert advice_on_call(lambda *, a: a, (), {}) == [("takes", "(*, a)"), ("fix", "give a too")]
    assert advice_on_call(dict.fromkeys, (), {}) in (
        [],
        [("takes", "(iterable, value=None, /)"), ("fix", "give iterable too")],
    )


def test_a_missing_package():
    def imports(name):
        return Apply(lambda x: importlib.import_module(name))

    assert advice(imports("no_such_package.kernels"), (2, 3)) == ["pip install no-such-package"]
    assert advice(imports("torch.no_such_part"), (2, 3)) == []  # torch is there
    missing = ModuleNotFoundError("No module named 'cv2'", name="cv2.cv2")
    installed = importlib.util.find_spec("cv2") is not None
    assert advice_on_package(missing) == ([] if installed else [("fix", "pip install opencv-python-headless")])
    assert advice_on_package(ImportError("cannot import name", name="no_such_package")) == []


BUILDERS = """
from torch import nn

def wide(width, depth=2):
    return nn.Linear(width, depth)

def broken():
    raise ValueError("no such backbone")

def lacking():
    import no_such_package
"""


@pytest.mark.parametrize(
    ("builder", "options", "details"),
    [
        ("wide", {}, [("takes", "(width, depth=2)"), ("fix", "give width too, with --set key=value")]),
        ("wide", {"widht": 3}, [("takes", "(width, depth=2)"), ("fix", "give width for widht, with --set key=value")]),
        ("broken", {}, []),
        ("lacking", {}, [("fix", "pip install no-such-package")]),
    ],
)
def test_a_builder_that_raises(tmp_path, builder, options, details):
    file = tmp_path / "builders.py"
    file.write_text(BUILDERS)
    with pytest.raises(InputError) as caught:
        find_model(ModelSpec(f"{file}:{builder}", options=options))()
    assert [line for line in caught.value.details if line[0] != "given"] == details


def test_a_file_that_imports_what_is_missing(tmp_path):
    file = tmp_path / "lacking.py"
    file.write_text("import no_such_package\n")
    with pytest.raises(InputError, match="pip install no-such-package"):
        find_model(ModelSpec(f"{file}:build"))


@pytest.mark.parametrize("error", [builtins.ValueError, builtins.TypeError, builtins.IndexError, builtins.KeyError])
def test_a_users_own_error_gets_none(error):
    def raises(x, layer):
        raise error("give the batch")

    assert advice(Apply(raises, nn.Conv3d(3, 8, 3)), (3, 16, 8, 8)) == []
