"""Tables of layers as trees: parents hold their children, lines sum, layers stand in the order in which they run."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import flopcount
from flopcount.analysis.cost_tables import notes_of_table
from flopcount.analysis.field_table import field_table
from flopcount.core.amount import summed
from flopcount.core.layer_tree import Part, in_running_order, layer_tree
from flopcount.core.table import Table
from flopcount.output.terminal import terminal
from flopcount.publishing.cost_report import CostReport
from flopcount.publishing.interactive.model_data import layers_of
from flopcount.publishing.pages.model import model_page


class Block(nn.Module):
    """A residual block: a layer, and an addition of its own."""

    def __init__(self):
        super().__init__()
        self.second = nn.Linear(8, 8)
        self.first = nn.Linear(8, 8)

    def forward(self, x):
        return x + self.second(self.first(x))


class Net(nn.Module):
    """Defined in another order than run, with a container, layers that never run, and work outside of all children."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 3)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.auxiliary = nn.Sequential(nn.Linear(8, 3), nn.Linear(3, 3))
        self.spare = nn.Linear(8, 5)
        self.stem = nn.Sequential(nn.Linear(6, 8), nn.ReLU())

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x).sigmoid()


@pytest.fixture(scope="module")
def report():
    return flopcount.count_flops(Net(), (1, 6))


def lines(table: Table) -> list[tuple[int, str]]:
    return [(line.level, line.values[0]) for line in table.lines]


def require_sums(table: Table) -> None:
    """Lines of level 0 sum to the total, and the lines right below a line to that line."""
    counts = [place for place, column in enumerate(table.columns) if column.kind == "count"]
    assert counts
    assert table.tree

    def below(start: int, level: int) -> list[int]:
        places = []
        for place in range(start, len(table.tree)):
            if table.tree[place].level < level:
                break
            if table.tree[place].level == level:
                places.append(place)
        return places

    def require(whole, parts):
        for count in counts:
            assert sum(table.tree[part].values[count] for part in parts) == whole[count], (whole[0], count)

    require(table.total, below(0, 0))
    for place, line in enumerate(table.tree):
        parts = below(place + 1, line.level + 1)
        if parts:
            require(line.values, parts)


def test_the_tree_by_hand(report):
    assert lines(report.by_module(-1)) == [
        (0, "(Net)"),  # the sigmoid
        (0, "stem"),
        (1, "stem.0"),
        (1, "stem.1"),
        (0, "blocks.0"),  # the list of blocks does nothing itself
        (1, "(own)"),  # the addition
        (1, "blocks.0.first"),
        (1, "blocks.0.second"),
        (0, "blocks.1"),
        (1, "(own)"),
        (1, "blocks.1.first"),
        (1, "blocks.1.second"),
        (0, "head"),
        (0, "(never called)"),
    ]
    assert lines(report.by_module(1)) == [
        *((0, "(Net)"), (0, "stem"), (0, "blocks"), (0, "head")),
        (0, "(never called)"),
    ]


def test_numbers_of_a_parent_are_of_all_that_is_in_it(report):
    table = report.by_module(-1)
    macs = [column.name for column in table.columns].index("MACs")
    block = next(line.values for line in table.tree if line.values[0] == "blocks.0")
    assert block[macs] == 2 * 8 * 8
    note = next(note for note in table.notes if note.startswith("never called"))
    assert note == "never called: auxiliary (39 parameters), spare (45 parameters)"  # 8·3+3 + 3·3+3, 8·5+5


@pytest.mark.parametrize("depth", [-1, 1, 2, 3])
def test_lines_sum_to_their_parents_and_to_the_total(report, depth):
    require_sums(report.by_module(depth))
    require_sums(report.cost("t4").table("module", depth))


