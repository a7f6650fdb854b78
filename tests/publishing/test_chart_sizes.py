"""Every chart at every width: type that can be read, nothing cut off, numbers on the axes, marks that print in grey."""

from functools import cache, partial
from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import pytest
from made_up_rows import made_up
from matplotlib.colors import to_rgb
from torch import nn

from flopcount.analysis.memory_profile import memory_profiles
from flopcount.analysis.sweep_rows import build_of_zoo
from flopcount.commands.pictures import Width
from flopcount.core.errors import UnknownNameError
from flopcount.publishing.chart_size import CHART_SIZES, chart_size
from flopcount.publishing.comparison import Comparison
from flopcount.publishing.figures import (
    breakdown,
    memory_curve,
    picture,
    scatter,
    span_timeline,
    sweep_lines,
    time_bars,
)
from flopcount.publishing.figures.bubbles import MOST_PARAMS, across, ink, legend_params
from flopcount.publishing.figures.labels import Box, trail
from flopcount.publishing.figures.themes import DARK, LIGHT, STYLES
from flopcount.publishing.figures.ticks import OneTwoFive, log_ticks
from flopcount.publishing.sweep import sweep
from flopcount.report import count_flops, count_model

matplotlib.use("agg")

LEAST = 6  # points: what a journal prints legibly
ROWS = tuple(
    made_up(f"network_{i}", macs * 10**9, 70.0 + i % 4, views=1 + i % 3, params=10**7 * (1 + i))
    for i, macs in enumerate((2, 3, 4, 5, 40, 44, 45, 46, 47, 50))
)
COMPARISON = Comparison("kinetics400", ROWS, ())


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@cache
def report():
    return count_model("toy_3d_cnn", clip=(4, 16, 16)).with_dataflow()


class LongNames(nn.Module):
    """Names that no chart has room for, and that differ in one number alone."""

    def __init__(self):
        super().__init__()
        names = [f"residual_stage_of_a_network_with_long_names_{i}" for i in range(3)]
        self.all_the_stages_of_a_network = nn.ModuleDict({name: nn.Conv3d(3, 3, 3, padding=1) for name in names})

    def forward(self, x):
        for stage in self.all_the_stages_of_a_network.values():
            x = stage(x)
        return x


@cache
def long_names():
    return count_flops(LongNames(), (1, 3, 4, 16, 16)).with_dataflow()


@cache
def swept():
    grid = {"model": ["toy_3d_cnn", "toy_late_fusion"], "frames": [2, 4], "size": [16, 32]}
    return sweep(build_of_zoo, grid)


CHARTS = {
    "scatter": lambda width: scatter(COMPARISON, width=width),
    "breakdown": lambda width: breakdown(report(), width=width),
    "sweep": lambda width: sweep_lines(swept(), "frames", width=width),
    "time": lambda width: time_bars(report().cost("t4"), width=width),
    "span": lambda width: span_timeline(report().span, width=width),
    "memory": lambda width: memory_curve(memory_profiles(report()), width=width),
    "breakdown, long names": lambda width: breakdown(long_names(), width=width),
    "time, long names": lambda width: time_bars(long_names().cost("t4"), width=width),
    "span, long names": lambda width: span_timeline(long_names().span, width=width),
    "memory, long names": lambda width: memory_curve(memory_profiles(long_names()), width=width),
}


def drawn_texts(figure):
    """All words of a figure; matplotlib keeps those of ticks outside the axes too."""
    for ax in [*figure.axes, *(child for parent in figure.axes for child in parent.child_axes)]:
        yield from (*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label)
        legends = [*figure.legends, *filter(None, [ax.get_legend()])]
        yield from (text for legend in legends for text in legend.get_texts())
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            labels = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            yield from (label for place, label in labels if low <= place <= high)


