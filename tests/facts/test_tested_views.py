"""The views of published accuracies, by hand."""

import pytest

from flopcount.facts.published import published
from flopcount.facts.tested_views import tested_views as views_of
from flopcount.models import CARDS


@pytest.mark.parametrize(
    ("network", "clips", "crops", "dataset"),
    [
        ("slowfast_r50_8x8", 10, 3, "kinetics400"),  # arXiv 1812.03982: ten clips, three crops of 256
        ("x3d_m", 10, 3, "kinetics400"),
        ("tdn_r50", 10, 3, "kinetics400"),
        ("movinet_a0_stream", 1, 1, "kinetics600"),
    ],
)
def test_views_by_hand(network, clips, crops, dataset):
    tested = views_of(network)
    assert (tested.clips, tested.crops, tested.dataset) == (clips, crops, dataset)
    assert tested.url.startswith("https://")
    assert tested.words == f"{clips}×{crops}, those of its accuracy on {dataset} ({tested.source})"


@pytest.mark.parametrize("network", ["toy_3d_cnn", "cnn_lstm", "no_such_network"])
def test_a_network_that_nobody_tested_has_none(network):
    assert views_of(network) is None


def test_views_are_printed_in_the_row_that_is_named():
    found = {name: tested for name in [*CARDS][::8] if (tested := views_of(name))}
    assert len(found) > 5
    rows = {(row.clips, row.crops, row.dataset, row.source, row.url, row.locator) for row in published()}
    for tested in found.values():
        row = (tested.clips, tested.crops, tested.dataset, tested.source, tested.url, tested.locator)
        assert row in rows
        assert min(tested.clips, tested.crops) > 0
