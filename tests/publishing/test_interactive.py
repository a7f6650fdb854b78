"""The page as text, and as headless Chromium shows it."""

import base64
import json
import random
import re
import sys
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
import torch
from made_up_rows import made_up
from torch import nn

import flopcount.publishing.interactive
from flopcount.analysis.cost_tables import by_module
from flopcount.core.errors import InputError
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Clip, Protocol, Views
from flopcount.core.quantity import TABLE, of_layers
from flopcount.core.units import exact, si
from flopcount.core.wording import sentence
from flopcount.publishing.axis_range import FARTHEST, axis_range
from flopcount.publishing.comparison import Comparison
from flopcount.publishing.comparison_rows import Unplotted
from flopcount.publishing.cost_report import CostReport, cost_report
from flopcount.publishing.interactive import page
from flopcount.publishing.interactive.scripts import one_script
from flopcount.publishing.interactive.template import INSTALLATION, asset
from flopcount.report import count_flops, count_model

ASSETS = Path(flopcount.publishing.interactive.__file__).parent / "assets"
COMMAND = "flopcount report c3d slowfast_r50_4x16 --format html --out DIR"
PAGES = 6  # of a network on paper, at most
EVIL = "</script><img src=x onerror=alert(1)>&amp;\u2028"
ROWS = (
    replace(made_up("x3d_m", 6 * 10**9, 76.0, views=30), family="3D CNN", url="https://example.org/x3d", source="X"),
    replace(made_up("slowfast_r50_4x16", 36 * 10**9, 75.6, views=30), family="two pathways", note="cropped"),
    replace(
        made_up("mvit", 70 * 10**9, 78.4, views=5, params=36 * 10**6), family="transformer", url="javascript:alert(1)"
    ),
    made_up(EVIL, 100 * 10**9, 60.0),
)
COMPARISON = Comparison("kinetics400", ROWS, (Unplotted("i3d", "the source does not say how many views"),))


@pytest.fixture(scope="module")
def costs():
    """Parts sized to the clip, rebuilt for each; and T in steps of the slow pathway's."""
    c3d = cost_report(ModelSpec("c3d", Clip(16, 16, 16)), Protocol(Views(10, 1)), with_readings=True)
    spec, views = ModelSpec("slowfast_r50_4x16", Clip(32, 256, 256)), Views(10, 3)
    slowfast = cost_report(spec, Protocol(views), with_check=False, with_readings=True)
    return c3d, slowfast


@pytest.fixture(scope="module")
def text(costs):
    return page(costs, COMPARISON, COMMAND)


def uncounted():
    """A model of one's own with an operator that no rule knows, without a closed form."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module("<b>head</b>", nn.Linear(4, 4, bias=False))

        def forward(self, x):
            return torch.linalg.qr(getattr(self, "<b>head</b>")(x))[0]

    missing = {"form": "it takes <no> clip", "check": "not requested"}
    return CostReport(EVIL, count_flops(Odd(), (1, 4, 4)), None, None, None, (), missing)


# The page as text


class Tags(HTMLParser):
    """Every tag with its attributes, and what is in style, script and title."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.inside, self.stack = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("style", "script", "title"):
            self.stack.append((tag, dict(attrs).get("id", "")))

    def handle_endtag(self, tag):
        if self.stack and self.stack[-1][0] == tag:
            self.stack.pop()

    def handle_data(self, data):
        if self.stack:
            self.inside[self.stack[-1]] = self.inside.get(self.stack[-1], "") + data

    @property
    def data(self):
        return json.loads(self.inside["script", "data"])


def test_a_page_needs_no_other_file(text):
    tags = Tags(text)
    for tag, attributes in tags.tags:
        assert not {"src", "srcset", "poster", "action", "style"} & set(attributes), tag
        if "href" in attributes:
            assert tag == "a" or (tag, attributes["href"]) == ("link", "data:,")
            assert not attributes["href"].startswith("javascript:")
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"@import|url\(", tags.inside["style", ""])
    policy = next(a["content"] for t, a in tags.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    links = {a["href"] for t, a in tags.tags if t == "a"}
    assert "https://example.org/x3d" in links


def test_a_page_is_small_and_the_same_each_time(costs, text):
    assert len(text.encode()) < 3 * 10**6
    assert page(costs, COMPARISON, COMMAND) == text


def test_a_page_says_everything_without_its_scripts(costs, text):
    shown = re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.DOTALL)
    for cost in costs:
        report = cost.report
        for value in (report.macs, report.flops, report.other_flops, report.params, report.bytes_read):
            assert exact(value) in shown
        assert exact(report.per_video.macs) in shown
        assert sentence(report) in shown
        assert cost.form.text("macs") in shown
        assert all(f">{row.path}<" in shown for row in report.modules if row.own.macs)
    assert "agreement" in shown  # C3D's cross-check
    assert "not requested" in shown  # SlowFast's
    assert "not plotted: I3D: the source does not say how many views" in shown
    assert COMMAND in shown


