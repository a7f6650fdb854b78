"""The time on a device on a report's pages: as counted, interpolated under the sliders, and in the chart."""

import base64
import json
import random
from dataclasses import replace
from itertools import product

import pytest
from made_up_rows import made_up
from typer.testing import CliRunner

from flopcount import Setting, count_model
from flopcount.cli import app
from flopcount.core.model_spec import ModelSpec
from flopcount.core.pricing import Times
from flopcount.core.protocol import Clip, Protocol, Views
from flopcount.core.units import joules, money, si
from flopcount.publishing.comparison import Comparison
from flopcount.publishing.cost_report import cost_report
from flopcount.publishing.interactive import page
from flopcount.publishing.interactive.model_data import model_data
from flopcount.publishing.interactive.scripts import one_script
from flopcount.publishing.interactive.template import asset
from flopcount.publishing.pages.model import model_page
from flopcount.publishing.time_grid import Curve, TimeGrid, _not_negative, _sizes
from flopcount.symbolic.form import Domain

ON = Setting.of("t4")
NAMES = ("bound", "estimate", "low", "high")
STEM = "flopcount report toy_3d_cnn"


@pytest.fixture(scope="module")
def cost():
    spec = ModelSpec("toy_3d_cnn", Clip(8, 64, 64))
    return cost_report(spec, Protocol(Views(10, 3)), with_check=False, on=ON)


def counted(sizes):
    report = count_model("toy_3d_cnn", clip=(sizes["T"], sizes["H"], sizes["W"]))
    return report.cost("t4").times, report.total


def points(grid):
    return [dict(zip(grid.axes, point, strict=True)) for point in product(*grid.sizes)]


# The grid


def test_a_point_of_the_grid_has_the_time_of_its_count(cost):
    grid = cost.grid
    assert grid.axes == ("T", "H", "W")
    assert grid.counted == len(points(grid)) == 4 * 3 * 3
    assert {"T": 8, "H": 64, "W": 64} in points(grid)
    for sizes in points(grid)[::5]:
        times, total = counted(sizes)
        for name in NAMES:
            assert getattr(grid.at(sizes, total), name) == pytest.approx(getattr(times, name), rel=1e-12)


def test_between_the_points_it_is_a_few_percent_off_at_most(cost):
    draw = random.Random(1)
    for _ in range(12):
        sizes = {axis: draw.randint(along[0], along[-1]) for axis, along in zip(cost.grid.axes, cost.grid.sizes)}  # noqa: B905
        times, total = counted(sizes)
        found = cost.grid.at(sizes, total)
        for name in NAMES:
            assert getattr(found, name) == pytest.approx(getattr(times, name), rel=0.05)
        assert found.bound <= found.estimate
        assert found.low <= found.estimate <= found.high


def test_clips_that_it_does_not_use_say_how_far_off_it_is(cost):
    assert cost.grid.checked == 4
    assert 0 < cost.grid.error < 0.05
    assert cost.grid.counted + cost.grid.checked <= 40
    words = "interpolated between 36 counts, along the exact MACs and bytes; at 4 clips between them at most"
    assert cost.grid.words.startswith(words)


@pytest.mark.parametrize(
    ("domain", "number", "sizes"),
    [
        (Domain("T", 16, 1), 4, (1, 4, 16, 64)),  # the base, both ends, and the middle of the widest gap
        (Domain("T", 16, 16), 4, (16, 23, 32, 64)),
        (Domain("T", 32, 8, 8), 4, (8, 16, 32, 128)),  # in the slider's steps
        (Domain("T", 1, 1), 6, (1, 2, 3, 4)),  # there are no more
    ],
)
def test_the_sizes_of_a_grid(domain, number, sizes):
    assert _sizes(domain, number) == sizes


def test_a_grid_by_hand():
    curve = Curve((2.0, 0.5), (0.0, 1.0))
    grid = TimeGrid(("T",), ((4, 16),), (("macs",),), dict.fromkeys(NAMES, curve), 0, 0.0)
    total = count_model("toy_3d_cnn", clip=(8, 64, 64)).total
    fit = 2.0 + 0.5 * total.macs
    half = grid.at({"T": 8}, total).estimate  # 8 is the middle of 4 and 16 in logarithms
    assert half == pytest.approx(fit * 2.718281828459045**0.5)
    assert grid.at({"T": 4}, total).estimate == fit