@pytest.mark.parametrize("depth", [-1, 1, 2])
def test_lines_of_a_training_step_sum_too(depth):
    training = flopcount.count_flops(Net(), (2, 6), mode="train", optimizer="adamw").training
    table = training.by_module(depth)
    require_sums(table)
    assert lines(table)[-1] == (0, "(optimizer)")


@pytest.mark.parametrize("name", ["slowfast_r50_8x8", "swin3d_t", "cnn_lstm", "mvit_b_16x4"])
def test_lines_of_the_zoo_sum_too(name):
    report = flopcount.count_model(name)
    for depth in (1, 2, -1):
        require_sums(report.by_module(depth))


def test_data_stay_rows_that_sum(report):
    frame = report.to_pandas()
    for quantity in ("macs", "other_flops", "params", "bytes_read"):
        assert frame[quantity].sum() == getattr(report, quantity)
    assert list(frame["layer"])[:4] == ["(Net)", "stem.0", "stem.1", "blocks.0"]
    assert {"auxiliary.0", "spare"} <= set(frame["layer"])  # data lack nothing


def test_a_called_container_has_a_line_and_an_uncalled_one_has_none(report):
    branches = list(layer_tree(in_running_order(report.modules, report.course), -1, report.course, summed))
    whole = {branch.row.path for branch in branches if branch.part is Part.WHOLE}
    assert "stem" in whole
    assert "blocks" not in whole
    assert report.course.idle == {"auxiliary", "auxiliary.0", "auxiliary.1", "spare"}


def test_a_weight_that_is_used_elsewhere_is_not_called_idle():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return torch.nn.functional.linear(x, self.layer.weight)

    report = flopcount.count_flops(Tied(), (1, 4))
    assert not report.course.idle
    assert (0, "layer") in lines(report.by_module())


def test_text_shows_levels_and_cuts_what_the_parent_says(report):
    text = str(report.by_module(-1))
    assert "\nblocks.0 " in text
    assert "\n  blocks.0.first " in text
    narrow = flopcount.count_flops(Net(), (1, 6)).by_module(-1)
    assert "\n  …second " in terminal(narrow, 40)
    assert r"\quad \ldots{}first & Linear" in report.by_module(-1).to_latex()
    assert "| &nbsp;&nbsp;…first |" in report.by_module(-1).to_markdown()
    assert "padding-left:26px" in report.by_module(-1)._repr_html_()


def test_a_line_that_has_no_number_to_show_is_not_printed():
    class Moved(nn.Module):
        def __init__(self):
            super().__init__()
            self.copy = nn.Upsample(scale_factor=2)
            self.fc = nn.Linear(8, 8)

        def forward(self, x):
            return self.fc(self.copy(x))

    table = flopcount.count_flops(Moved(), (1, 2, 4)).by_module()
    wide, narrow = terminal(table, 160), terminal(table, 60)
    moved = [line for line in table.rows if line[0] == "copy"]
    assert moved, "it moves bytes"
    assert "\ncopy" in wide
    assert "\ncopy" not in narrow


def test_pages_have_the_same_order():
    clip = flopcount.count_model("c3d", clip="16x32x32")
    shown = [line.values[0] for line in clip.by_module(-1).lines]
    page = [row.path for row in layers_of(SimpleNamespace(report=clip, form=None)) if row.path]
    fields = [row[0] for row in field_table(clip, clip.receptive_field()).rows]
    assert shown[:3] == page[:3] == ["conv1", "relu", "pool1"]
    assert page == shown
    assert [path for path in fields if path in shown] == [path for path in shown if path in fields]


def test_what_never_runs_is_named_wherever_its_line_stands(report):
    note = "never called: auxiliary (39 parameters), spare (45 parameters)"
    assert notes_of_table(report.by_module(), report) == (note,)
    assert not notes_of_table(report.by_kind(), report)
    page = model_page(
        CostReport("net", report, None, None, None, (), {"form": "not asked", "check": "not asked"}),
        "flopcount report",
        "net",
    )
    assert f"- {note}\n" in page
