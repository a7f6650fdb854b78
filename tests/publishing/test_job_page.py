"""The page of a whole job: what it says without its scripts, and that its sliders say what Python says."""

import json
import re
import sys
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner
from whole_jobs import Odd, linear_network, whole_job

from flopcount import Pipeline, Stage, Unit, read_pipeline
from flopcount.cli import app
from flopcount.core.quantity import of_layers
from flopcount.core.units import duration, exact, joules, money, si
from flopcount.count import count
from flopcount.pipelines.pipeline_reader import read_saved_pipeline
from flopcount.publishing.interactive import job_data as job_data_module
from flopcount.publishing.interactive.job_data import job_data
from flopcount.publishing.interactive.job_page import job_page
from flopcount.publishing.interactive.job_parameters import value_text

COMMAND = "flopcount pipeline job.toml --html FILE"
EVIL = "</script><img src=x onerror=alert(1)>&amp;\u2028"


@pytest.fixture(scope="module")
def linear():
    return linear_network()


@pytest.fixture(scope="module")
def job():
    return whole_job()


@pytest.fixture(scope="module")
def priced(job):
    return [job.cost("t4", price="0.36EUR"), job.cost("rtx-4090", dtype="amp", price=0.4)]


@pytest.fixture(scope="module")
def text(job, priced):
    return job_page(job, priced, COMMAND)


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


def without_scripts(text):
    return re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.DOTALL)


