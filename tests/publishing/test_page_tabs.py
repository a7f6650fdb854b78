"""The tabs of the page, what its sliders take, the link that shows the same view, and who can use it."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_rows import made_up
from torch import nn

from flopcount import Setting, count_flops, count_model
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Clip, Protocol, Views
from flopcount.core.units import exact, si
from flopcount.count import count_named
from flopcount.publishing.comparison import Comparison
from flopcount.publishing.cost_report import cost_report
from flopcount.publishing.interactive import page
from flopcount.publishing.interactive.page_table import Shown, page_table
from flopcount.publishing.interactive.sections import model_section
from flopcount.publishing.interactive.side_by_side import side_by_side_table
from flopcount.publishing.interactive.tabs import paper_depth
from flopcount.publishing.interactive.template import asset
from flopcount.publishing.readings import readings_of
from flopcount.verification import verify_published

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
COMMAND = "flopcount report toy_3d_cnn toy_late_fusion --format html --out DIR"
NAMES = ("toy_3d_cnn", "toy_late_fusion")
CLIP = Clip(8, 16, 16)
ROWS = tuple(
    replace(
        made_up(f"net{n}", n * 10**9, 70.0 + n, views=30),
        family="3D CNN",
        url=f"https://example.org/{n}",
        source="A long name of a source, as sources have them",
    )
    for n in range(1, 4)
)
COMPARISON = Comparison("kinetics400", ROWS, ())
SERIOUS = ("serious", "critical")
PARTS = ["cost", "time", "training", "memory", "span", "field"]


@pytest.fixture(scope="module")
def costs():
    spec, protocol = ModelSpec(NAMES[0], CLIP), Protocol(Views(10, 1))
    first = cost_report(spec, protocol, with_check=False, with_readings=True)
    priced = Setting.of("t4").cost(count_named(spec, protocol, dataflow=True, saving=False))
    first = replace(first, cost=priced, report=priced.result)  # whose time the sliders do not move, which is quicker
    return [first, cost_report(ModelSpec(NAMES[1], CLIP), with_check=False)]


@pytest.fixture(scope="module")
def text(costs):
    return page(costs, COMPARISON, COMMAND)


def bare(text):
    return re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.DOTALL)


# What a page says without its scripts


def test_a_tab_has_the_numbers_of_its_command(costs, text):
    readings, shown = costs[0].readings, bare(text)
    trained = count_model(NAMES[0], clip=CLIP, mode="train", optimizer="adamw").training
    assert readings.training.total == trained.total
    assert f"<dd>{si(trained.total.macs, 'MACs')}</dd>" in shown
    usage = count_model(NAMES[0], clip=CLIP).memory
    assert (readings.memory.inference, readings.memory.step()) == (usage.inference, usage.step())
    assert f"<dd>{si(usage.step(), 'B')}</dd>" in shown
    assert f"<dd>{si(readings.span.parallelism)}</dd>" in shown
    fields = count_model(NAMES[0], clip=CLIP).receptive_field()
    assert readings.fields == fields
    assert all(f">{of_module[0]}<" in shown for of_module in fields.values())
    assert costs[0].cost.times.span in shown


def test_bars_are_shares_of_one_whole(costs):
    tabs = {tab.key: tab for tab in model_section(costs[0], 2)["tabs"]}
    for key in ("time", "training", "memory"):
        ends = [float(bar.parts[-1].start) + float(bar.parts[-1].width) for bar in tabs[key].bars]
        assert max(ends) == pytest.approx(100, abs=0.01)
    forward, step = tabs["training"].bars
    training = costs[0].readings.training
    share = 100 * training.forward.macs / training.total.macs
    assert float(forward.parts[0].width) == float(step.parts[0].width) == pytest.approx(share, abs=0.001)


def test_what_cannot_be_had_says_why(costs, text):
    assert "Not known: no device was named" in bare(text)
    assert "Not known: it was not asked for." in bare(text)
    missing = replace(costs[0].readings, training=None, missing={"training": "nothing <requires> a gradient"})
    refused = bare(page([replace(costs[0], readings=missing)], None, COMMAND))
    assert "Not known: nothing &lt;requires&gt; a gradient." in refused


def test_paper_has_fewer_levels_where_rows_are_many(costs):
    assert paper_depth(costs[0].report) == 2
    assert paper_depth(count_flops(nn.Sequential(*(nn.Linear(2, 2) for _ in range(40))), (1, 2))) == 0
    nested = nn.Sequential(*(nn.Sequential(*(nn.Linear(2, 2) for _ in range(9))) for _ in range(4)))
    report = count_flops(nested, (1, 2))
    assert paper_depth(report) == 1
    (span,) = (tab for tab in model_section(replace(costs[0], report=report), 2)["tabs"] if tab.key == "span")
    screen, paper = span.tables
    assert (screen["where"], paper["where"]) == ("unprinted", "printed")
    assert paper["title"].endswith("on paper down to depth 1")


def test_a_reading_that_fails_leaves_the_others():
    readings = readings_of(ModelSpec("toy_lstm_of_vectors:none", CLIP))
    assert (readings.training, readings.memory, readings.span, readings.fields) == (None, None, None, None)
    assert set(readings.missing) == {"memory", "span", "training", "receptive field"}


def test_networks_stand_side_by_side(costs):
    table = side_by_side_table(costs)
    rows = [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]
    assert [row["MACs"] for row in rows] == [cost.report.macs for cost in costs]
    assert rows[0]["MACs per video"] == 10 * costs[0].report.macs
    assert rows[0]["MACs of a training step"] == costs[0].readings.training.total.macs
    assert rows[1]["MACs of a training step"] == ""  # unknown, and no zero
    assert rows[1]["time"] == ""


def test_headings_are_words(costs):
    printed = verify_published(network="c3d")
    section = model_section(replace(costs[1], verdicts=printed), 2)
    headings = [[name for name, _ in table["columns"]] for table in section["papers"]]
    assert "verdict on cost" in headings[0]
    assert "verdict on parameters" in headings[1]
    assert all(names[-1] == "source" for names in headings)
    rows = [row for table in section["papers"] for row in table["rows"]]
    assert len(rows) == sum(bool(v.cost) + bool(v.params) for v in printed)
    assert all(row[-1].url.startswith("https://") for row in rows)


def test_the_check_says_at_which_clip_it_ran_and_why():
    run = cost_report(ModelSpec("toy_3d_cnn", CLIP))
    words = model_section(run, 2)["check_words"]
    assert f"on {run.check_clip} and not on 8×16×16: other counters run the network for real" in words
    assert si(run.check.report.macs, "MACs") in words
    assert words.endswith("Every difference is explained.")
    same = model_section(replace(run, check_clip=CLIP), 2)["check_words"]
    assert "on 8×16×16, the clip of this page." in same
    columns = [name for name, _ in model_section(run, 2)["check"]["columns"]]
    assert columns[:2] == ["layer", "MACs by flopcount"]
    assert columns[-1] == "verdict on the difference"


def test_a_small_line_of_a_cell_has_other_columns(costs):
    table = side_by_side_table(costs)
    shown = page_table(table, [Shown("network", "name", "{views} views"), Shown("no such column"), Shown("time")])
    assert [name for name, _ in shown["columns"]] == ["name", "time"]
    assert [(row[0].text, row[0].aside) for row in shown["rows"]] == [
        ("toy_3d_cnn", "10×1 views"),
        ("toy_late_fusion", "1×1 views"),
    ]


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_text_stands_out_in_light_and_in_dark():
    """4.5:1 of WCAG, for each colour of text on each ground that it stands on."""
    themes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r"\{[^{}]*\}", asset("page.css"))
    ]
    themes = [theme for theme in themes if "ground" in theme]
    assert len(themes) == 3  # light, dark by the system, dark by choice
    grounds = {
        "ink": ("ground", "raised", "warn-ground"),
        "faded": ("ground", "raised"),
        "accent": ("ground", "raised"),
    }
    for theme in themes:
        for text, unders in {**grounds, "warn": ("ground", "raised", "warn-ground")}.items():
            for under in unders:
                dark, light = sorted((luminance(theme[text]), luminance(theme[under])))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, under, theme)


# The page in a browser


def address(tab):
    """What stands after the # once it is written."""
    tab.wait_for_timeout(250)
    return tab.evaluate("location.hash")