def test_a_grid_without_a_closed_form_to_follow_says_no_more_than_it_does():
    grid = TimeGrid(("T",), ((4, 16),), (), {}, 1, 0.38)
    assert grid.words == "interpolated between 2 counts; at 1 clips between them at most 38 % off"


def test_weights_are_never_negative():
    import numpy as np

    columns = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 4.0]])
    assert _not_negative(columns) == pytest.approx([1.0, 0.0])
    sloped = columns / np.array([3.0, 5.0, 9.0])[:, None]  # 1 + 2 x, in relative terms
    assert _not_negative(sloped) == pytest.approx([1.0, 2.0])
    falling = columns / np.array([3.0, 2.0, 1.0])[:, None]  # which no weights without a minus can follow
    assert (_not_negative(falling) >= 0).all()


# The page with scripts


def test_the_script_computes_what_python_does(chromium, cost):
    draw = random.Random(2)
    data, script = model_data(cost)["timing"], base64.b64encode(one_script("timing", asset).encode()).decode()
    expected, asked = [], []
    for index in range(200):
        sizes = {axis: draw.randint(along[0], along[-1]) for axis, along in zip(cost.grid.axes, cost.grid.sizes)}  # noqa: B905
        sizes = points(cost.grid)[index % cost.grid.counted] if index < 36 else sizes
        total = {name: draw.randrange(10**10) for name in ("macs", "bytes_read", "bytes_written")}
        asked.append([sizes, {name: str(amount) for name, amount in total.items()}])
        expected.append(cost.grid.at(sizes, total))
    with chromium.new_context() as context:
        seen = context.new_page().evaluate(
            """async ([script, data, asked]) => {
                const bytes = Uint8Array.from(atob(script), (letter) => letter.charCodeAt(0));
                const { Timing } = new Function(`${new TextDecoder().decode(bytes)}; return $timing;`)();
                const timing = new Timing(data);
                return asked.map(([sizes, totals]) => timing.at(sizes, Object.fromEntries(
                    Object.entries(totals).map(([key, amount]) => [key, BigInt(amount)])), false));
            }""",
            [script, json.loads(json.dumps(data)), asked],
        )
    for found, times in zip(seen, expected, strict=True):
        assert [found[name] for name in NAMES] == pytest.approx([getattr(times, name) for name in NAMES], rel=1e-9)


def expect(locator):
    from playwright.sync_api import expect as expected

    return expected(locator)


@pytest.fixture
def opened(chromium, tmp_path):
    contexts = []

    def open_(text):
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        contexts.append(context)
        tab = context.new_page()
        wrong = []
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.set_default_timeout(120_000)
        tab.goto((tmp_path / "page.html").as_uri())
        tab.wait_for_selector("html[data-drawn=yes]")
        assert wrong == []
        return tab

    yield open_
    for context in contexts:
        context.close()


def shown(tab):
    rows = tab.locator("[data-timing]").all()
    return {row.get_attribute("data-timing"): row.locator("b").all_inner_texts() for row in rows}


def written(times, views):
    return {
        "estimate": [si(t.estimate, "s") for t in (times, times.scaled(views))],
        "range": [t.span for t in (times, times.scaled(views))],
        "bound": [si(t.bound, "s") for t in (times, times.scaled(views))],
    }


def test_the_sliders_move_the_time(opened, cost):
    tab = opened(page([cost], None, STEM))
    basis = tab.locator(".timing .basis")
    assert shown(tab) == written(cost.cost.times, 30)
    assert basis.inner_text() == "as counted"
    slider = tab.locator(".slider[data-name=T] input[type=range]")
    for _ in range(3):
        slider.press("ArrowRight")
    sizes = {"T": 11, "H": 64, "W": 64}
    assert shown(tab) == written(cost.grid.at(sizes, counted(sizes)[1]), 30)
    assert basis.inner_text() == "interpolated between 36 counts"
    slider.fill(str(cost.grid.sizes[0][-1]))  # a point of the grid
    sizes["T"] = cost.grid.sizes[0][-1]
    assert shown(tab) == written(counted(sizes)[0], 30)
    tab.locator(".slider[data-name=clips] input[type=range]").press("ArrowLeft")
    assert shown(tab) == written(counted(sizes)[0], 27)
    tab.locator("button[type=reset]").click()
    expect(basis).to_have_text("as counted")
    assert shown(tab) == written(cost.cost.times, 30)


