"""The page of a difference: what it says without its scripts, and that they say what Python says at every depth."""

import json
import re
import sys
from collections import OrderedDict
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from flopcount import count_flops, diff, read_report
from flopcount.analysis.difference import LABELS, Change
from flopcount.cli import app
from flopcount.core.units import exact, signed
from flopcount.output.cells import cells
from flopcount.publishing.interactive import diff_data as diff_data_module
from flopcount.publishing.interactive import diff_sections as diff_sections_module
from flopcount.publishing.interactive.diff_data import MOST_BARS, diff_data
from flopcount.publishing.interactive.diff_page import diff_page

COMMAND = "flopcount diff old.json new.json --html FILE"
EVIL = "</script><img src=x onerror=alert(1)>&amp;\u2028"
GROUPS, EACH = 6, 5


class Odd(nn.Module):
    """An operator that no rule knows."""

    def forward(self, x):
        return torch.linalg.qr(x)[0]


def net(width, *more, pool=nn.Identity):
    """Blocks of linear layers, all of which differ with the width; a stem that does not, and what stands behind."""
    blocks = [
        nn.Sequential(*(nn.Linear(8 if i == 0 else width, 8 if i == EACH - 1 else width) for i in range(EACH)))
        for _ in range(GROUPS)
    ]
    return nn.Sequential(OrderedDict(stem=nn.Linear(8, 8), blocks=nn.Sequential(*blocks), pool=pool(), **dict(more)))


def counted(module, **options):
    return count_flops(module, (2, 8), **options)


@pytest.fixture(scope="module")
def change():
    old = counted(net(4, ("head", nn.Linear(8, 3))))
    return diff(old, counted(net(6, ("top", nn.Linear(8, 4)), ("odd", nn.ReLU()), pool=nn.Dropout)))


@pytest.fixture(scope="module")
def text(change):
    return diff_page(change, COMMAND, ("old.json", "new.json"))


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