def test_a_page_needs_no_other_file_and_is_small(job, priced, text):
    tags = Tags(text)
    for tag, attributes in tags.tags:
        assert not {"src", "srcset", "poster", "action", "style", "href"} & set(attributes) or tag == "link", tag
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"@import|url\(", tags.inside["style", ""])
    policy = next(a["content"] for t, a in tags.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert len(text.encode()) < 100_000
    assert job_page(job, priced, COMMAND) == text


def test_a_page_says_everything_without_its_scripts(job, priced, text):
    shown = without_scripts(text)
    for quantity in of_layers():
        assert exact(job.total[quantity.name]) in shown, quantity.name
    for row in job.per_units:
        assert exact(row.total.macs) in shown
    for leaf in job.leaves:
        assert leaf.place in shown
        assert f'data-key="{leaf.runs * leaf.passes}"' in shown
    for cost in priced:
        assert str(cost.conditions) in shown
        assert duration(cost.estimate) in shown
        for stage in cost.stages:
            assert duration(stage.times.estimate) in shown
            assert money(stage.money.amount, stage.money.currency) in shown
        assert cost.basis_words in shown
    assert job.formula("macs").text.replace("**", "^").replace("*", "·") in shown
    for words in (COMMAND, job.sentence(), "a note of the job", "GPU board only", "decode.query", "aten.linear"):
        assert words in shown
    # the parameters of `embed` and `denoise` are the same, and stand in the first row alone
    assert "weights: those of denoise are those of encode.embed, and count once" in shown


def test_names_are_text_wherever_they_stand(linear):
    job = Pipeline([Stage("a", linear, "n")], name=EVIL, notes=[EVIL], assumed=[EVIL], n=2)
    tags = Tags(job_page(job, (), EVIL))
    assert not {tag for tag, _ in tags.tags} & {"img"}
    assert len([tag for tag, _ in tags.tags if tag == "script"]) == 2
    assert json.loads(tags.inside["script", "data"])["name"] == EVIL


def test_what_is_not_counted_and_what_is_assumed_comes_first():
    odd = count(Odd(), (1, 4, 4), saving=False)
    shown = without_scripts(job_page(Pipeline([Stage("odd", odd, 3)], assumed=["the mask is full"]), (), COMMAND))
    callouts = shown[: shown.index('class="bench"')]
    assert "Not everything is counted." in callouts
    assert "UNCOSTED aten.linalg_qr: 3 calls in odd" in callouts
    assert "assumed: the mask is full" in callouts
    assert "Every stage runs a fixed number of times." in shown


def test_the_time_of_what_has_no_rule_is_said_to_be_missing():
    odd = Pipeline([Stage("odd", count(Odd(), (1, 4, 4), dataflow=True, saving=False), "n")], n=2)
    shown = without_scripts(job_page(odd, [odd.cost("t4")], COMMAND))
    assert "UNCOSTED aten.linalg_qr: the time of what they compute is missing from every number here" in shown


def test_a_job_that_was_saved_has_no_layers_and_the_same_totals(job, tmp_path):
    (tmp_path / "job.json").write_text(job.to_json())
    saved = read_saved_pipeline(tmp_path / "job.json")
    shown = without_scripts(job_page(saved, (), COMMAND))
    assert "No layers and no operators: a stage was saved without its own." in shown
    assert exact(job.macs) in shown
    assert exact(job.params) in shown


def test_deep_layers_stand_in_the_rows_above_them(job, monkeypatch):
    monkeypatch.setattr(job_data_module, "_MOST_ROWS", 7)
    layers = job_data(job)["layers"]
    assert len(layers["paths"]) <= 7
    assert "encode.embed.0" not in layers["paths"]
    assert sum(map(int, layers["amounts"]["macs"])) == job.macs
    assert sum(map(int, layers["amounts"]["params"])) == job.params
    assert "deeper ones stand in the rows above them" in job_page(job, (), COMMAND)


def test_what_a_script_reads_is_exact(job):
    data = job_data(job)
    assert data["parameters"] == {
        **{"clips": "2", "new_tokens": "40", "reuse": "0.3", "steps": "50"},
        **{"passes": "2", "frames": "81", "fps": "29.97", "prompt": "100"},
    }
    for stage in data["stages"]:
        for value in (stage["each"] or {}).values():
            assert re.fullmatch(r"\d+", value)
    # a decoding step over a cache of 5 + k: the projection 8·8, attention 2·8·(5 + k)
    decode = next(stage for stage in data["stages"] if stage["place"] == "decode")
    assert decode["pieces"][0]["differences"]["macs"] == [str(64 + 80), "16", "0"]


# The page in a browser


def totals(tab):
    """Name -> the exact numbers of the job and of each unit, as shown."""
    rows = tab.locator("[data-total]").all()
    return {row.get_attribute("data-total"): row.locator("td small").all_inner_texts() for row in rows}


def set_to(tab, **values):
    for name, value in values.items():
        number = tab.locator(f".slider[data-name={name}] input[type=number]")
        number.fill(value_text(value))
        number.press("Enter")


def assert_shown(tab, job):
    """Totals, units, stages and formulas are those of the job."""
    units = [row for row in job.per_units if row.unit.name != "video"]
    amounts = [job.total, *(row.total for row in units)]
    names = [quantity.name for quantity in of_layers()]
    assert totals(tab) == {name: [exact(amount[name]) for amount in amounts] for name in names}
    rows = tab.locator(".where tbody tr").evaluate_all(
        "rows => rows.map((row) => [row.cells[0].textContent, ...[2, 4].map((at) => row.cells[at].dataset.key)])"
    )
    leaves = [[leaf.place, str(leaf.runs * leaf.passes), str(leaf.total.macs)] for leaf in job.leaves]
    assert rows == leaves
    assert tab.locator("[data-formula=macs] .value").inner_text() == exact(job.macs)
    assert tab.locator("[data-formula=flops] .value").inner_text() == exact(job.flops)


def test_the_sliders_say_what_python_says(opened, job, text):
    with opened(text) as tab:
        assert tab.locator(".now .how").inner_text() == "as counted"
        assert_shown(tab, job)
        values = {"clips": 5, "steps": 33, "reuse": Fraction(1, 4), "new_tokens": 17, "fps": Fraction(25)}
        set_to(tab, **values)
        assert tab.locator(".now .how").inner_text() == "at the sliders"
        assert "reuse = 0.25" in tab.locator(".now .values").inner_text()
        assert_shown(tab, job.with_parameters(**values))
        passes = tab.locator(".slider[data-name=passes] input[type=range]")
        passes.focus()
        passes.press("ArrowLeft")
        assert_shown(tab, job.with_parameters(**values, passes=1))
        assert not tab.locator(".said").is_visible()
        numbers_in = tab.locator("[data-formula=macs] .numbers").inner_text()
        assert "floor(0.25·33)" in numbers_in  # a share is no integer, so it stays
        tab.locator("[type=reset]").press("Enter")
        assert_shown(tab, job)


def test_a_link_has_the_parameters_and_a_number_out_of_reach_is_said(opened, job, text):
    with opened(text, at="#steps=33&frames=1000000&foo=2") as tab:
        limit = tab.locator(".slider[data-name=frames] input[type=range]").get_attribute("max")
        said = tab.locator(".asked li").all_inner_texts()
        assert said == [
            f"frames goes from 1 to {limit} in steps of 1: {limit} is used, not 1000000",
            "there is nothing called foo to set",
        ]
        assert_shown(tab, job.with_parameters(steps=33, frames=int(limit)))
        set_to(tab, reuse=Fraction(33, 100))
        used = tab.locator(".slider[data-name=reuse] .used").inner_text()
        assert used == "reuse goes from 0 to 0.95 in steps of 0.05: 0.35 is used, not 0.33."
        tab.wait_for_function("hash => location.hash === hash", arg=f"#reuse=0.35&steps=33&frames={limit}")


def test_shares_and_the_bar_follow_the_chosen_quantity(opened, job, text):
    with opened(text) as tab:
        set_to(tab, steps=200)
        moved = job.with_parameters(steps=200)
        tab.locator("select.measure").select_option("bytes_read")
        shares = tab.locator(".where tbody tr td:last-child").all_inner_texts()
        parts = [100 * leaf.total.bytes_read / moved.total.bytes_read for leaf in moved.leaves]
        assert shares == [f"{part:.1f}%" for part in parts]
        widths = tab.locator(".whole rect").evaluate_all("bars => bars.map((bar) => bar.getAttribute('width'))")
        assert [float(width[:-1]) for width in widths] == pytest.approx(parts)
        tab.locator("input.digits").check()
        assert exact(moved.macs) in tab.locator(".where tfoot").inner_text()
        heading = tab.locator(".where thead th", has_text=re.compile("^MACs")).locator("button")
        heading.press("Enter")
        first = max(moved.leaves, key=lambda leaf: leaf.total.macs)
        assert tab.locator(".where tbody th").first.inner_text() == first.place


def test_a_repeat_that_is_no_whole_number_is_said_and_shows_no_total(opened, linear):
    job = Pipeline([Stage("a", linear, "n / 2"), Stage("b", linear, "12 - n"), Stage("c", linear, "8 // (n - 7)")], n=8)
    with opened(job_page(job, [job.cost("t4")], COMMAND)) as tab:
        set_to(tab, n=9)
        said = tab.locator(".said")
        assert "No total at these values." in said.inner_text()
        assert "a would run 4.5 times, which is no whole number of 0 or more" in said.inner_text()
        assert {
            text for texts in (row.all_inner_texts() for row in [tab.locator("[data-total=macs] b")]) for text in texts
        } == {"–"}
        assert tab.locator("[data-formula=macs] .value").inner_text() == "–"
        assert tab.locator("[data-device] td").first.inner_text() == "–"
        assert tab.locator(".where tbody tr").nth(1).locator(".runs").inner_text() == "3"
        set_to(tab, n=14)
        assert "b would run -2 times" in said.inner_text()
        set_to(tab, n=7)
        assert "how often c runs is a division by zero" in said.inner_text()
        set_to(tab, n=8)
        assert not said.is_visible()
        assert totals(tab)["macs"] == [exact(job.macs)]


def test_a_unit_that_there_is_none_of_has_no_number(opened, job, text):
    none = job.with_parameters(new_tokens=1)
    with opened(text) as tab:
        set_to(tab, new_tokens=1)
        assert totals(tab)["macs"][0] == exact(none.macs)
        assert totals(tab)["macs"][2] == exact(0)  # one token, and no pass of decode
        set_to(tab, fps=Fraction(1, 100))
        assert tab.locator("[data-unit='0'] .value").inner_text() == exact(8100)
    nothing = Pipeline(
        [Stage("a", linear_network()), Stage("b", linear_network(), "n - 1")], n=1, units=[Unit("b", "n - 1", "b")]
    )
    assert nothing.per_units == ()
    some = nothing.with_parameters(n=2)
    with opened(job_page(some, (), COMMAND)) as tab:
        set_to(tab, n=1)
        assert tab.locator("[data-unit='0'] .value").inner_text() == "0"
        assert tab.locator("[data-total=macs] b").all_inner_texts()[1] == "–"


def test_beyond_what_was_counted_the_page_says_so(opened, job, text):
    with opened(text) as tab:
        set_to(tab, new_tokens=100)
        said = tab.locator(".said").inner_text()
        assert "Beyond what was counted." in said
        assert "39 passes of decode were counted; beyond them its cost is taken to grow in the same way" in said
        assert totals(tab)["macs"][0] == exact(job.with_parameters(new_tokens=100).macs)


def test_the_sliders_move_what_devices_spend(opened, job, priced, text):
    def row(cost, of):
        cells = [duration(of.estimate), f"{duration(of.low)} to {duration(of.high)}", duration(of.bound)]
        amount = [] if of.money is None else [money(of.money.amount, of.money.currency)]
        return [*cells, *([] if of.energy is None else [joules(of.energy.mid)]), *amount]

    with opened(text) as tab:
        for moved in (job, job.with_parameters(steps=70, clips=4)):
            set_to(tab, **{name: moved.parameters[name] for name in ("steps", "clips")})
            costs = [moved.cost("t4", price="0.36EUR"), moved.cost("rtx-4090", dtype="amp", price=0.4)]
            for at, cost in enumerate(costs):
                shown = tab.locator(f"[data-device='{at}'] tbody tr").evaluate_all(
                    "rows => rows.map((row) => [...row.cells].slice(1).map((cell) => cell.textContent))"
                )
                units = [unit for unit in cost.units if unit.unit != "video"]
                assert shown == [row(cost, of) for of in (cost.over(1), *units)]
                stages = tab.locator(f"[data-spent='{at}'] tbody tr").evaluate_all(
                    "rows => rows.map((row) => row.cells[1].textContent)"
                )
                assert stages == [duration(stage.times.estimate) for stage in cost.stages]
            basis = "as counted" if moved is job else "in proportion to the passes"
            assert tab.locator("[data-device='0'] .basis").inner_text() == basis
        set_to(tab, new_tokens=20)
        assert tab.locator("[data-spent='0'] .basis").inner_text() == (
            "in proportion to the passes; those of decode along a few priced ones"
        )


def test_layers_are_as_counted_and_sum_to_the_total(opened, job, text):
    with opened(text) as tab:
        set_to(tab, steps=77)
        for depth in ("1", "2", "-1"):
            tab.locator("select.depth").select_option(depth)
            keys = tab.locator(".layers tbody tr:visible").evaluate_all(
                "rows => rows.map((r) => r.cells[4].dataset.key)"
            )
            assert sum(map(int, keys)) == job.macs
        tab.locator("input.filter").fill("linear encode")
        assert "of" in tab.locator(".found").inner_text()


@pytest.mark.slow
def test_light_dark_narrow_and_paper(opened, text):
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(text, color_scheme="dark") as tab:
        assert tab.evaluate(ground) == "rgb(13, 17, 23)"
        tab.locator("#theme").press("Enter")
        assert tab.evaluate(ground) == "rgb(255, 255, 255)"
        tab.locator("#theme").press("Enter")
        tab.emulate_media(media="print", color_scheme="dark")
        assert tab.evaluate(ground) == "rgb(255, 255, 255)"
        assert not tab.locator(".controls:visible, #theme:visible, input:visible").count()
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert tab.pdf().startswith(b"%PDF")
    with opened(text, viewport={"width": 390, "height": 800}) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.slow
def test_everything_is_reached_by_tab_and_has_a_name(opened, text):
    with opened(text) as tab:
        nameless = tab.evaluate(
            "[...document.querySelectorAll('button, input, select, a, [tabindex]')]"
            ".filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML)"
        )
        assert nameless == []
        reached = set()
        for _ in range(40):
            tab.keyboard.press("Tab")
            reached.add(
                tab.evaluate(
                    "document.activeElement.closest('.slider')?.dataset.name ?? document.activeElement.className"
                )
            )
            assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        assert {"clips", "new_tokens", "reuse", "steps", "passes", "frames", "fps", "measure", "digits"} <= reached


def test_the_scripts_leave_nothing_on_the_window(opened, text):
    keys = "Object.getOwnPropertyNames(window).sort()"
    bare = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    with opened(bare.replace("<html ", "<html data-drawn=yes ")) as tab:
        before = tab.evaluate(keys)
    with opened(text) as tab:
        set_to(tab, steps=3)
        assert tab.evaluate(keys) == before


# The command

TWO_STREAM = Path(__file__).parents[2] / "examples" / "pipelines" / "two_stream_tvl1.toml"


def run(*words):
    return CliRunner().invoke(app, ["pipeline", *words], catch_exceptions=False)


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "job.toml").write_text(
        '[parameters]\nn = 3\n[[stages]]\nname = "a"\nmodel = "toy_3d_cnn"\ntimes = "n"\n'
    )
    return str(tmp_path / "job.toml")