def test_names_are_text_wherever_they_stand():
    tags = Tags(page([uncounted()], COMPARISON, f"flopcount report '{EVIL}'"))
    assert not {tag for tag, _ in tags.tags} & {"img", "b1"}
    assert len([tag for tag, _ in tags.tags if tag == "script"]) == 3
    assert [model["name"] for model in tags.data["models"]] == [EVIL]
    assert tags.data["models"][0]["layers"]["paths"] == ["", "<b>head</b>"]
    assert tags.data["comparison"]["points"][3]["name"] == EVIL
    assert tags.data["comparison"]["points"][2]["url"] == ""  # no link runs a script
    assert EVIL in tags.inside["title", ""].replace("&amp;amp;", "&amp;")


def test_every_number_is_a_string_of_digits(text):
    for model in Tags(text).data["models"]:
        assert all(re.fullmatch(r"\d+", value) for value in model["counted"].values())
        for form in model["forms"].values():
            assert all(re.fullmatch(r"-?\d+", number) for number, _ in form["terms"])


def test_the_scripts_know_quantities_from_the_data_alone(text):
    quantities = Tags(text).data["quantities"]
    assert [entry["name"] for entry in quantities["table"]] == [quantity.name for quantity in of_layers()]
    assert {*quantities["columns"], *quantities["shares"]} <= set(TABLE)
    for path in ASSETS.glob("*.js"):
        if path.name != "scatter.js":  # whose points have their MACs and parameters alone
            assert not re.findall(rf"\b({'|'.join(TABLE)})\b", path.read_text()), path


@pytest.mark.parametrize("quantity", of_layers(), ids=lambda quantity: quantity.name)
def test_what_multiplies_a_quantity(costs, quantity):
    alone = costs[0].report.total[quantity.name]
    several = count_model("c3d", clip=Clip(16, 16, 16), batch=3).total[quantity.name]
    if "batch" in quantity.grows_with:
        assert several == 3 * alone
    assert (several == alone) == (not quantity.grows_with)
    if costs[0].report.per_video.knows(quantity):
        assert "views" in quantity.grows_with


def test_sliders_keep_to_the_domain():
    assert axis_range(32, 8, 8) == (8, 128)
    assert axis_range(30, 6, 8) == (6, 118)  # 126 is beyond four times 30
    assert axis_range(5, 5, 1) == (5, 5 * FARTHEST)


@pytest.mark.parametrize("library", ["jinja2", "plotly"])
def test_a_missing_library_is_told(library, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        InputError, match=rf"needs {library}, which is not installed\n.*pip install -e '\.\[html\]' in a"
    ):
        page([uncounted()], None, COMMAND)


def test_what_a_page_needs_is_what_its_extra_brings():
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert list(INSTALLATION.requirements) == extras[INSTALLATION.extra]


def modules(**texts):
    return lambda name: texts[name.removesuffix(".js")]