def test_a_page_needs_no_other_file_and_is_small(change, text):
    tags = Tags(text)
    for tag, attributes in tags.tags:
        assert not {"src", "srcset", "poster", "action", "style", "href"} & set(attributes) or tag == "link", tag
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"@import|url\(", tags.inside["style", ""])
    policy = next(a["content"] for t, a in tags.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert len(text.encode()) < 100_000
    assert diff_page(change, COMMAND, ("old.json", "new.json")) == text


def test_a_page_says_everything_without_its_scripts(change, text):
    shown = without_scripts(text)
    for total in change.totals:
        assert exact(total.old[0]) in shown, total.quantity.name
        assert exact(total.new[0]) in shown, total.quantity.name
        assert total.relative in shown, total.quantity.name
    for layer in change.layers:
        if layer.path and any(side.own for side in layer.sides):
            assert f">{layer.path}</th>" in shown
    for words in (COMMAND, "old.json", "new.json", "2×8 float32", "counted with"):
        assert words in shown
    # 30 linear layers of the blocks are wider; a head was taken off, a top and an activation put on, a pool exchanged;
    # and the output of the whole has another shape, which is no row
    differing = [layer.path for layer in change.layers if layer.change is not Change.UNCHANGED]
    assert len(differing) == GROUPS * EACH + 5
    assert differing[0] == ""
    assert "34 of 35 layers differ: 2 added, 1 removed, 31 changed." in shown


def picture(text):
    """The picture without its script: its depth, the names and differences of its bars, and what stands below."""
    where = without_scripts(text)
    where = where[where.index('class="where"') : where.index('class="in-layers"')]
    depth = re.search(r'<option value="(\d+)" selected>', where)
    names = re.findall(r'<span class="layer">(\S+) ', where)
    steps = re.findall(r'<span class="step">(.*?)</span>', where)
    widths = [float(width) for width in re.findall(r'width="([\d.]+)%" height="12"', where)]
    more = re.search(r'<p class="more" role="status">(.*?)</p>', where)[1]
    return int(depth[1]) if depth else -1, names, steps, widths, more


def test_the_picture_is_at_the_deepest_level_that_it_shows_most_of(change, text, monkeypatch):
    # in two rows: 3 layers of a block have 2·(6·6 − 4·4) MACs more each, its first and last 2·(8·6 − 8·4); top has
    # 2·8·4 more, head 2·8·3 less
    depth, names, steps, _, more = picture(text)
    assert depth == -1
    assert names[:3] == ["top", "head", "blocks.0.1"]
    assert steps == ["+64", "−48", *["+40"] * 18]
    assert more == f"and 12 more layers: +{12 * 32}"
    # 8 bars would hold 64 + 48 + 6·40 of 1,216, which is less than half
    monkeypatch.setattr(diff_sections_module, "MOST_BARS", GROUPS + 2)
    depth, names, steps, widths, more = picture(diff_page(change, COMMAND))
    assert (depth, more) == (2, "")
    assert names == [*(f"blocks.{group}" for group in range(GROUPS)), "top", "head"]
    assert steps == [*[f"+{3 * 40 + 2 * 32}"] * GROUPS, "+64", "−48"]
    # on one scale from the most to the least
    assert widths == pytest.approx([*[100 * 184 / 232] * GROUPS, 100 * 64 / 232, 100 * 48 / 232], abs=1e-3)


def test_names_are_text_wherever_they_stand(change):
    tags = Tags(diff_page(change, EVIL, (EVIL, EVIL)))
    assert not {tag for tag, _ in tags.tags} & {"img"}
    assert len([tag for tag, _ in tags.tags if tag == "script"]) == 2
    json.loads(tags.inside["script", "data"])


def test_what_is_not_counted_and_what_is_assumed_comes_first():
    old = counted(net(4))
    new = replace(counted(net(4, ("odd", Odd()))), assumed=("the mask is full",))
    shown = without_scripts(diff_page(diff(old, new), COMMAND))
    first = shown[: shown.index('id="totals"')]
    assert "Not everything is counted." in first
    assert "UNCOSTED aten.linalg_qr: 1 call in odd" in first
    assert "(new)" in first
    assert "assumed: the mask is full (new)" in first


def row_of(text, name):
    """The cells of a total, as text."""
    row = re.search(rf'<tr data-total="{name}">(.*?)</tr>', text)[1]
    return [re.sub("<.*?>", " ", cell).split() for cell in re.findall(r"<td.*?>(.*?)</td>", row)]


def test_a_total_that_a_report_lacks_is_said_to_be_unknown_and_is_not_zero(tmp_path):
    (tmp_path / "old.json").write_text(counted(net(4)).to_json())
    saved = read_report(tmp_path / "old.json")
    rows = tuple(
        replace(
            row,
            cost=row.cost.only(set(row.cost.counts) - {"bytes_read"}),
            own=row.own.only(set(row.own.counts) - {"bytes_read"}),
        )
        for row in saved.modules
    )
    older = replace(saved, modules=rows, total=saved.total.only(set(saved.total.counts) - {"bytes_read"}))
    shown = without_scripts(diff_page(diff(older, saved), COMMAND))
    cells_of = row_of(shown, "bytes_read")
    assert cells_of[0] == ["–", "not", "known"]
    assert cells_of[2] == ["–"]
    assert cells_of[3] == ["not", "known", "of", "the", "old", "one"]
    assert row_of(shown, "macs")[3] == ["the", "same"]
    assert "Δ read" not in shown
    assert "Δ written" in shown


def test_words_of_differences():
    narrow, wide, none = counted(net(4)), counted(net(6)), counted(nn.Identity())
    said = {
        name: row_of(without_scripts(diff_page(diff(old, new), COMMAND)), "params")[3]
        for name, old, new in (
            ("more", narrow, wide),
            ("less", wide, narrow),
            ("gone", wide, none),
            ("new", none, wide),
            ("many", counted(nn.Linear(8, 1, bias=False)), counted(nn.Linear(8, 8, bias=False))),
        )
    }
    assert said["more"][1] == "more"
    assert said["less"][1] == "less"
    assert said["gone"] == ["−100.0%", "none", "left"]
    assert said["new"] == ["none", "before"]
    assert said["many"] == ["+700.0%", "8.00", "times", "as", "much"]


def test_equal_reports_have_no_bars():
    same = diff(counted(net(4)), counted(net(4)))
    shown = without_scripts(diff_page(same, COMMAND))
    assert "None of 31 layers differs." in shown
    assert "No layer differs in it." in shown
    assert 'value="differs"' not in shown


def test_times_on_a_device_are_compared(change):
    def priced(module):
        return counted(module).cost("t4").result

    shown = without_scripts(diff_page(diff(priced(net(4)), priced(net(6))), COMMAND))
    assert row_of(shown, "time")[0][1] in ("µs", "ns", "ms")
    assert "Δ time" in shown
    assert "priced on" in shown
    one = without_scripts(diff_page(diff(counted(net(4)), priced(net(6))), COMMAND))
    assert row_of(one, "time")[3] == ["not", "known", "of", "the", "old", "one"]
    assert "only one side is priced, so no time is compared" in one


def test_deep_layers_stand_in_the_rows_above_them(change, monkeypatch):
    monkeypatch.setattr(diff_data_module, "_MOST_ROWS", 14)
    data = diff_data(change)
    assert len(data["layers"]) <= 14
    at = [quantity["name"] for quantity in data["quantities"]].index("macs")
    assert sum(int(layer["old"][at]) for layer in data["layers"]) == change.old.total.macs
    assert sum(int(layer["new"][at]) for layer in data["layers"]) == change.new.total.macs
    assert "Deeper ones stand in the rows above them." in diff_page(change, COMMAND)


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_stand_out_from_the_ground(text):
    style = Tags(text).inside["style", ""]
    found = {name: re.findall(rf"--{name}: (#\w{{6}})", style) for name in ("ground", "ink", "faded", "more", "less")}
    for at in (0, -1):
        ground = luminance(found["ground"][at])
        for name in ("ink", "faded", "more", "less"):
            light, dark = sorted((ground, luminance(found[name][at])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, name


# The page in a browser


def bars(tab):
    """Of each bar the layer, the difference and the width."""
    return tab.locator(".bars li").evaluate_all(
        "rows => rows.map((row) => [row.children[0].textContent.split(' ')[0], row.children[2].textContent,"
        " row.querySelector('rect').getAttribute('width')])"
    )


def shown_texts(tab):
    """The visible rows, as texts of cells."""
    return tab.locator(".differences tbody tr:visible").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )


def expected(change, depth):
    """The rows of Python's table at a depth that have numbers."""
    quantities = [quantity for quantity in change.steps if quantity.name != "params"]
    rows = [row for row in change.rows(depth) if row.differs and row.counts]
    columns = change.columns(quantities)
    return [cells(columns, row.cells(change.name_of(row.path), quantities)) for row in rows]


def test_the_scripts_say_what_python_says_at_every_depth(opened, change, text):
    with opened(text) as tab:
        columns = tab.locator(".differences thead th").all_inner_texts()
        names = [column.name for column in change.columns(change.steps)]
        assert sorted(columns) == sorted(names)
        places = [columns.index(name) for name in names if not name.endswith("params")]
        for depth in (-1, 1, 2):
            tab.locator(".in-layers .depth").select_option(str(depth))
            rows = [[row[at] for at in places] for row in shown_texts(tab)]
            numbers = [row for row in rows if any(row[len(LABELS) :])]
            assert numbers == expected(change, depth)
            total = tab.locator(".differences tfoot tr").last.locator("td, th").all_inner_texts()
            assert total[columns.index("Δ MACs")] == signed(change.macs)
            assert total[columns.index("Δ params")] == signed(change.params)
        tab.locator(".in-layers .exact").check()
        assert exact(change.new.total.macs) in tab.locator(".differences tfoot").inner_text()


def test_the_picture_follows_quantity_and_depth_and_says_how_many_more(opened, change, text):
    with opened(text) as tab:
        _, names, texts, widths, more = picture(text)  # which the script draws anew
        assert [bar[:2] for bar in bars(tab)] == [[name, step] for name, step in zip(names, texts, strict=True)]
        assert [float(bar[2].rstrip("%")) for bar in bars(tab)] == pytest.approx(widths, abs=1e-3)
        assert tab.locator(".more").inner_text() == more
        assert len(bars(tab)) == MOST_BARS
        steps = sorted((row.new_cost.macs - row.old_cost.macs for row in change.rows()), key=lambda step: -abs(step))
        steps = [step for step in steps if step]
        assert [bar[1] for bar in bars(tab)] == [signed(step) for step in steps[:MOST_BARS]]
        more = steps[MOST_BARS:]
        assert tab.locator(".more").inner_text() == f"and {len(more)} more layers: {signed(sum(more))}"
        tab.locator(".where .measure").select_option("bytes_written")
        tab.locator(".where .depth").select_option("1")
        written = {
            row.path: row.new_cost.bytes_written - row.old_cost.bytes_written
            for row in change.rows(1)
            if row.new_cost.bytes_written != row.old_cost.bytes_written
        }
        assert {bar[0]: bar[1] for bar in bars(tab)} == {path: signed(step, "B") for path, step in written.items()}


def test_rows_are_sorted_and_filtered_and_still_add_up(opened, change, text):
    with opened(text) as tab:
        columns = tab.locator(".differences thead th").all_inner_texts()
        at = columns.index("new MACs")
        foot = tab.locator(".differences tfoot tr")
        assert tab.locator(".found").inner_text() == "34 of 35 layers."
        for kind, shown in (("added", 2), ("removed", 1), ("changed", 31), ("unchanged", 1), ("", 35)):
            tab.locator(".in-layers .show").select_option(kind)
            keys = tab.locator(".differences tbody tr:visible").evaluate_all(
                f"rows => rows.map((row) => row.cells[{at}].dataset.key)"
            )
            assert len(keys) == shown
            rest = int(foot.first.locator("td, th").nth(at).get_attribute("data-key"))
            assert sum(map(int, keys)) + rest == change.new.total.macs
            assert foot.first.is_visible() == (shown < 35)
        tab.locator(".in-layers .filter").fill("linear top")
        assert [row[0] for row in shown_texts(tab)] == ["top"]
        assert foot.first.locator("th").inner_text() == "34 not shown"
        tab.locator(".in-layers .filter").fill("")
        heading = tab.locator(".differences thead button", has_text=re.compile("^Δ MACs"))
        heading.press("Enter")
        assert shown_texts(tab)[0][0] == "top"  # 2·8·4 more
        heading.press("Enter")
        assert shown_texts(tab)[0][0] == "head"  # which is gone


@pytest.mark.slow
def test_light_dark_narrow_and_paper(opened, text):
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened(text, color_scheme="dark") as tab:
        assert tab.evaluate(ground) == "rgb(13, 17, 23)"
        tab.locator("#theme").press("Enter")
        assert tab.evaluate(ground) == "rgb(255, 255, 255)"
        tab.emulate_media(media="print", color_scheme="dark")
        assert tab.evaluate(ground) == "rgb(255, 255, 255)"
        assert not tab.locator("#theme:visible, input:visible, select:visible").count()
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        tab.emulate_media(media="screen")
        for width in (400, 900, 1400):
            tab.set_viewport_size({"width": width, "height": 800})
            assert tab.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.slow
def test_everything_is_reached_by_tab_and_has_a_name(opened, text):
    with opened(text) as tab:
        nameless = tab.evaluate(
            "[...document.querySelectorAll('button, input, select, a, [tabindex]')]"
            ".filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML)"
        )
        assert nameless == []
        reached = set()
        for _ in range(12):
            tab.keyboard.press("Tab")
            reached.add(tab.evaluate("document.activeElement.className"))
            assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        assert {"measure", "depth", "show", "filter", "exact"} <= reached


# The command


def run(*words):
    return CliRunner().invoke(app, ["diff", *words], catch_exceptions=False)


@pytest.fixture
def saved(tmp_path):
    paths = SimpleNamespace(old=tmp_path / "old.json", new=tmp_path / "new.json", page=tmp_path / "page.html")
    paths.old.write_text(counted(net(4)).to_json())
    paths.new.write_text(counted(net(6)).to_json())
    return paths


def test_the_command_writes_the_page_with_itself_on_it_beside_the_table(saved):
    result = run(str(saved.old), str(saved.new), "--html", str(saved.page), "--depth", "1", "--exit-code")
    assert result.exit_code == 1
    assert "Δ MACs" in result.stdout
    page = saved.page.read_text()
    made = re.search(r'<p class="made"><code>(.*?)</code>', page)[1]
    assert made == f"flopcount diff {saved.old} {saved.new} --html FILE"
    assert f"{saved.old}" in re.search(r"<h1>(.*?)</h1>", page)[1]


def test_a_page_that_cannot_be_written_is_refused_before_counting(saved, tmp_path, monkeypatch):
    def counting(*_args, **_options):
        raise AssertionError("it was read")

    monkeypatch.setattr("flopcount.output.report_json_reader.read_report", counting)
    for path in (tmp_path / "no" / "page.html", tmp_path):
        result = run(str(saved.old), str(saved.new), "--html", str(path))
        assert result.exit_code == 2
        assert f"cannot write {path}" in result.stderr
    for name in [name for name in sys.modules if name.partition(".")[0] == "jinja2"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = run(str(saved.old), str(saved.new), "--html", str(saved.page))
    assert result.exit_code == 2
    assert "a page needs jinja2, which is not installed" in result.stderr
    assert not saved.page.exists()


def test_two_jobs_have_a_page_with_their_times(tmp_path):
    for name, times in (("a", 2), ("b", 5)):
        job = f'name = "job"\n[[stages]]\nname = "s"\nmodel = "toy_3d_cnn"\nclip = "8x16x16"\ntimes = {times}\n'
        (tmp_path / f"{name}.toml").write_text(job)
    page, paths = tmp_path / "page.html", [str(tmp_path / "a.toml"), str(tmp_path / "b.toml")]
    result = run(*paths, "--on", "t4", "--dtype", "amp", "--html", str(page))
    assert result.exit_code == 0, result.stderr
    shown = without_scripts(page.read_text())
    assert f"<code>flopcount diff {' '.join(paths)} --dtype amp --on t4 --html FILE</code>" in shown
    assert row_of(shown, "macs")[3] == ["+150.0%", "2.50", "times", "as", "much"]
    assert row_of(shown, "time")[3][0].startswith("+")
    assert "t4, amp, eager, nchw" in shown
    refused = run(*paths, "--dtype", "float16")
    assert refused.exit_code == 2
    assert "--dtype is for models, and neither side is one" in refused.stderr