def test_the_command_writes_the_page_with_itself_on_it(toy, tmp_path):
    page = tmp_path / "page.html"
    words = [toy, "--set", "n=7", "--on", "t4", "--dtype", "amp", "--compile", "--price", "0.4"]
    assert run(*words, "--by", "module", "--html", str(page)).exit_code == 0
    made = re.search(r'<p class="made"><code>(.*?)</code>', page.read_text())[1]
    assert made == f"flopcount pipeline {toy} --set n=7 --dtype amp --on t4 --compile --price 0.4 --html FILE"
    assert "n = 7" in page.read_text()
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_page_that_cannot_be_written_is_refused_before_counting(toy, tmp_path, monkeypatch):
    def counting(*_args, **_options):
        raise AssertionError("it was counted")

    monkeypatch.setattr("flopcount.pipelines.pipeline_file.read_pipeline", counting)
    for path in (tmp_path / "no" / "page.html", tmp_path):
        result = run(toy, "--html", str(path))
        assert result.exit_code == 2
        assert f"cannot write {path}" in result.stderr
    for name in [name for name in sys.modules if name.partition(".")[0] == "jinja2"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = run(toy, "--html", str(tmp_path / "page.html"))
    assert result.exit_code == 2
    assert "a page needs jinja2, which is not installed" in result.stderr
    assert not (tmp_path / "page.html").exists()


@pytest.mark.slow
def test_the_example_of_two_streams(opened):
    job = read_pipeline(TWO_STREAM)
    with opened(job_page(job, (), COMMAND)) as tab:
        set_to(tab, samples=3, crops=1)
        assert_shown(tab, job.with_parameters(samples=3, crops=1))
        moved = 3 * (job.stages[1].report.total.macs + job.stages[2].report.total.macs)
        assert totals(tab)["macs"][0] == exact(moved)
        assert si(moved) == tab.locator("[data-total=macs] b").first.inner_text()