def test_scripts_are_put_together_after_what_they_import():
    script = one_script(
        "top",
        modules(
            top='import { left, LEFT } from "./left.js";\nimport {\n  right,\n} from "./right.js";\n\nleft(right);\n',
            left='import { right } from "./right.js";\n\nexport const LEFT = 1;\nexport function left() {}\n',
            right="const own = 2;\nexport async function right() {}\n",
        ),
    )
    assert script == "\n".join(
        [
            "const $right = (() => {\nconst own = 2;\nasync function right() {}\nreturn { right };\n})();",
            "const $left = (() => {\nconst { right } = $right;\n\nconst LEFT = 1;\nfunction left() {}",
            "return { LEFT, left };\n})();",
            "const $top = (() => {\nconst { left, LEFT } = $left;\nconst { right } = $right;\n\nleft(right);\n})();",
        ]
    )


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ({"a": 'import { b } from "./b.js";', "b": 'import { a } from "./a.js";'}, "circular imports: a -> b -> a"),
        ({"a": 'import { a } from "./a.js";'}, "circular imports: a -> a"),
        ({"a": 'import { b, c } from "./b.js";', "b": "export class c {}"}, "what b.js does not export: b"),
        ({"a": 'import * as b from "./b.js";'}, r"unknown form of import or export: import \*"),
        ({"a": 'import { c as b } from "./b.js";', "b": "export class c {}"}, "what b.js does not export: as, b"),
        ({"a": "export let a = 1;"}, "unknown form of import or export: export let"),
        ({"a": "export default 1;"}, "unknown form of import or export: export default"),
        ({"a": "  export const a = 1;"}, "unknown form of import or export: export const"),
    ],
)
def test_scripts_that_cannot_be_put_together_are_told(texts, why):
    with pytest.raises(ValueError, match=why):
        one_script("a", modules(**texts))


def test_every_script_is_in_a_page(text):
    script = "".join([Tags(text).inside["script", ""], one_script("job", asset), one_script("diff", asset)])
    for path in ASSETS.glob("*.js"):
        assert path.read_text().partition("\n")[0] in script, path  # its title


# The page in a browser


def totals(panel):
    """Name -> the exact integers per view and per video."""
    found = {}
    for row in panel.locator("[data-total]").all():
        name = row.get_attribute("data-total")
        found[name] = [int(value.replace(",", "")) for value in row.locator("small").all_inner_texts() if "," in value]
    return found


def move(panel, name, *keys):
    slider = panel.locator(f".slider[data-name={name}] input[type=range]")
    slider.focus()
    for key in keys:
        slider.press(key)


def sizes(panel):
    values = {
        slider.get_attribute("data-name"): int(slider.locator("input[type=range]").input_value())
        for slider in panel.locator(".slider").all()
    }
    return values.pop("clips") * values.pop("crops"), values


def assert_counts(panel, name):
    """What the page shows is what a count says at the sizes of its sliders."""
    views, size = sizes(panel)
    clip = Clip(size["T"], size.get("S") or size["H"], size.get("S") or size["W"])
    report = count_model(name, clip=clip)
    amounts = {
        quantity: getattr(report, quantity)
        for quantity in ("macs", "flops", "other_flops", "bytes_read", "bytes_written")
    }
    expected = {quantity: [amount, amount * views] for quantity, amount in amounts.items()}
    assert totals(panel) == expected | {"params": [report.params]}
    assert panel.locator(".now .clip").inner_text() == str(clip)
    formula = panel.locator("[data-formula=macs] .value").inner_text()
    assert formula == exact(report.macs)
    own = {row.path: (row.own_params, row.own.macs, row.own.other_flops) for row in report.modules}
    rows = panel.locator(".layers tbody tr:not([data-away])").evaluate_all(
        "rows => rows.map((row) => [row.cells[0], ...[3, 4, 6].map((i) => row.cells[i])]"
        ".map((cell) => cell.dataset.key ?? cell.textContent))"
    )
    seen = {row[0]: tuple(map(int, row[1:])) for row in rows}
    known = {path: own["" if path.startswith("(") else path] for path in seen}
    assert seen == known
    assert sum(macs for _, macs, _ in seen.values()) == report.macs
    return clip


def test_sliders_say_what_a_count_says_of_parts_sized_to_the_clip(opened, text):
    with opened(text, charts=False, at="#tab=c3d") as tab:
        panel = tab.locator("#model-0")
        assert panel.locator(".how").inner_text() == "as counted"
        clips = {assert_counts(panel, "c3d")}
        move(panel, "T", "ArrowRight", "ArrowRight", "ArrowRight")
        move(panel, "H", "ArrowRight")
        clips.add(assert_counts(panel, "c3d"))
        assert panel.locator(".how").inner_text() == "by the closed form"
        move(panel, "W", "End")
        move(panel, "clips", "ArrowLeft")
        move(panel, "crops", "ArrowRight", "ArrowRight")
        clips.add(assert_counts(panel, "c3d"))
        assert panel.locator(".views").first.inner_text() == "9×3 = 27 views"
        move(panel, "T", "End")
        move(panel, "W", "PageDown")
        clips.add(assert_counts(panel, "c3d"))
        panel.locator("[type=reset]").press("Enter")
        assert assert_counts(panel, "c3d") == Clip(16, 16, 16)
        assert len(clips) == 4
        assert panel.locator(".icicle").inner_text() == "Charts need a newer browser; the tables have every number."