def slider(tab, name, kind="range"):
    return tab.locator(f"#model-0 .slider[data-name={name}] input[type={kind}]")


def typed(tab, name, value):
    number = slider(tab, name, "number")
    number.fill(value)
    number.press("Enter")
    return tab.locator(f"#model-0 .slider[data-name={name}] .used").inner_text()


def standing(tab, *names):
    return [int(slider(tab, name).input_value()) for name in names]


def test_the_comparison_comes_first_and_tabs_go_by_keys_and_by_link(opened, text):
    with opened(text, charts=False) as tab:
        top, parts = tab.locator("main > .tabs [role=tab]"), tab.locator("#model-0 .tabs.parts [role=tab]")
        assert top.all_inner_texts() == ["Comparison", *NAMES]
        assert tab.locator("main > [role=tabpanel]:visible").get_attribute("id") == "comparison"
        top.first.press("ArrowRight")
        assert tab.evaluate("document.activeElement.id") == "tab-0"
        assert tab.locator("main > [role=tabpanel]:visible").get_attribute("id") == "model-0"
        assert address(tab) == "#tab=toy_3d_cnn"
        parts.first.press("End")
        assert tab.locator("#model-0 .part:visible").get_attribute("id") == "m0-field"
        assert [part.get_attribute("data-key") for part in parts.all()] == PARTS
        assert address(tab) == "#tab=toy_3d_cnn&part=field"
        parts.last.press("ArrowRight")
        parts.first.press("Home")
        assert tab.locator("#model-0 .part:visible").get_attribute("id") == "m0-cost"
        top.nth(1).press("ArrowLeft")
        assert address(tab) == ""
        for key in ("aria-controls", "aria-labelledby"):
            named = tab.locator(f"[{key}]").evaluate_all(f"all => all.map((one) => one.getAttribute('{key}'))")
            assert all(tab.locator(f"[id='{name}']").count() == 1 for name in named)
        slider(tab, "T").evaluate("range => { range.value = 9; range.dispatchEvent(new Event('input')); }")
        tab.locator("#beside-table a", has_text="toy_late_fusion").click()
        assert tab.locator("main > [role=tabpanel]:visible").get_attribute("id") == "model-1"
        assert address(tab) == "#tab=toy_late_fusion&toy_3d_cnn.T=9"  # the sliders stay where they were
        top.first.click()
        tab.evaluate("location.hash = 'toy_late_fusion'")  # as short as a link can be
        assert tab.locator("main > [role=tabpanel]:visible").get_attribute("id") == "model-1"


