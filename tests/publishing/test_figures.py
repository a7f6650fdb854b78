from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_rows import made_up

from flopcount.core.errors import InputError, UnknownNameError
from flopcount.core.protocol import Clip
from flopcount.facts.metrics import EPE
from flopcount.facts.pretraining import Pretraining
from flopcount.models import CARDS
from flopcount.publishing.comparison import Comparison
from flopcount.publishing.comparison_rows import OURS
from flopcount.publishing.figures import picture
from flopcount.publishing.figures.breakdown import BARS
from flopcount.publishing.figures.labels import Box, leader, place, trail
from flopcount.publishing.figures.themes import STYLES
from flopcount.report import count_model

matplotlib.use("agg")

ROWS = tuple(
    made_up(f"network_{i}", macs * 10**9, 70.0 + i % 4, views=1 + i % 3, params=10**7 * (1 + i))
    for i, macs in enumerate((2, 3, 4, 5, 40, 44, 45, 46, 47, 50))
)
COMPARISON = Comparison("kinetics400", ROWS, ())


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


SPOTS = st.tuples(st.floats(0, 600), st.floats(0, 400))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(SPOTS, st.floats(1, 15), st.floats(10, 90)), max_size=15))
def test_labels_cover_neither_each_other_nor_points_nor_lines(given_points):
    points = [spot for spot, _, _ in given_points]
    radii = [radius for _, radius, _ in given_points]
    sizes = [(width, 10.0) for _, _, width in given_points]
    bounds, line = Box(0, 0, 600, 400), trail((0, 200), (600, 210))
    boxes = place(points, radii, sizes, bounds, line)
    found = [box for box in boxes if box]
    for i, box in enumerate(found):
        assert box.within(bounds)
        assert not any(box.overlaps(other) for other in found[i + 1 :] + line)
        for (x, y), radius in zip(points, radii, strict=True):
            assert not box.overlaps(Box(x - radius, y - radius, x + radius, y + radius))
    lines = [leader(*p, box) for *p, box in zip(points, radii, boxes, strict=True) if box]
    for ends, own in zip(lines, found, strict=True):
        dots = trail(*ends) if ends else []
        assert not any(dot.overlaps(box) for dot in dots for box in found if box is not own)


def test_a_label_without_room_is_left_out():
    assert place([(5, 5)], [1], [(50, 10)], Box(0, 0, 20, 20)) == [None]
    assert place([(50, 50)], [1], [(50, 10)], Box(0, 0, 100, 100)) != [None]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("per", ["view", "video"])
def test_labels_of_a_chart_do_not_collide(per, dark):
    ax = COMPARISON.plot(per, dark=dark)
    ax.get_figure().canvas.draw()
    labels = [text for text in ax.texts if text.get_text()]
    assert {label.get_text() for label in labels} == {row.name for row in ROWS}
    extents = [label.get_window_extent() for label in labels]
    boxes = [Box(extent.x0, extent.y0, extent.x1, extent.y1) for extent in extents]
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[i + 1 :])


def test_axes_say_what_they_are_and_the_upper_one_is_twice_the_lower():
    ax = COMPARISON.plot()
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "GMACs per view (papers' GFLOPs)"
    assert ax.get_ylabel() == "top-1 on kinetics400 (%), as printed"
    (upper,) = ax.child_axes
    ax.get_figure().canvas.draw()
    assert upper.get_xlabel() == "GFLOPs per view = 2 × GMACs"
    assert upper.get_xlim() == pytest.approx([2 * limit for limit in ax.get_xlim()])


@pytest.mark.parametrize("per", ["view", "video"])
def test_points_are_the_rows(per):
    ax = COMPARISON.plot(per)
    points = [dots for dots in ax.collections if str(dots.get_gid()).startswith("point ")]
    drawn = [tuple(spot) for dots in points for spot in dots.get_offsets()]
    assert drawn == [(row.cost(per) / 10**9, row.score) for row in ROWS]
    areas = [dots.get_sizes()[0] for dots in points]
    assert areas == sorted(areas)  # parameters grow along ROWS
    assert len(set(areas)) == len(ROWS)


def test_a_name_without_room_is_said_below_the_chart():
    crowd = tuple(made_up(f"network_{i:03}", 10**9, 70.0, params=10**6) for i in range(90))
    ax = Comparison("kinetics400", crowd, ()).plot()
    named = {text.get_text() for text in ax.texts if str(text.get_gid()).startswith("label ")}
    (below,) = (text.get_text() for text in ax.texts if text.get_gid() == "unnamed")
    assert below.startswith("no room for the names of: network_")
    unnamed = set(below.partition(": ")[2].replace("\n", " ").split("; "))
    assert named | unnamed == {row.name for row in crowd}
    assert not named & unnamed
    figure = ax.get_figure()
    figure.canvas.draw()
    (caption,) = (text for text in ax.texts if text.get_gid() == "unnamed")
    assert caption.get_window_extent().y0 >= 0  # the chart made room for it