def test_a_total_is_written_as_the_data_says(opened, costs, monkeypatch):
    monkeypatch.setitem(TABLE, "macs", replace(TABLE["macs"], title="products", unit="x"))
    monkeypatch.setitem(TABLE, "bytes_written", replace(TABLE["bytes_written"], grows_with=()))
    monkeypatch.setitem(TABLE, "params", replace(TABLE["params"], grows_with=("views",)))
    with opened(page(costs[:1], None, COMMAND), charts=False) as tab:
        panel = tab.locator("#model-0")
        move(panel, "T", "ArrowRight")
        move(panel, "clips", "Home")
        move(panel, "clips", "ArrowRight")
        report = count_model("c3d", clip=Clip(17, 16, 16))
        assert totals(panel)["bytes_written"] == [report.bytes_written]
        assert totals(panel)["params"] == [report.params, 2 * report.params]
        row = panel.locator("[data-total=macs]")
        assert row.locator("th").inner_text().startswith("products")
        assert row.locator(".view b").inner_text() == si(report.macs, "x")
        assert panel.locator("[data-total=flops] th small").inner_text() == "2 × products"
        assert panel.locator("select.measure option").first.inner_text() == "products"
        panel.locator("input.filter").fill("conv1")
        assert panel.locator(".found").inner_text().split(", ")[0].endswith(" products")


@pytest.mark.slow
def test_sliders_take_the_steps_of_the_domain(opened, costs, text):
    (frames,) = (domain for domain in costs[1].form.domains if domain.axis == "T")
    with opened(text, charts=False) as tab:
        tab.locator("#tab-0").press("ArrowRight")
        panel = tab.locator("#model-1")
        assert_counts(panel, "slowfast_r50_4x16")
        move(panel, "T", "ArrowLeft")
        assert assert_counts(panel, "slowfast_r50_4x16").frames == 32 - frames.step < 31
        move(panel, "T", "Home")
        assert assert_counts(panel, "slowfast_r50_4x16").frames == frames.minimum
        number = panel.locator("[data-name=T] input[type=number]")
        number.fill(str(frames.minimum + frames.step + 1))
        number.press("Enter")
        assert assert_counts(panel, "slowfast_r50_4x16").frames == frames.minimum + frames.step
        number.fill("")
        number.press("Enter")
        assert number.input_value() == str(frames.minimum + frames.step)


def test_numbers_are_written_as_python_writes_them(chromium):
    draw = random.Random(1)
    values = [0, 1, 999, 1000, 999_499, 999_500, 999_999, 40_250_000_000, 40_350_000_000, 1_005_000, 10**16, 2**70]
    values += [draw.randrange(10 ** draw.randint(1, 18)) for _ in range(500)]
    values += [5 * 10**k * n for k in range(2, 12) for n in (201, 2013, 20131)]  # ties
    module = base64.b64encode((ASSETS / "exact.js").read_bytes()).decode()
    with chromium.new_context() as context:
        seen = context.new_page().evaluate(
            """async ([module, values]) => {
                const { exact, si } = await import(`data:text/javascript;base64,${module}`);
                return values.map(BigInt).map((value) => [si(value), exact(value)]);
            }""",
            [module, [str(value) for value in values]],
        )
    assert [tuple(pair) for pair in seen] == [(si(value), exact(value)) for value in values]


def test_seconds_are_written_as_python_writes_them(chromium):
    draw = random.Random(2)
    values = [10 ** draw.uniform(-13, 7) for _ in range(500)] + [
        0.0,
        1.0,
        0.9995,
        0.99949,
        1e-3,
        999.5,
        999.4,
        0.0123456,
    ]
    module = base64.b64encode((ASSETS / "exact.js").read_bytes()).decode()
    with chromium.new_context() as context:
        seen = context.new_page().evaluate(
            """async ([module, values]) => {
                const { measured } = await import(`data:text/javascript;base64,${module}`);
                return values.map((value) => measured(value, "s"));
            }""",
            [module, values],
        )
    assert seen == [si(value, "s") for value in values]