def test_sliders_say_what_they_cannot_take(opened, text):
    with opened(text, charts=False, at="#tab=toy_3d_cnn") as tab:
        least, most = (int(slider(tab, "T").get_attribute(end)) for end in ("min", "max"))
        steps = f"T goes from {least} to {most} in steps of 1"
        assert typed(tab, "T", "999") == f"{steps}: {most} is used, not 999."
        assert standing(tab, "T") == [most]
        assert typed(tab, "T", "9.4") == f"{steps}: 9 is used, not 9.4."
        assert typed(tab, "T", "") == f"{steps}: 9 is used, not an empty field."
        assert typed(tab, "T", "10") == ""
        report = count_model(NAMES[0], clip=(10, 16, 16))
        assert tab.locator("#model-0 [data-total=macs] .view small").inner_text() == exact(report.macs)
        typed(tab, "clips", "31")
        tab.locator("#model-0 [type=reset]").click()
        tab.wait_for_function("document.querySelector('#model-0 [data-name=clips] .used').textContent === ''")
        assert standing(tab, "T", "clips") == [8, 10]


def test_height_and_width_move_together_until_they_are_let_go(opened, text):
    with opened(text, charts=False, at="#tab=toy_3d_cnn") as tab:
        lock = tab.locator("#model-0 .locked")
        assert lock.is_checked()
        slider(tab, "H").press("ArrowRight")
        assert standing(tab, "H", "W") == [17, 17]
        typed(tab, "W", "20")
        assert standing(tab, "H", "W") == [20, 20]
        lock.uncheck()
        slider(tab, "H").press("ArrowLeft")
        assert standing(tab, "H", "W") == [19, 20]
        report = count_model(NAMES[0], clip=(8, 19, 20))
        assert tab.locator("#model-0 [data-total=macs] .view small").inner_text() == exact(report.macs)
        lock.check()
        assert standing(tab, "H", "W") == [19, 19]
        least, most = (int(slider(tab, "H").get_attribute(end)) for end in ("min", "max"))
        for kind in ("range", "number"):  # a tenth of the way, on either
            before = standing(tab, "H")[0]
            slider(tab, "H", kind).press("PageUp")
            assert standing(tab, "H")[0] == before + round((most - least) / 10)
        slider(tab, "H", "number").press("ArrowDown")
        slider(tab, "H").press("PageDown")
        assert standing(tab, "H", "W") == [19 + round((most - least) / 10) - 1] * 2