def test_a_page_says_it_without_its_scripts_and_what_it_rests_on(cost):
    text = page([cost], None, STEM)
    assert "Time on t4, fp32, eager, nchw" in text
    assert "basis: zero-shot" in text
    assert cost.grid.words in text
    assert si(cost.cost.estimate * 30, "s") in text


def test_without_a_grid_the_time_is_that_of_the_count_alone(opened, cost):
    alone = replace(cost, grid=None, missing={"grid": "the model refuses a clip"})
    text = page([alone], None, STEM)
    assert "It is known as counted alone: the model refuses a clip." in text
    tab = opened(text)
    tab.locator(".slider[data-name=T] input[type=range]").press("ArrowRight")
    assert tab.locator(".timing .basis").inner_text() == "not known here"
    assert shown(tab)["estimate"] == ["–", "–"]


def test_without_a_device_a_page_has_no_time(cost):
    plain = cost_report(ModelSpec("toy_3d_cnn", Clip(8, 64, 64)), with_check=False)
    assert plain.cost is None
    assert "data-timing=" not in page([plain], None, STEM)
    assert "## Time" not in model_page(plain, STEM, "toy_3d_cnn")


def timed(name, macs, top1, ms):
    return replace(made_up(name, macs, top1, 2), times=Times(0.1e-3 * ms, 1e-3 * ms, 0.8e-3 * ms, 1.5e-3 * ms))


def test_the_chart_has_time_as_a_third_choice(opened):
    rows = (timed("a", 10**9, 70.0, 4.0), timed("b", 2 * 10**9, 75.0, 2.0), made_up("c", 3 * 10**9, 80.0))
    tab = opened(page([], Comparison("kinetics400", rows, (), "t4, fp32, eager, nchw"), STEM))
    marks = tab.locator(".comparison path.point")
    assert marks.count() == 3
    tab.locator("select.per").select_option("time")
    expect(marks).to_have_count(2)
    assert marks.first.get_attribute("aria-label") == "a, 70 % top-1, 8.00 ms per video, 6.40 ms to 12.0 ms"
    assert tab.locator(".comparison path.xerror").count() == 2
    assert tab.locator(".xtitle").text_content() == "ms per video, estimated on t4, fp32, eager, nchw"
    tab.locator("select.per").select_option("view")
    expect(marks).to_have_count(3)
    none = page([], Comparison("kinetics400", rows[2:], (), "t4, fp32, eager, nchw"), STEM)
    assert '<option value="time">' not in none


# The page in markdown, and the command


def test_the_page_in_markdown(cost):
    text = model_page(cost, STEM, "toy_3d_cnn")
    times, video = cost.cost.times, cost.cost.times.scaled(30)
    assert "## Time on t4, fp32, eager, nchw" in text
    for name, run in (("one pass", times), ("a video, 10×3 = 30 views", video)):
        cells = " | ".join(si(seconds, "s") for seconds in (run.estimate, run.low, run.high, run.bound))
        assert f"| {name} | {cells} |" in text
    assert "basis: zero-shot" in text


def test_both_pages_have_the_energy_and_the_money_that_a_price_is_of():
    setting = Setting.named("t4", price="0.36EUR")  # 10^-4 EUR per second
    priced = cost_report(ModelSpec("toy_3d_cnn", Clip(8, 64, 64)), Protocol(Views(10, 3)), with_check=False, on=setting)
    video = priced.cost.per_video()
    energy, amount = joules(video.energy.mid), money(video.estimate * 1e-4, "EUR")
    for text in (model_page(priced, STEM, "toy_3d_cnn"), page([priced], None, STEM)):
        assert f"{video.range_text}, {energy}, {amount}" in text
        assert "GPU board only" in text
        assert "0.36 EUR per hour: given by the caller" in text


def test_the_command(tmp_path):
    words = ["report", "toy_3d_cnn", "--clip", "8x64x64", "--on", "t4", "--dtype", "amp", "--no-check"]
    result = CliRunner().invoke(app, [*words, "--format", "html", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    text = (tmp_path / "index.html").read_text()
    assert "Time on t4, amp, eager, nchw" in text
    assert "flopcount report toy_3d_cnn --clip 8x64x64 --dtype amp --on t4 --no-check --format html --out DIR" in text
    refused = CliRunner().invoke(app, [*words[:5], "t4,l4", "--out", str(tmp_path)])
    assert refused.exit_code == 2
    assert "--on names 2 devices: a page is of one" in refused.stderr