@pytest.mark.parametrize("charts", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_scripts_leave_nothing_on_the_window(opened, text, charts):
    keys = "Object.getOwnPropertyNames(window).sort()"
    bare = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    with opened(bare.replace("<html ", f"<html data-drawn={'yes' if charts else 'no'} "), charts) as tab:
        before = tab.evaluate(keys)
    with opened(text, charts, at="#tab=c3d") as tab:
        move(tab.locator("#model-0"), "T", "ArrowRight")
        assert tab.evaluate(keys) == before
        # nor in the scope of constants and classes that all scripts of a page share
        assert tab.evaluate("[typeof models, typeof si, typeof $exact, typeof Model]") == ["undefined"] * 4


def test_layers_sort_and_filter(opened, costs, text):
    report = costs[0].report
    with opened(text, charts=False, at="#tab=c3d") as tab:
        panel = tab.locator("#model-0")
        names = panel.locator(".layers tbody tr:visible > :first-child")
        given = names.all_inner_texts()
        macs = panel.locator(".layers thead th", has_text=re.compile("^MACs"))
        macs.locator("button").press("Enter")
        assert macs.get_attribute("aria-sort") == "descending"
        largest = max(row.own.macs for row in report.modules)
        assert report.module(names.first.inner_text()).own.macs == largest
        before = names.all_inner_texts()
        move(panel, "T", "End")  # the order is that of the current clip
        larger = count_model("c3d", clip=Clip(64, 16, 16))
        ordered = [larger.module(path).own.macs for path in names.all_inner_texts()]
        assert ordered == sorted(ordered, reverse=True)
        assert names.all_inner_texts() != before
        move(panel, "T", "Home")
        macs.locator("button").click()
        assert macs.get_attribute("aria-sort") == "ascending"
        assert report.module(names.last.inner_text()).own.macs == largest
        macs.locator("button").click()
        assert macs.get_attribute("aria-sort") == "none"
        assert names.all_inner_texts() == given
        panel.locator("input.filter").fill("conv3d CONV4")
        assert names.all_inner_texts() == ["conv4a", "conv4b"]
        sum_ = sum(report.module(path).cost.macs for path in ("conv4a", "conv4b"))
        share = f"{100 * sum_ / report.macs:.1f}%"
        assert panel.locator(".found").inner_text() == f"2 of {len(given)} layers: {si(sum_)} MACs, {share}."
        panel.locator("input.exact").check()
        assert exact(report.module("conv4a").cost.macs) in panel.locator(".layers tbody").inner_text()


def test_depth_keeps_the_sum(opened, costs, text):
    report = costs[1].report
    with opened(text, charts=False) as tab:
        tab.locator("#tab-1").click()
        panel = tab.locator("#model-1")
        for depth in ("1", "2", "-1"):
            panel.locator("select.depth").select_option(depth)
            keys = panel.locator(".layers tbody tr:visible").evaluate_all(
                "rows => rows.map((r) => r.cells[4].dataset.key)"
            )
            assert sum(map(int, keys)) == report.macs
            assert len(keys) == len(by_module(report, int(depth)).rows)


@pytest.mark.slow
def test_the_icicle_follows_the_sliders_and_opens_by_mouse_and_keyboard(opened, costs, text):
    with opened(text, at="#tab=c3d") as tab:
        move(tab.locator("#model-0"), "T", "End")
        label = f"{si(count_model('c3d', clip=Clip(64, 16, 16)).macs)} · 100.0% of MACs"
        tab.wait_for_function(
            "label => document.querySelector('#model-0 .icicle g.slice').getAttribute('aria-label').includes(label)",
            arg=label,
        )
        tab.locator("#tab-1").click()
        panel = tab.locator("#model-1")
        crumbs = panel.locator(".crumbs button")
        assert crumbs.all_inner_texts() == ["slowfast_r50_4x16"]
        focusable = panel.locator(".icicle g.slice[tabindex='0']")
        assert focusable.count() == 1
        focusable.focus()
        tab.keyboard.press("ArrowRight")
        where = tab.evaluate("document.activeElement.getAttribute('aria-label')")
        row = max((row for row in costs[1].report.modules if row.depth == 1), key=lambda row: row.cost.macs)
        assert where.startswith(f"{row.path}  {si(row.cost.macs)} · ")
        tab.keyboard.press("Enter")
        assert crumbs.all_inner_texts() == ["slowfast_r50_4x16", row.path]
        assert tab.evaluate("document.activeElement.classList.contains('slice')")
        tab.keyboard.press("Escape")
        assert crumbs.all_inner_texts() == ["slowfast_r50_4x16"]
        panel.locator(".icicle g.slice", has_text=row.path).first.click()
        assert crumbs.count() == 2
        crumbs.first.press("Enter")
        assert crumbs.count() == 1
        panel.locator("select.measure").select_option("params")
        assert f"{si(costs[1].report.params)} · 100.0% of params" in focusable.get_attribute("aria-label")


@pytest.mark.slow
def test_the_comparison_tells_each_point_and_its_source(opened, text):
    with opened(text) as tab:
        section = tab.locator(".comparison")
        points = section.locator("path.point")
        assert points.count() == len(ROWS)
        section.locator("path.point[tabindex='0']").focus()
        assert tab.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
            "x3d_m, 76 % top-1, 6.00 GMACs"
        )
        assert "180 GMACs per video" in section.locator(".hoverlayer").text_content()
        tab.keyboard.press("Enter")
        link = section.locator(".picked a")
        assert link.get_attribute("href") == "https://example.org/x3d"
        assert "6,000,000,000 MACs per view, 180,000,000,000 per video" in section.locator(".picked").inner_text()
        for _ in range(3):
            tab.keyboard.press("ArrowRight")
        tab.keyboard.press("Enter")
        assert section.locator(".picked b").inner_text() == EVIL
        section.locator("select.per").select_option("video")
        assert "180 GMACs per video" in points.first.get_attribute("aria-label")
        section.locator("input.filter").fill("transformer")
        assert section.locator("#comparison-table tbody tr:visible").count() == 1
        assert section.locator(".found").inner_text() == "1 of 4 networks"


