"""Devices: the physics that no row may break, the lookup by name, and rows that are refused."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount.core.errors import InputError, UnknownNameError
from flopcount.facts import DEVICE_KINDS, PEAK_DTYPES, device_row, devices, find_device
from flopcount.facts.rows import read

ROW = {row["name"]: row for _, row in read("devices.csv")}["rtx-4090"]
EVERY = pytest.mark.parametrize("device", devices(), ids=lambda device: device.name)


def test_what_is_there():
    assert len(devices()) == 72
    assert len({device.name for device in devices()}) == 72
    assert {device.kind for device in devices()} == set(DEVICE_KINDS)


def test_units_of_one_device_by_hand():
    """The sheet of the RTX 4090: 82.6 TFLOP/s, 165.2 with fp32 accumulate, 24 GB, 1008 GB/s, 450 W."""
    device = find_device("rtx-4090")
    assert [device.peak(dtype) for dtype in PEAK_DTYPES] == [82.6e12, 82.6e12, 165.2e12, 165.2e12, 330.3e12, 660.6e12]
    assert (device.memory, device.bandwidth, device.tdp, device.year) == (24e9, 1008e9, 450, 2022)
    assert (device.kind, device.sustained, device.torch_devices) == ("gpu", None, 1)
    assert find_device("jetson-agx-orin-64gb").bandwidth == 204_800_000_000


@EVERY
def test_no_row_breaks_physics(device):
    """Bounds that a slip of 1000, sparse peaks in a dense column, or swapped columns would break."""
    assert 2015 < device.year < 2027
    assert device.source
    for dtype in PEAK_DTYPES:
        assert device.peak(dtype) is None or 1e11 < device.peak(dtype) < 6e15
    assert device.memory is None or 4e9 <= device.memory <= 300e9
    assert device.bandwidth is None or 2e10 < device.bandwidth < 1e13
    assert device.tdp is None or 10 <= device.tdp <= 1200
    assert device.sustained is None or 0.4 < device.sustained < 0.95
    chain = [peak for dtype in ("tf32", "fp16", "fp8") if (peak := device.peak(dtype)) is not None]
    assert chain == sorted(chain)  # fewer bits are never slower
    fp32, fp16 = device.peak("fp32"), device.peak("fp16")
    if fp32 and fp16:
        assert 1.3 < fp16 / fp32 < 40
    if fp16 and device.peak("bf16"):
        assert fp16 == device.peak("bf16")
    if fp16 and device.peak("fp8"):
        assert device.peak("fp8") == pytest.approx(2 * fp16, rel=0.02)
    if device.bandwidth and fp32:
        assert 3 < fp32 / device.bandwidth < 150  # FLOPs per byte
    if device.tdp and fp16:
        assert 0.01e12 < fp16 / device.tdp < 5e12  # FLOPs per joule


@EVERY
def test_flags_say_which_values_are_there(device):
    assert device.time_fp32 == ("fp32" in device.time_dtypes)
    assert device.time_fp16 == bool({"fp16", "bf16"} & set(device.time_dtypes))
    assert device.energy == (device.tdp is not None)
    assert device.time_dtypes == tuple(d for d in PEAK_DTYPES if device.bandwidth and device.peak(d))


@EVERY
def test_what_is_unusual_is_marked_and_nothing_else(device):
    """int8 is twice fp16 on most devices; where it is not, the row says so, with the ratio."""
    int8, fp16 = device.peak("int8"), device.peak("fp16")
    marked = re.fullmatch(r"int8/fp16=([\d.]+)", device.unusual)
    if int8 and fp16 and abs(int8 / fp16 - 2) > 0.1:
        assert int8 / fp16 == pytest.approx(float(marked[1]), abs=0.01)
    else:
        assert marked is None
    ridge = re.fullmatch(r"ridge fp16 (\d+)", device.unusual)
    assert bool(device.unusual) == bool(marked or ridge)
    if ridge:
        assert math.floor(fp16 / device.bandwidth) == int(ridge[1])


SUSTAINED = {
    "a100-40gb-sxm": ("271.2/312", 0.869),
    "a100-40gb-pcie": ("158 of 312", 0.506),
    "a100-80gb-pcie": ("252.9/312", 0.811),
    "h100-sxm": ("794.5/989", 0.803),
    "b200-sxm": ("1745/2250", 0.776),
    "b300-sxm": ("1769/2250", 0.786),
    "mi300x": ("668.4/1300", 0.514),
}


def test_sustained_is_what_the_notes_print():
    """Of this device and in 16 bits: the figures of the H200 (fp8) and of another GH200 are none."""
    assert {d.name: d.sustained for d in devices() if d.sustained is not None} == {
        name: share for name, (_, share) in SUSTAINED.items()
    }
    for name, (printed, share) in SUSTAINED.items():
        assert printed in find_device(name).notes
        reached, peak = map(float, re.split("/| of ", printed))
        assert reached / peak == pytest.approx(share, abs=6e-4)
        assert peak * 1e12 == pytest.approx(find_device(name).peak("bf16"), rel=0.01)


def test_two_dies_are_two_torch_devices():
    both = [device.name for device in devices() if device.torch_devices != 1]
    assert both == ["mi250x", "mi250"]
    whole = find_device("mi250x")
    one = whole.one_torch_device
    assert "BOTH GCDs" in whole.remarks
    assert one.peak("fp16") == 191.5e12  # as torchtitan has it
    assert (one.memory, one.bandwidth, one.tdp, one.torch_devices) == (64e9, 1640e9, 280, 1)
    assert one.peak("fp8") is None
    assert one.one_torch_device == one
    assert find_device("mi250").one_torch_device.tdp is None


@pytest.mark.parametrize("name", ["RTX 4090", "rtx4090", "rtx_4090", "Rtx-4090 ", "rtx 40-90"])
def test_spellings(name):
    assert find_device(name).name == "rtx-4090"


@given(st.sampled_from([device.name for device in devices()]), st.data())
def test_any_separators_and_capitals_find_the_device(name, data):
    separators = [data.draw(st.sampled_from(["-", "_", " ", ""])) for _ in range(name.count("-"))] + [""]
    spelled = "".join(word + separator for word, separator in zip(name.split("-"), separators, strict=True))
    assert find_device(data.draw(st.sampled_from([spelled, spelled.upper(), spelled.title()]))).name == name


def test_no_two_devices_are_spelled_alike():
    letters = [re.sub("[-_ ]", "", device.name) for device in devices()]
    assert len(set(letters)) == len(letters)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a100", "a100-40gb-sxm, a100-40gb-pcie, a100-80gb-sxm, a100-80gb-pcie, which differ"),
        ("A100 80GB", "a100-80gb-sxm, a100-80gb-pcie, which differ"),
        ("h100", "h100-sxm, h100-pcie, h100-nvl, which differ"),
        ("v100", "v100-pcie, v100-sxm2, which differ"),
        ("h200", "h200-sxm, the only one known"),
    ],
)
def test_a_name_that_leaves_the_variant_open_is_refused(name, known):
    with pytest.raises(InputError) as error:
        find_device(name)
    assert str(error.value).startswith(f"device {name!r} does not say which variant it is\n  known   {known}\n  fix ")


@pytest.mark.parametrize(
    ("name", "exact"), [("a10", "a10"), ("l4", "l4"), ("apple m1", "apple-m1"), ("jetson nano", "jetson-nano")]
)
def test_a_whole_name_that_begins_others_is_itself(name, exact):
    assert find_device(name).name == exact


def test_an_unknown_name_gets_near_names():
    with pytest.raises(UnknownNameError, match=r"no device named 'rtx-409'\n  near    rtx-4090"):
        find_device("rtx-409")
    for name in ("", "a1", "rtx 4"):
        with pytest.raises(UnknownNameError):
            find_device(name)


def test_an_unknown_dtype_is_no_unknown_peak():
    assert find_device("t4").peak("bf16") is None
    with pytest.raises(UnknownNameError, match="no peak for a dtype named 'bf61'\n  near    bf16"):
        find_device("t4").peak("bf61")


def test_a_device_can_be_a_key_and_is_equal_to_itself_read_anew():
    again = device_row("here", ROW)
    assert again == find_device("rtx-4090")
    assert hash(again) == hash(find_device("rtx-4090"))
    assert replace(again, tdp=1.0) != again


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": ""}, "a fact without source\n  in      here, line 7\n  fix     say which device it is"),
        ({"name": "", "source": ""}, "a fact without name and source\n"),
        ({"kind": "npu"}, "kind is 'npu'\n  in      here, line 7\n  fix     choose gpu, cpu, edge, tpu"),
        ({"year": "soon"}, "year is 'soon', not a whole number above 0\n  in      here, line 7"),
        ({"fp32_tflop_per_s": "82,6"}, "fp32_tflop_per_s is '82,6', not a number above 0\n  in      here, line 7"),
        ({"bandwidth_gb_per_s": "0"}, "bandwidth_gb_per_s is '0', not a number above 0"),
        ({"tdp_w": "inf"}, "tdp_w is 'inf', not a number above 0"),
        ({"memory_gb": "-24"}, "memory_gb is '-24', not a number above 0"),
        ({"sustained": "86.9"}, "sustained is '86.9', more than the peak\n  in      here, line 7"),
        ({"energy": "maybe"}, "energy is 'maybe'\n  in      here, line 7\n  fix     choose yes or no"),
    ],
)
def test_a_row_that_cannot_be_trusted_is_refused(change, message):
    with pytest.raises(InputError) as error:
        device_row("here, line 7", {**ROW, **change})
    assert str(error.value).startswith(message)