KINDS = (
    replace(made_up("scratch", 10**9, 60.0), pretrain="none"),
    replace(made_up("cheap", 2 * 10**9, 70.0), pretrain="imagenet1k"),
    replace(made_up("good", 4 * 10**9, 75.0), pretrain="imagenet21k"),
    replace(made_up("beaten", 5 * 10**9, 72.0), pretrain="imagenet1k"),
    replace(made_up("more", 10**9, 80.0), pretrain="jft300m"),
)


def test_each_kind_of_pretraining_has_a_mark_and_a_front():
    ax = Comparison("kinetics400", KINDS, ()).plot()
    lines = {line.get_linestyle(): list(line.get_xdata()) for line in ax.lines if not line.get_gid()}
    assert lines == {":": [1.0], "--": [2.0, 4.0], "-": [1.0]}
    words = [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]
    for kind in ("from scratch", "ImageNet", "more data or self-supervised"):
        assert f"pre-training: {kind}" in words
    handles = {line.get_label().replace("\n", " "): line for line in ax.get_legend().get_lines()}
    assert [handles[f"pre-training: {kind}"].get_linestyle() for kind in ("from scratch", "ImageNet")] == [":", "--"]
    assert "line: front of its kind" in words
    hollow, half, full = (
        next(dots for dots in ax.collections if dots.get_gid() == f"point {name}")
        for name in ("scratch", "good", "more")
    )
    assert tuple(hollow.get_facecolor()[0][:3]) == tuple(half.get_facecolor()[0][:3]) == (1, 1, 1)
    assert tuple(full.get_facecolor()[0][:3]) != (1, 1, 1)


def test_less_is_better_on_a_turned_axis():
    rows = (made_up("rough", 10**9, 5.0), made_up("fine", 2 * 10**9, 2.0), made_up("worse", 3 * 10**9, 3.0))
    comparison = Comparison("sintel_final", rows, (), metric=EPE)
    assert [row.name for row in comparison.fronts()[Pretraining.SCRATCH]] == ["rough", "fine"]
    ax = comparison.plot()
    assert ax.yaxis_inverted()
    assert ax.get_ylabel() == "end-point error on sintel_final (px), as printed"


def test_ax_is_used_and_per_checked():
    ax = plt.subplots()[1]
    assert COMPARISON.plot(ax=ax) is ax
    with pytest.raises(UnknownNameError, match="choose view or video"):
        COMPARISON.plot("clip")


def test_every_family_has_a_colour_and_a_marker_of_its_own():
    assert {card.family for card in CARDS.values()} | {OURS} <= set(STYLES)
    for part in zip(*STYLES.values(), strict=True):
        assert len(set(part)) == len(STYLES)


@pytest.mark.slow
@pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_the_same_every_time(form, start):
    first, second = picture(COMPARISON.plot, form), picture(COMPARISON.plot, form)
    assert first.startswith(start)
    assert first == second
    assert not plt.get_fignums()


def test_a_picture_has_a_known_format():
    with pytest.raises(UnknownNameError, match="choose png, svg, pdf"):
        picture(COMPARISON.plot, "gif")


def test_breakdown_shows_every_mac():
    report = count_model("c3d")
    ax = report.plot()
    widths = [bar.get_width() for bar in ax.patches]
    layers = {row.path: row.cost.macs for row in report.modules if row.path and row.cost.macs}
    assert dict(zip([t.get_text() for t in ax.get_yticklabels()], widths, strict=True)) == {
        path: macs / 10**9 for path, macs in layers.items()
    }
    own = plt.subplots()[1]
    assert report.plot("kind", own) is own
    assert sum(bar.get_width() for bar in own.patches) == pytest.approx(report.macs / 10**9)
    assert own.get_title() == "C3D on 16×112×112: 38.5 GMACs by kind"


def test_breakdown_of_many_layers_gathers_the_cheapest():
    report = count_model("r3d_18", clip=Clip(4, 32, 32))
    ax = report.plot(depth=-1)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert len(names) == BARS + 1
    assert names[-1].endswith(" others")
    assert ax.get_xlabel().startswith("MMACs")
    assert sum(bar.get_width() for bar in ax.patches) == pytest.approx(report.macs / 10**6)


def test_breakdown_of_nothing():
    with pytest.raises(InputError, match="optical_flow_tvl1 has no contraction to draw"):
        count_model("optical_flow_tvl1").plot()