@pytest.mark.parametrize(
    "width", ["3.3in", "slide", *(pytest.param(w, marks=pytest.mark.slow) for w in ("7in", "page"))]
)
@pytest.mark.parametrize("chart", CHARTS)
def test_type_can_be_read_and_nothing_is_cut_off(chart, width):
    size = chart_size(width)
    figure = CHARTS[chart](width).get_figure(root=True)
    figure.canvas.draw()
    assert figure.get_figwidth() == size.width
    assert size.height in (None, figure.get_figheight())
    texts = [text for text in drawn_texts(figure) if text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= LEAST
    assert max(text.get_fontsize() for text in texts) == size.text
    edge = Box(-1, -1, figure.bbox.width + 1, figure.bbox.height + 1)
    for text in texts:
        extent = text.get_window_extent()
        assert Box(extent.x0, extent.y0, extent.x1, extent.y1).within(edge), text


def test_commands_offer_these_widths():
    assert [width.value for width in Width] == list(CHART_SIZES)
    with pytest.raises(UnknownNameError, match=r"choose 3\.3in, 7in, slide, page"):
        COMPARISON.plot(width="4in")


def test_a_png_has_the_dots_of_its_width():
    content = picture(partial(breakdown, report(), width="3.3in"), "png", "3.3in")
    assert int.from_bytes(content[16:20], "big") == 3.3 * 300  # the width in the header


# Ticks


@pytest.mark.parametrize(
    ("least", "most", "ticks"),
    [
        (0.8, 30, [1, 2, 5, 10, 20]),
        (3, 700, [5, 10, 20, 50, 100, 200, 500]),
        (4.2, 4.9, [4.2, 4.4, 4.6, 4.8]),
    ],
)
def test_ticks_are_at_one_two_and_five(least, most, ticks):
    assert OneTwoFive().tick_values(least, most) == pytest.approx(ticks)


@pytest.mark.parametrize(("width", "every"), [(12.0, True), (4.0, False)])
def test_numbers_stand_clear_of_each_other(width, every):
    figure, ax = plt.subplots(figsize=(width, 2))
    ax.set_xscale("log")
    ax.set_xlim(0.8, 30_000)
    log_ticks(ax.xaxis)
    figure.canvas.draw()
    shown = [label for label in ax.get_xticklabels() if label.get_text()]
    extents = [label.get_window_extent() for label in shown]
    assert all(left.x1 < right.x0 for left, right in pairwise(extents))
    texts = [label.get_text() for label in shown]
    assert (
        texts
        == ("1 2 5 10 20 50 100 200 500 1,000 2,000 5,000 10,000 20,000" if every else "1 10 100 1,000 10,000").split()
    )
    assert not any(label.get_text() for label in ax.get_xticklabels(minor=True))
    assert len(ax.get_xticks()) == 14  # those without a number stay


# Marks


def grey(colour):
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_2d_and_3d_cnns_differ_in_grey_and_in_shape(theme):
    flat, deep = STYLES["2D CNN"], STYLES["3D CNN"]
    assert flat[2] != deep[2]
    assert abs(grey(flat[theme.dark]) - grey(deep[theme.dark])) > 0.2
    for style in (flat, deep):
        assert abs(grey(style[theme.dark]) - grey(theme.ground)) > 0.2


@pytest.mark.parametrize("size", CHART_SIZES.values(), ids=str)
def test_bubbles_have_the_ink_of_their_parameters_whatever_their_shape(size):
    for params in (0, 10**6, 10**8, MOST_PARAMS, 10**11):
        square, circle = across(params, "s", size), across(params, "o", size)
        assert square**2 == pytest.approx(ink(params, size))
        assert 3.14159 / 4 * circle**2 == pytest.approx(ink(params, size), rel=0.01)
    assert ink(10**11, size) == ink(MOST_PARAMS, size) == size.most_area
    assert ink(2 * 10**8, size) - ink(10**8, size) == pytest.approx(ink(10**8, size) - ink(0, size))


def test_the_legend_has_the_bubbles_of_its_chart():
    ax = COMPARISON.plot(width="7in")
    (legend,) = ax.get_figure().legends
    size = chart_size("7in")
    drawn = {text.get_text(): line for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)}
    assert drawn["30 M parameters"].get_markersize() == across(30 * 10**6, "o", size)
    points = {dots.get_gid(): dots for dots in ax.collections}
    assert points["point network_2"].get_sizes()[0] == pytest.approx(drawn["30 M parameters"].get_markersize() ** 2)
    assert "300 M parameters or more" in [text for _, text in legend_params([10**8, 10**9])]
    assert "300 M parameters" in [text for _, text in legend_params([10**8, MOST_PARAMS])]


# Names


def test_lines_to_names_cross_no_other_marker_and_no_name():
    rows = tuple(made_up(f"network number {i}", (10 + i % 9) * 10**9, 70 + (i * 7 % 10) / 5) for i in range(24))
    ax = Comparison("kinetics400", rows, ()).plot(width="3.3in")
    figure = ax.get_figure()
    figure.canvas.draw()
    leaders = {line.get_gid().removeprefix("leader "): line for line in ax.lines if line.get_gid()}
    names = {text.get_gid().removeprefix("label "): text for text in ax.texts if text.get_gid() != "unnamed"}
    assert leaders
    radius = across(1000, STYLES["3D CNN"][2], chart_size("3.3in")) / 2 * figure.dpi / 72
    centres = {row.name: ax.transData.transform((row.macs / 10**9, row.score)) for row in rows}
    for name, line in leaders.items():
        dots = trail(*ax.transData.transform(line.get_xydata()))
        others = [
            Box(x - radius, y - radius, x + radius, y + radius) for other, (x, y) in centres.items() if other != name
        ]
        extents = [text.get_window_extent() for other, text in names.items() if other != name]
        others += [Box(e.x0 + 1, e.y0 + 1, e.x1 - 1, e.y1 - 1) for e in extents]
        middles = [Box((d.left + d.right) / 2, (d.bottom + d.top) / 2, d.right - 1, d.top - 1) for d in dots]
        assert not any(dot.overlaps(other) for dot in middles for other in others), name


def test_a_small_chart_says_how_many_more_names_have_no_room():
    crowd = tuple(made_up(f"network_{i:03}", 10**9, 70.0, params=10**6) for i in range(50))
    ax = Comparison("kinetics400", crowd, ()).plot(width="3.3in")
    named = sum(str(text.get_gid()).startswith("label ") for text in ax.texts)
    (caption,) = (text.get_text() for text in ax.texts if text.get_gid() == "unnamed")
    said, _, more = caption.replace("\n", " ").partition(" and ")
    assert named + len(said.partition(": ")[2].split("; ")) + int(more.split()[0]) == len(crowd)
    assert more.endswith("more, which the table has")
