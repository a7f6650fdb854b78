"""Prices: the package's own with region, day and source, and files with the columns of the SkyPilot catalogue."""

import datetime
import os
import re
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount.core.errors import InputError, UnknownNameError
from flopcount.facts import CALLER, Price, cheapest_price, devices, price_of, price_row, prices, read_prices
from flopcount.facts.rows import read

ROW = next(row for _, row in read("prices.csv"))
NAMES = {device.name for device in devices()}

# Two orders of columns are in use, and zones are only in some files
LAMBDA = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice\n"
AWS = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,"
    "AvailabilityZone,Arch\n"
)


@pytest.fixture
def vms(tmp_path):
    def write(text):
        path = tmp_path / "vms.csv"
        path.write_text(text)
        return path

    return write


def test_the_packages_prices_are_dated_and_sourced():
    assert 3 <= len(prices()) <= 8
    for price in prices():
        assert price.device in NAMES
        assert 0.1 < price.amount_per_hour < 20  # a price of the whole machine, or of a month, is caught
        assert re.fullmatch("[A-Z]{3}", price.currency)
        assert datetime.date(2020, 1, 1) < datetime.date.fromisoformat(price.date)
        assert price.region
        assert price.provider
        assert price.instance
        assert re.match(r"[\w.-]+/[\w.-]+ \S+ @[0-9a-f]{7}", price.source)  # repository, path, commit
        assert price.date in price.source


def test_price_of_a_device():
    price = price_of("H100 SXM")
    assert (price.amount_per_hour, price.currency, price.region, price.date) == (
        3.3099,
        "EUR",
        "fr-par-2",
        "2026-08-23",
    )
    assert price_of("titan-v") is None
    with pytest.raises(InputError, match="does not say which variant"):
        price_of("h100")
    with pytest.raises(UnknownNameError):
        price_of("h1000")


def test_the_newest_price_is_taken(monkeypatch):
    old, new = replace(prices()[0], date="2025-01-31"), replace(prices()[0], date="2025-02-01", amount_per_hour=9.0)
    monkeypatch.setattr(
        sys.modules["flopcount.facts.prices"], "prices", lambda: (old, new, replace(old, amount_per_hour=0.1))
    )
    assert price_of(old.device) == new


def test_what_stands_beside_an_amount():
    price = Price(2.79, "USD", "a100-80gb-sxm", "us-east-1", "2026-08-23", "somewhere", "Lambda", "gpu_8x", "a guess")
    assert str(price) == "2.79 USD per hour at Lambda, gpu_8x, us-east-1, 2026-08-23: somewhere (a guess)"
    assert str(Price(2.79, "USD", "", None, None, CALLER)) == "2.79 USD per hour: given by the caller"


@pytest.mark.parametrize("missing", ["region", "date", "source"])
def test_no_price_without_region_date_and_source(missing):
    whole = {"region": "us-east-1", "date": "2026-08-23", "source": "somewhere"}
    assert Price(1.0, "USD", "t4", **whole)
    with pytest.raises(InputError, match="a price without region, date or source"):
        Price(1.0, "USD", "t4", **whole | {missing: ""})


@pytest.mark.parametrize("date", ["2026-13-01", "23.08.2026", "20260823", "2026-W34-7", "yesterday"])
def test_days_are_written_so_that_they_sort(date):
    with pytest.raises(InputError, match=f"date {date!r} is not a day\n  fix     write it as 2026-08-23"):
        Price(1.0, "USD", "", None, date, CALLER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"date": ""}, "a fact without date\n  in      here, line 7\n  fix     leave the row out"),
        ({"region": "", "source": ""}, "a fact without region and source\n"),
        ({"price_per_hour": "cheap"}, "price_per_hour is 'cheap', not a number above 0\n  in      here, line 7"),
        ({"device": "h1000"}, "no device named 'h1000'\n"),
    ],
)
def test_a_row_that_cannot_be_trusted_is_refused(change, message):
    with pytest.raises(InputError) as error:
        price_row("here, line 7", {**ROW, **change})
    assert str(error.value).startswith(message)


def test_a_price_per_machine_is_divided_by_its_accelerators(vms):
    path = vms(
        LAMBDA
        + "cpu_4x,,,4.0,16.0,0.2,us-east-1,,\n"
        + """gpu_8x_a6000,A6000,8.0,92.0,448.0,6.4,us-east-1,"{'Gpus': [{'Name': 'A6000', 'Count': 8.0}]}",0.1\n"""
    )
    (price,) = read_prices(path, date="2026-08-23")
    assert price == Price(
        0.8, "USD", "a6000", "us-east-1", "2026-08-23", "vms.csv, line 3", instance="gpu_8x_a6000", note=""
    )


def test_the_other_order_of_columns_and_zones(vms):
    rows = "g4dn.xlarge,T4,1.0,4.0,16.0,,{},0.2,us-east-1,use1-az{},x86_64\n"
    path = vms(AWS + rows.format("0.526", 1) + rows.format("0.526", 2) + rows.format("0.600", 3))
    assert [price.amount_per_hour for price in read_prices(path, date="2026-08-23")] == [0.526, 0.6]


def test_an_ambiguous_accelerator_prices_each_variant_and_says_so(vms):
    path = vms(AWS + "p4de.24xlarge,A100-80GB,8,96.0,1152.0,,40.0,,us-east-1,use1-az1,x86_64\n")
    sxm, pcie = read_prices(path, date="2026-08-23")
    assert (sxm.device, pcie.device) == ("a100-80gb-sxm", "a100-80gb-pcie")
    assert sxm.amount_per_hour == pcie.amount_per_hour == 5.0
    assert sxm.note.startswith("A100-80GB may be a100-80gb-sxm or a100-80gb-pcie, ")