def ground(tab):
    return tab.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.slow
def test_light_and_dark_as_the_system_is_until_the_reader_chooses(opened, text):
    light, dark = "rgb(255, 255, 255)", "rgb(13, 17, 23)"
    ink = "getComputedStyle(document.querySelector('.scatter .xtick text')).fill"
    with opened(text, color_scheme="dark") as tab:
        button = tab.locator("#theme")
        assert (ground(tab), button.get_attribute("aria-pressed")) == (dark, "true")
        on_dark = tab.evaluate(ink)
        tab.emulate_media(color_scheme="light")
        # the browser tells the page when it has the time
        tab.locator("#theme[aria-pressed=false]").wait_for()
        assert (ground(tab), button.get_attribute("aria-pressed")) == (light, "false")
        on_light = tab.evaluate(ink)
        assert on_light != on_dark
        button.press("Enter")
        assert (ground(tab), button.get_attribute("aria-pressed")) == (dark, "true")
        assert tab.evaluate(ink) == on_dark
        tab.emulate_media(color_scheme="dark")
        button.press("Space")
        assert (ground(tab), button.get_attribute("aria-pressed")) == (light, "false")
        assert tab.evaluate(ink) == on_light


@pytest.mark.slow
def test_paper_has_every_model_in_full_and_light(opened, costs, text):
    with opened(text, at="#tab=c3d", color_scheme="dark") as tab:
        move(tab.locator("#model-0"), "T", "ArrowRight")
        tab.locator("#model-0 input.filter").fill("conv1")
        tab.emulate_media(media="print", color_scheme="dark")
        assert ground(tab) == "rgb(255, 255, 255)"
        assert not tab.locator(".controls:visible, #theme:visible, .tabs:visible, input:visible").count()
        assert tab.locator("#model-0 .now").inner_text().startswith("17×16×16")
        assert tab.locator("section.model:visible").count() == 2
        away = tab.locator(".layers tbody tr[data-away]").count()
        assert tab.locator(".layers tbody tr:visible").count() == tab.locator(".layers tbody tr").count() - away
        assert tab.locator(".icicle svg.main-svg:visible").count() >= 2
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert tab.locator("[role=tabpanel].part:visible").count() == 2 * 6
        # rows of layers go down to depth 2, and still sum to the total
        keys = tab.locator("#model-1 .layers tbody tr:visible").evaluate_all(
            "rows => rows.map((row) => [row.cells[0].textContent.trim().split('.').length, row.cells[4].dataset.key])"
        )
        assert max(depth for depth, _ in keys) == 2
        assert sum(int(macs) for _, macs in keys) == costs[1].report.macs
        assert tab.evaluate("getComputedStyle(document.querySelector('.layers tbody tr')).breakInside") == "avoid"
        paper = tab.pdf(format="A4")
        pages = re.findall(rb"/Type /Page$", paper, re.MULTILINE)
        assert 3 <= len(pages) <= 2 + 2 * PAGES
        assert paper.startswith(b"%PDF")


