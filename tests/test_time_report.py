"""The committed report of predicted times: its numbers are those of its rows, and they are as good as was asked."""

import csv
import math
import re
from collections import defaultdict
from pathlib import Path
from statistics import mean, median

import pytest

from flopcount.facts import find_device
from flopcount.hardware.constants import constants_table

FOLDER = Path(__file__).parents[1] / "reports"
PAGE = (FOLDER / "time.md").read_text(encoding="utf-8")
with (FOLDER / "time.csv").open(newline="", encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))
SECONDS = ("measured_s", "predicted_s", "low_s", "high_s", "bound_s")
for row in ROWS:
    row.update({name: float(row[name]) for name in SECONDS})
TABLES = defaultdict(list)
for row in ROWS:
    if row["torch"]:  # a published time has none
        key = row["device"], row["dtype"], row["compiled"], row["layout"], row["training"], row["torch"]
        TABLES[key].append(row)
PUBLISHED = [row for row in ROWS if not row["torch"]]


def lines(heading):
    """The cells of each line of the table under a heading."""
    part = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def off(row):
    return abs(row["predicted_s"] / row["measured_s"] - 1)


def inside(row):
    return row["low_s"] <= row["measured_s"] <= row["high_s"]


def mode(key):
    return ("compiled" if key[2] == "True" else "eager") + ", training" * (key[4] == "True")


def test_every_set_of_constants_is_a_table_of_the_page():
    rows = [tuple(line[:5]) for line in lines("Families that were left out")]
    assert len(rows) == len(set(rows)) == len(TABLES) == len(constants_table().sets)
    assert set(rows) == {(key[0], key[1], mode(key), key[3], key[5]) for key in TABLES}


@pytest.mark.parametrize("key", TABLES, ids="-".join)
def test_the_numbers_of_a_table_are_those_of_its_rows(key):
    """Five digits of each time are kept, so a percentage may differ in its last place."""
    rows = TABLES[key]
    (line,) = [
        line
        for line in lines("Families that were left out")
        if tuple(line[:5]) == (*key[:2], mode(key), key[3], key[5])
    ]
    assert int(line[5]) == len(rows)
    middle, average = (float(text.removesuffix(" %")) for text in line[7:9])
    assert middle == pytest.approx(100 * median(map(off, rows)), abs=0.11)
    assert average == pytest.approx(100 * mean(map(off, rows)), abs=0.11)
    share, beaten = (float(text.removesuffix(" %")) for text in line[11:13])
    assert share == pytest.approx(100 * mean(map(inside, rows)), abs=0.31)
    assert beaten == pytest.approx(100 * mean(row["bound_s"] > row["measured_s"] for row in rows), abs=0.11)


@pytest.mark.parametrize("key", TABLES, ids="-".join)
def test_eight_of_ten_unseen_networks_are_inside_the_range(key):
    assert 0.72 <= mean(map(inside, TABLES[key])) <= 0.88


def test_hardly_a_measurement_beats_the_bound():
    rows = [row for rows in TABLES.values() for row in rows]
    assert mean(row["bound_s"] > row["measured_s"] for row in rows) <= 0.03
    assert mean(row["bound_s"] > row["measured_s"] for row in PUBLISHED) <= 0.03


def test_no_measurement_is_faster_than_its_flops_at_the_peak():
    assert all(float(line[13].removesuffix(" %")) <= 0.5 for line in lines("Families that were left out"))


def test_every_estimate_is_between_its_bound_and_its_upper_end():
    for row in ROWS:
        assert row["low_s"] <= row["predicted_s"] <= row["high_s"]
        assert row["predicted_s"] >= row["bound_s"] * (1 - 1e-4)


def test_every_row_names_a_known_device():
    for name in {row["device"] for row in ROWS}:
        assert find_device(name).bandwidth


def test_generators_that_were_left_out_are_predicted_as_asked():
    found = re.search(r"another network: (\d+), median error ([\d.]+) %", PAGE)
    assert int(found[1]) >= 50
    assert float(found[2]) <= 20


def test_macs_rank_networks_of_one_size_badly_and_the_prediction_well():
    pattern = r"their MACs ([\d.]+); .*constant ([\d.]+); the prediction, their family left out ([\d.]+)\.\n"
    found = re.search(pattern, PAGE)
    macs, roofline, prediction = map(float, found.groups())
    assert macs < 0.5
    assert roofline >= 0.90
    assert prediction >= 0.90


def test_the_worst_rows_are_the_worst_and_have_a_reason():
    worst = lines("The worst 20")
    assert len(worst) == 20
    ratios = [abs(math.log(float(line[2]))) for line in worst]
    assert ratios == sorted(ratios, reverse=True)
    newest = {key[:5]: max(k[5] for k in TABLES if k[:5] == key[:5]) for key in TABLES}
    far = max(
        abs(math.log(row["predicted_s"] / row["measured_s"]))
        for key in TABLES
        if key[5] == newest[key[:5]]
        for row in TABLES[key]
    )
    assert ratios[0] == pytest.approx(far, abs=0.02)
    assert all(line[4] for line in worst)