def test_an_accelerator_without_a_machine_says_so(vms):
    (price,) = read_prices(vms(AWS + ",L4,1,,,,0.56,,us-central1,us-central1-a,\n"), date="2026-08-23")
    assert price.note == "the accelerator alone, without a machine around it"


def test_what_is_no_price_of_a_whole_known_device_is_left_out(vms):
    path = vms(
        AWS
        + "a,T4,1,4,16,,,0.2,us-east-1,z,x\n"  # on spot alone
        + "b,T4,1,4,16,,0.0,0.2,us-east-1,z,x\n"
        + "c,L4,0.125,4,16,,0.3,0.2,us-east-1,z,x\n"  # an eighth of a GPU
        + "d,Radeon MI25,1,4,16,,0.3,0.2,us-east-1,z,x\n"
        + "e,tpu-v4,8,4,16,,12.9,0.2,us-east-1,z,x\n"
        + "f,T4,2,4,16,,1.5,0.2,us-east-1,z,x\n"
    )
    (price,) = read_prices(path, date="2026-08-23")
    assert (price.instance, price.amount_per_hour) == ("f", 0.75)


def test_without_a_date_the_files_last_change_stands_in(vms):
    path = vms(LAMBDA + "gpu_1x,T4,1,4,16,0.5,us-east-1,,\n")
    noon = datetime.datetime(2026, 8, 23, 12).timestamp()
    os.utime(path, (noon, noon))
    (price,) = read_prices(path)
    assert (price.date, price.note) == ("2026-08-23", "dated by the file's last change")
    (dated,) = read_prices(path, date="2026-01-02", currency="EUR")
    assert (dated.date, dated.note, dated.currency) == ("2026-01-02", "", "EUR")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "price file vms.csv has no column InstanceType and "),
        ("Price,Region\n", "price file vms.csv has no column InstanceType and AcceleratorName and AcceleratorCount\n"),
        (
            LAMBDA + "g,T4,one,4,16,0.5,us,,\n",
            "AcceleratorCount is 'one', not a number above 0\n  in      vms.csv, line 2",
        ),
        (
            LAMBDA + "g,T4,1,4,16,0.5,us,,\ng,T4,1,4,16,free,us,,\n",
            "Price is 'free', not a number above 0\n  in      vms.csv, line 3",
        ),
        (LAMBDA + "g,T4,,4,16,0.5,us,,\n", "a fact without AcceleratorCount\n  in      vms.csv, line 2"),
        (LAMBDA + "g,T4,1,4,16,0.5,,,\n", "a fact without Region\n  in      vms.csv, line 2"),
        (
            LAMBDA + "g,K80,1,4,16,0.5,us,,\n",
            "price file vms.csv prices no known device\n  fix     name one of A10, A100,",
        ),
    ],
)
def test_errors_name_the_file_and_the_row(vms, text, message):
    with pytest.raises(InputError) as error:
        read_prices(vms(text), date="2026-08-23")
    assert str(error.value).startswith(message)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no price file"):
        read_prices(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="no price file"):
        read_prices(tmp_path)
    (tmp_path / "packed.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match=r"price file packed.csv cannot be read"):
        read_prices(tmp_path / "packed.csv")
    (tmp_path / "wide.csv").write_text(f"{LAMBDA}{'g' * 200_000},T4,1,4,16,0.5,us,,\n")
    with pytest.raises(InputError, match=r"price file wide.csv cannot be read\n  seen    field larger"):
        read_prices(tmp_path / "wide.csv")
    (tmp_path / "vms.csv").write_text("")
    with pytest.raises(InputError, match="date 'today' is not a day"):
        read_prices(tmp_path / "vms.csv", date="today")


def test_cheapest_in_a_region_or_in_any(vms):
    rows = "g{0},T4,1,4,16,{1},{0},,\n"
    read_ = read_prices(
        vms(LAMBDA + rows.format("us-east-1", 0.5) + rows.format("eu-west-1", 0.4) + rows.format("us-west-2", 0.6)),
        date="2026-08-23",
    )
    assert cheapest_price(read_, "t4").region == "eu-west-1"
    assert cheapest_price(read_, "t4", "us-east-1").amount_per_hour == 0.5
    assert cheapest_price(read_, "l4") is None
    with pytest.raises(UnknownNameError, match=r"no region with a price of t4 named 'us-east'\n  near    us-east-1"):
        cheapest_price(read_, "t4", "us-east")
    with pytest.raises(UnknownNameError):
        cheapest_price(read_, "t44")
    with pytest.raises(InputError, match="prices of t4 in EUR and USD cannot be compared"):
        cheapest_price([*read_, replace(read_[0], currency="EUR")], "t4")


@given(st.floats(0.01, 200), st.integers(1, 16))
def test_more_accelerators_at_the_same_price_each_are_the_same_price(tmp_path_factory, amount, count):
    path = tmp_path_factory.getbasetemp() / "vms.csv"
    path.write_text(LAMBDA + f"g,T4,{count},4,16,{amount * count!r},us,,\n")
    (price,) = read_prices(path, date="2026-08-23")
    assert price.amount_per_hour == pytest.approx(amount, rel=1e-12)


def test_every_accelerator_of_the_table_is_a_known_device():
    lines = [row for _, row in read("accelerators.csv")]
    assert len({row["accelerator"] for row in lines}) == len(lines)
    for row in lines:
        names = row["devices"].split()
        assert names
        assert set(names) <= NAMES
        assert len(names) == 1 or row["note"]  # a name that may be several says why