def test_a_link_shows_what_was_seen_and_says_what_it_asks_in_vain(opened, text):
    with opened(text, charts=False, at="#tab=toy_3d_cnn") as tab:
        slider(tab, "T").press("ArrowRight")
        tab.locator("#model-0 .locked").uncheck()
        slider(tab, "W").press("ArrowRight")
        slider(tab, "clips").press("ArrowLeft")
        link = address(tab)
        assert link == "#tab=toy_3d_cnn&toy_3d_cnn.T=9&toy_3d_cnn.W=17&toy_3d_cnn.clips=9"
    with opened(text, charts=False, at=link) as tab:
        assert standing(tab, "T", "H", "W", "clips") == [9, 16, 17, 9]
        assert not tab.locator("#model-0 .locked").is_checked()
        assert tab.locator("#model-0 .now .clip").inner_text() == "9×16×17"
        box = tab.locator(".asked")
        assert box.is_hidden()
        tab.evaluate("location.hash = 'tab=i3d&part=time&toy_3d_cnn.T=many&toy_3d_cnn.S=3&frames=3&per=watt'")
        lines = box.locator("li").all_inner_texts()
        assert lines[0] == "there is nothing called frames to set"
        assert lines[1] == "there is no tab “i3d”; there are comparison, toy_3d_cnn, toy_late_fusion"
        assert "the comparison has no part “time”" in lines
        assert any(line.endswith("8 is used, not “many”, which is no number") for line in lines)
        assert "toy_3d_cnn: there is nothing called S to set" in lines
        assert any(line.startswith("there is no cost per “watt”") for line in lines)
        assert standing(tab, "T", "W", "clips") == [8, 16, 10]
        box.locator("button").click()
        assert box.is_hidden()


def test_a_page_of_one_network_has_no_name_in_its_link(opened, costs):
    with opened(page(costs[:1], None, COMMAND), charts=False, at="#T=12&part=span") as tab:
        assert not tab.locator("main > .tabs").count()
        assert standing(tab, "T") == [12]
        assert tab.locator(".part:visible").get_attribute("id") == "m0-span"
        tab.locator("#m0-tab-cost").click()
        assert address(tab) == "#T=12"


@pytest.mark.parametrize("width", [400, 900, 1366])
def test_sources_are_seen_without_scrolling_sideways(opened, text, width):
    with opened(text, charts=False, viewport={"width": width, "height": 800}) as tab:
        links = tab.locator("#comparison-table a")
        assert links.count() == len(ROWS)
        for box in (link.bounding_box() for link in links.all()):
            assert 0 <= box["x"] < box["x"] + box["width"] <= width
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        boxes = tab.locator(".scroll:has(.stacked)")
        assert max(boxes.evaluate_all("boxes => boxes.map((box) => box.scrollWidth - box.clientWidth)")) <= 0
        assert tab.get_by_role("table").first.get_by_role("row").count() == len(ROWS) + 1  # also where rows are blocks
        tab.locator("main > .tabs [role=tab]").nth(1).click()
        name = tab.locator("#model-0 table.layers tbody th:visible").first
        name.evaluate("cell => { cell.textContent = 'stage_of_a_network.'.repeat(6); }")
        assert name.bounding_box()["width"] < 0.47 * width  # so that numbers stand beside a long path
        assert address(tab) == "#tab=toy_3d_cnn"
        tab.go_back()
        tab.wait_for_function("!document.getElementById('comparison').hidden")


@pytest.mark.slow
def test_axe_finds_nothing_serious(opened, text):
    """The checker of accessibility, installed by `npm ci`."""
    if not AXE.exists():
        if os.environ.get("FLOPCOUNT_ALL_LIBRARIES") == "1":
            pytest.fail("axe-core is missing, and FLOPCOUNT_ALL_LIBRARIES promises it: run npm ci")
        pytest.skip("no axe-core: run npm ci")
    for scheme, width, charts, places in (
        ("light", 1280, True, ("", "tab=toy_3d_cnn&toy_3d_cnn.T=999")),
        ("dark", 400, False, ("tab=toy_3d_cnn&part=time",)),
    ):
        with opened(text, charts, color_scheme=scheme, viewport={"width": width, "height": 900}) as tab:
            tab.evaluate(AXE.read_text(encoding="utf-8"))
            for place in places:
                tab.evaluate("place => { location.hash = place }", place)
                tab.wait_for_timeout(100)
                found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
                serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in SERIOUS]
                assert serious == [], (scheme, place)
