"""--on and the options beside it: parsed in one place, and refused before torch is loaded."""

import subprocess
import sys

import pytest

from flopcount import InputError
from flopcount.commands.settings import PRECISION_NAMES, RUNNABLE_WORDS, dtypes_of, one_setting, parse_settings_on
from flopcount.core.parsing import DTYPES
from flopcount.facts import price_of
from flopcount.hardware.execution_setup import RUNNABLE
from flopcount.hardware.precision import PRECISIONS

CATALOGUE = (
    "InstanceType,vCPUs,AcceleratorName,AcceleratorCount,Price,Region\n"
    "m8,96,H100,8,80.0,us-east-1\nm1,12,L4,1,1.25,eu-west-4\nm2,12,L4,1,0.75,us-east-1\n"
)


def test_the_names_of_the_help_are_those_of_the_time_model():
    assert tuple(PRECISIONS) == PRECISION_NAMES
    assert tuple(RUNNABLE_WORDS.replace(" or ", ", ").split(", ")) == RUNNABLE


@pytest.mark.parametrize("name", PRECISION_NAMES)
def test_a_precision_runs_what_is_counted_in_float32(name):
    assert dtypes_of(name, "rtx-4090") == (None, name)


def test_a_dtype_of_torch_is_counted_and_run():
    assert [dtypes_of(name, "t4") for name in ("float16", "f16", "bfloat16")] == [
        *[("float16", "float16")] * 2,
        ("bfloat16", "bfloat16"),
    ]
    assert dtypes_of(None, "t4") == (None, None)
    for name in DTYPES:  # as ever where no device is named
        assert dtypes_of(name, None) == (name, None)


def settings(on, dtype=None, **values):
    return parse_settings_on({"on": on} | values, dtype)


def test_one_setting_per_device():
    both = settings("rtx-4090, RTX 3090", "amp", compile=True, layout="nhwc", utilisation=0.5)
    assert [setting.device.name for setting in both] == ["rtx-4090", "rtx-3090"]
    for setting in both:
        assert (setting.dtype, setting.compile, setting.layout, setting.utilisation) == ("amp", True, "nhwc", 0.5)
    with pytest.raises(InputError, match="--on names 2 devices: a fit is for one"):
        one_setting(both, "a fit is for one")
    assert one_setting(both[:1], "") is both[0]
    assert one_setting((), "") is None
    assert parse_settings_on({"on": None, "compile": False, "price": None}, None) == ()


def test_a_price_is_the_packages_the_callers_or_that_of_a_file(tmp_path):
    assert settings("l4")[0].price == price_of("l4")
    assert settings("rtx-4090")[0].price is None
    typed = settings("l4", price="2.79EUR", region="here")[0].price
    assert (typed.amount_per_hour, typed.currency, typed.region) == (2.79, "EUR", "here")
    path = tmp_path / "vms.csv"
    path.write_text(CATALOGUE)
    cheapest, european = (settings("l4", prices=str(path), region=region)[0].price for region in (None, "eu-west-4"))
    assert (cheapest.amount_per_hour, cheapest.region) == (0.75, "us-east-1")
    assert (european.amount_per_hour, european.region) == (1.25, "eu-west-4")
    with pytest.raises(InputError, match="no price of t4 in the price file"):
        settings("t4", prices=str(path))


REFUSED = {
    "c3d": "no device is named",
    "c3d --compile": "--compile needs a device",
    "c3d --price 2": "--price needs a device",
    "c3d --dtype amp": "--dtype amp is a way to run on a device, and none is named",
    "c3d --on rtx-490": "no device named 'rtx-490'\n  near    rtx-4090",
    "c3d --on a100": "device 'a100' does not say which variant it is",
    "c3d --on l4,L4": "device l4 is named twice",
    "c3d --on t4 --dtype fp8": "no time of fp8 on t4: the bf16 peak and the fp8 peak of it are not known",
    "c3d --on jetson-agx-orin-64gb --dtype amp": "no time of amp on jetson-agx-orin-64gb: the fp16 peak",
    "c3d --on l4 --dtype amq": "no dtype named 'amq'\n  near    amp",
    "c3d --on l4 --dtype float64": "no time of float64",
    "c3d --on l4 --layout hwc": "no layout named 'hwc'",
    "c3d --on l4 --price much": "'much' is not a price per hour",
    "c3d --on l4,t4 --price 2": "--price is of one device, and --on names 2",
    "c3d --on l4 --price 2 --prices vms.csv": "--price and --prices both say what an hour costs",
    "c3d --on l4 --prices vms.csv": "no price file 'vms.csv'",
    "c3d --on l4 --region mars": "no region with a price of l4 named 'mars'",
    "c3d --on rtx-4090 --region mars": "no price of rtx-4090 in the package's dated prices",
    "c3d --on l4 --utilisation 0": "--utilisation is 0",
    "c3d --on l4 --epochs 3": "--epochs needs --train",
    "c3d --on l4 --train --epochs 3": "--epochs 3 alone does not say how long the run is",
    "before.json --on l4": "before.json is a saved report, which does not have the shapes of the model's operators",
    "c3 --on l4": "no model named 'c3'",
}


def test_what_is_wrong_is_refused_before_torch_is_loaded(tmp_path):
    lines = [["cost", *words.split()] for words in REFUSED]
    code = (
        "import sys\nfrom flopcount.cli import app\n"
        f"for words in {lines!r}:\n"
        "    try: app(words)\n"
        "    except SystemExit as left: assert left.code == 2, words\n"
        "    else: raise AssertionError(words)\n"
        "    assert not {'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules), words\n"
        "    print('---', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    for message, error in zip(done.stderr.split("---\n"), REFUSED.values(), strict=False):
        assert message.startswith("error: ")
        assert error in message
        assert "\n  fix " in message
