"""What was printed of optical flow: each row with its source, of a network of the zoo or of none."""

import re
import subprocess
import sys

import pytest

from flopcount import InputError
from flopcount.facts import find_device, optical_flow_facts, optical_flow_row
from flopcount.facts.rows import read
from flopcount.models import CARDS

PLACE, ROW = next(read("optical_flow.csv"))


def test_every_row_is_sourced_and_plausible():
    rows = optical_flow_facts()
    assert len(rows) == 55
    for row in rows:
        assert re.fullmatch(r"https://[^\s/]+\.[^\s]+", row.url)
        assert row.locator
        assert row.network == "" or CARDS[row.network].family == "optical flow"
        assert row.network or not row.options
        errors = (row.sintel_clean, row.sintel_final, row.kitti15_epe)
        assert all(error is None or 0.5 < error < 30 for error in errors)
        assert row.kitti15_fl is None or 1 < row.kitti15_fl < 60
        if row.sintel_clean and row.sintel_final:
            assert row.sintel_clean < row.sintel_final
        assert row.cost is None or 10**10 < row.cost.value < 10**13
        assert (row.height is None) == (row.width is None)
        if row.time_ms is not None:
            assert find_device(row.device).name == row.device
        assert any(value is not None for value in (*errors, row.kitti15_fl, row.cost))


def test_networks_of_the_zoo_have_errors_and_costs():
    for network in ("pwc_net", "raft", "raft_small"):
        rows = [row for row in optical_flow_facts() if row.network == network]
        assert any(row.sintel_final is not None and row.sintel_split == "train" for row in rows)
        assert any(row.cost is not None for row in rows)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"url": ""}, "a fact without url"),
        ({"sintel_clean": "low"}, "sintel_clean is 'low', not a number above 0"),
        ({"sintel_split": ""}, "sintel_split is ''"),
        ({"kitti15_fl": "9.6", "kitti15_split": "both"}, "kitti15_split is 'both'"),
        ({"cost": "211", "scale": "G", "convention": "G"}, "convention is 'G'"),
        ({"options": "updates"}, "setting 'updates' is not key=value"),
        ({"height": "wide"}, "height is 'wide', not a whole number above 0"),
    ],
)
def test_malformed_cells(cells, message):
    with pytest.raises(InputError) as raised:
        optical_flow_row(PLACE, ROW | cells)
    assert message in str(raised.value)


def test_the_reader_imports_no_torch():
    code = "import flopcount.facts as f, sys; f.optical_flow_facts(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
