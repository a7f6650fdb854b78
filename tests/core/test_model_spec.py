"""A model by name: text and values give the same ModelSpec."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest

from flopcount import Clip, InputError, ModelSpec, Protocol, TensorSpec, UnknownNameError, Views
from flopcount.core.model_spec import NAMELESS


def test_text_and_values_say_the_same():
    text = ModelSpec.of(
        "nets.py:build",
        clip="4x8x9",
        num_classes=7,
        options=["width=4", "wide=true", "kind=joint"],
        inputs=["rgb:1x3x4x8x9", "tokens:1x5:int64"],
        dtype="bf16",
    )
    inputs = (("rgb", TensorSpec((1, 3, 4, 8, 9), "bfloat16")), ("tokens", TensorSpec((1, 5), "int64")))
    options = {"width": 4, "wide": True, "kind": "joint"}
    assert text == ModelSpec("nets.py:build", Clip(4, 8, 9), 7, options, inputs, "bfloat16")
    assert text == ModelSpec.of(text.name, clip=(4, 8, 9), num_classes=7, options=options, inputs=inputs, dtype="bf16")
    assert text.layouts == ("BCTHW", "??")


def test_a_dtype_of_torch_is_one():
    torch = pytest.importorskip("torch")
    assert ModelSpec.of("c3d", dtype=torch.float16).dtype == "float16"
    with pytest.raises(UnknownNameError, match="no dtype named 'int64'"):
        ModelSpec.of("c3d", dtype=torch.int64)


def test_it_is_a_value():
    one = ModelSpec("c3d", options={"widths": [1, 2]})
    assert one == ModelSpec("c3d", options={"widths": [1, 2]})
    assert hash(one) == hash(ModelSpec("c3d", options={"widths": [1, 2]}))  # options may hold lists
    assert one != replace(one, options={"widths": [1, 3]})
    assert replace(NAMELESS, name="c3d") == ModelSpec("c3d") == ModelSpec.of("c3d")
    with pytest.raises(FrozenInstanceError):
        one.name = "i3d"


def test_what_contradicts_itself():
    spec = TensorSpec((1, 2))
    with pytest.raises(InputError, match="inputs with and without a name do not mix"):
        ModelSpec("c3d", inputs=(("", spec), ("x", spec)))
    with pytest.raises(InputError, match="num_classes is given twice"):
        ModelSpec("c3d", num_classes=3, options={"num_classes": 3})
    ModelSpec("c3d").require_batch(2)
    ModelSpec("c3d", inputs=(("", spec),)).require_batch(1)
    with pytest.raises(InputError, match="batch 2 is given beside inputs, whose shapes include the batch"):
        ModelSpec("c3d", inputs=(("", spec),)).require_batch(2)


def test_the_batch_of_inputs_is_what_they_share_or_what_the_caller_says():
    patches, grid = TensorSpec((64, 48)), TensorSpec((1, 3))
    assert ModelSpec("a:b", inputs=(("", patches), ("", grid))).batch_of_inputs(None) is None
    several = ModelSpec("a:b", inputs=(("", patches),))
    assert (several.batch_of_inputs(None), several.batch_of_inputs(4)) == (64, 4)
    several.require_batch(4)  # 16 patches each
    with pytest.raises(InputError, match="seen    a batch of 64"):
        several.require_batch(3)
    ModelSpec("a:b", inputs=(("", patches), ("", grid))).require_batch(3)  # nobody else knows


def test_a_batch_may_stand_behind_the_time():
    sequence, clip = TensorSpec((15, 2, 8)), TensorSpec((1, 2, 15, 8, 8))
    ModelSpec("a:b", inputs=(("", sequence),)).require_batch(2)
    for inputs, batch in ((sequence,), 4), ((clip,), 2), ((sequence, TensorSpec((15, 3, 8))), 2):
        with pytest.raises(InputError, match=f"batch {batch} is given beside inputs"):
            ModelSpec("a:b", inputs=tuple(("", tensor) for tensor in inputs)).require_batch(batch)


def test_it_needs_no_torch():
    code = "import sys; from flopcount import ModelSpec, Protocol; ModelSpec.of('c3d', inputs=['1x3'])"
    code += "; Protocol(batch=2); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_input_stands_once():
    with pytest.raises(InputError, match="input video is given twice"):
        ModelSpec.of("c3d", inputs=["video:1x3x8x8x8", "video:2x3x8x8x8"])


def test_a_clip_may_be_written():
    assert ModelSpec("c3d", "4x16x16").clip == Clip(4, 16, 16)
    assert Protocol("3x2").views == Views(3, 2)