@pytest.mark.slow
def test_a_narrow_screen_needs_no_sideways_scrolling(opened, text):
    with opened(text, at="#tab=c3d", viewport={"width": 390, "height": 800}) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.slow
def test_everything_is_reached_by_tab_and_has_a_name(opened, text):
    with opened(text, at="#tab=c3d") as tab:
        nameless = tab.evaluate(
            "[...document.querySelectorAll('button, input, select, a, [tabindex]')]"
            ".filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML)"
        )
        assert nameless == []
        reached = set()
        for _ in range(60):
            tab.keyboard.press("Tab")
            reached.add(
                tab.evaluate("document.activeElement.closest('.slider')?.dataset.name ?? document.activeElement.id")
            )
            outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none" or tab.evaluate("Boolean(document.activeElement.closest('.chart'))")
        assert {"theme", "tab-0", "T", "H", "W", "clips", "crops"} <= reached


def test_what_is_not_counted_and_has_no_form_is_said(opened):
    with opened(page([uncounted()], COMPARISON, COMMAND), charts=False, at="#tab=" + quote(EVIL)) as tab:
        assert tab.locator("h1:visible").inner_text() == EVIL
        assert "UNCOSTED aten.linalg_qr: 1 call" in tab.locator(".callout:visible").inner_text()
        assert "no closed form: it takes <no> clip" in tab.locator(".controls").inner_text()
        assert totals(tab.locator("#model-0"))["macs"] == []  # 64 has no comma
        move(tab.locator("#model-0"), "clips", "ArrowRight")
        assert tab.locator("[data-total=macs] .video").inner_text().split() == ["128", "128"]


@pytest.mark.slow
def test_a_quantity_without_a_form_is_shown_where_it_was_counted_alone(opened, costs):
    cost, why = costs[0], "other operators run on other clips"
    parts = {
        quantity: part for quantity, part in cost.form.parts.items() if quantity not in ("other_flops", "bytes_read")
    }
    form = replace(cost.form, parts=parts, missing={"other_flops": why, "bytes_read": why})
    pinned = tuple(replace(d, pinned="at H = 17: <it> does not run") if d.axis == "H" else d for d in form.domains)
    with opened(page([replace(cost, form=replace(form, domains=pinned))], None, COMMAND)) as tab:
        panel = tab.locator("#model-0")
        assert totals(panel)["other_flops"] == [cost.report.other_flops, cost.report.other_flops * 10]
        assert "fixed: at H = 17: <it> does not run" in panel.locator("[data-name=H]").inner_text()
        move(panel, "T", "ArrowRight")
        shown = panel.locator("[data-total=other_flops] .view").inner_text()
        assert shown.split("\n") == ["no form", "counted at the base clip only"]
        assert totals(panel)["macs"][0] == count_model("c3d", clip=Clip(17, 16, 16)).macs
        assert panel.locator(".layers tbody tr:visible >> nth=0").locator("td").nth(5).inner_text() == "no form"


@pytest.mark.slow
def test_a_page_of_a_comparison_alone_and_of_one_without_points(opened, costs):
    with opened(page([], COMPARISON, COMMAND)) as tab:
        assert tab.locator("path.point").count() == len(ROWS)
    none = Comparison("charades", (), (Unplotted("i3d", "no accuracy"),))
    with opened(page(costs[:1], none, COMMAND), charts=False) as tab:
        assert "not plotted: I3D: no accuracy" in tab.locator(".comparison").inner_text()
        assert not tab.locator(".scatter").count()
