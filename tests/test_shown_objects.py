"""How every object shows itself: in one line at a prompt, as HTML in a notebook, without counting anything for it."""

import pickle
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser

import pytest
import torch
from torch import nn

import flopcount
from flopcount import Budget, ModelSpec, Pipeline, Stage, Unit, count_flops
from flopcount.core.one_line import LONGEST, OneLine
from flopcount.core.shown_as_tables import ShownAsTable, ShownAsTables
from flopcount.facts import devices, measured_times, prices, published
from flopcount.models import CARDS
from flopcount.pipelines.growing import Growing
from flopcount.tracing import climbing
from flopcount.verification import verify_lecture, verify_published

HOSTILE = "<script>alert(1)</script>"
VOID = ("br", "img")


class Net(nn.Module):
    """Clips (B, 3, T, H, W) -> scores; one of its layers, and its class, have names that are HTML."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 8, 3, padding=1)
        self.add_module(HOSTILE, nn.Sequential(*(nn.Conv3d(8, 8, 1) for _ in range(4))))
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(self.get_submodule(HOSTILE)(self.conv(x)).mean((2, 3, 4)))


Net.__name__ = "<b>Net</b>"


@pytest.fixture(scope="module")
def shown():
    """One of every kind of object that is read as tables, by a word for it."""
    net, shape = Net().eval(), (2, 3, 4, 16, 16)
    report = count_flops(net, shape, views="10x3", fps=30)
    step = count_flops(net, shape, mode="train", optimizer="adamw")
    stages = [Stage("a", report.with_dataflow(), 2), Stage("b", report.with_dataflow(), "2 * steps")]
    job = Pipeline(stages, steps=5, units=[Unit("second", "steps / 2")], name=HOSTILE)
    with flopcount.counting(net) as block:
        net(torch.zeros(shape))
    form = report.formula("THW")
    return {
        "report": report,
        "training": step.training.over(10, 1000),
        "training report": step,
        "table": report.by_module(),
        "cost": report.cost("rtx-4090", price=1.5),
        "span": report.span,
        "memory": report.memory,
        "explanation": report.explain(""),
        "closed form": form,
        "receptive field": report.receptive_field(),
        "streaming": flopcount.streaming(net, shape),
        "check": flopcount.check(net, (1, 3, 2, 8, 8)),
        "difference": flopcount.diff(report, count_flops(net, (2, 3, 8, 16, 16))),
        "sweep": flopcount.sweep(lambda frames: (Net(), (1, 3, frames, 8, 8)), {"frames": [2, 4]}),
        "largest clips": flopcount.largest_clips(form, "1GMACs", frames=(4, 8)),
        "measurement": flopcount.measure(net, torch.zeros(1, 3, 2, 8, 8), repeats=2, warmup=1, layers=True),
        "pipeline": job,
        "cost of a job": job.cost("rtx-4090"),
        "formula of a job": job.formula(),
        "explanation of a job": job.explain("a.conv"),
        "block": block,
        "comparison": flopcount.compare(["x3d_xs"]),
        "budgets": flopcount.check_budgets([Budget(HOSTILE, ModelSpec("toy_3d_cnn"), {"max-gmacs": 10**12})]),
    }


@pytest.fixture(scope="module")
def plain(shown, tmp_path_factory):
    """Those that are not read as tables."""
    report = shown["report"]
    path = tmp_path_factory.mktemp("reports") / "report.json"
    path.write_text(report.to_json())
    return {
        "saved": flopcount.read_report(path),
        "released": report.released(),
        "batch": flopcount.largest_batch(lambda n: count_flops(nn.Linear(4, 4), (n, 4)).with_dataflow(), "1MB"),
        "growing": Growing(lambda k: count_flops(nn.Linear(4, 4), (k + 1, 4))),
        "trace": flopcount.trace(nn.Linear(4, 4), (torch.zeros(2, 4),)),
        "facts": (*devices()[:3], prices()[0], published()[0], measured_times()[0], CARDS["c3d"]),
        "verdicts": (*verify_lecture()[:2], *verify_published(network="toy_3d_cnn")),
        "model": ModelSpec.of("c3d", clip="16x112x112", options={"pool5_padding": False}),
        "dtype": flopcount.Setting.named("rtx-4090", "amp"),
    }


def reached(roots):
    """Every object of the package that is held by these, one of each class and path of attributes."""
    found, seen = {}, set()

    def walk(value, path):
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, Mapping) and not isinstance(value, OneLine):
            for key in list(value)[:3]:
                walk(value[key], f"{path}[{key}]")
        elif type(value) in (tuple, list):
            for item in value[:6]:
                walk(item, f"{path}[]")
        elif type(value).__module__.startswith("flopcount"):
            found[path] = value
            names = [entry.name for entry in fields(value)] if is_dataclass(value) else []
            kept = vars(value) if hasattr(value, "__dict__") else {}  # what cached properties have found
            names += getattr(value, "_fields", ()) if isinstance(value, tuple) else kept
            for name in (name for name in dict.fromkeys(names) if not name.startswith("_")):
                walk(getattr(value, name), f"{path}.{name}")

    for name, root in roots.items():
        walk(root, name)
    return found


def test_whatever_is_reached_has_a_repr_of_one_line(shown, plain, monkeypatch):
    """And none of them counts anything for it."""

    def refuse(*_, **__):
        raise AssertionError("a repr traces")

    for value in shown.values():
        str(value)  # fills what is computed once
    objects = reached({**shown, **plain})
    monkeypatch.setattr(climbing, "_climb", refuse)
    assert len({type(value) for value in objects.values()}) > 60
    for path, value in objects.items():
        text = repr(value)
        assert len(text) <= LONGEST, (path, text)
        assert text.isprintable(), (path, text)
        assert type(value).__name__ in text, (path, text)


def kinds_of(kind):
    return [kind, *(further for below in kind.__subclasses__() for further in kinds_of(below))]


def test_every_kind_that_is_loaded_has_a_headline(shown, plain):
    """A dataclass has that of its fields; and none goes another way than the rest."""
    kinds = [kind for kind in kinds_of(OneLine) if kind not in (OneLine, ShownAsTables, ShownAsTable)]
    assert len(kinds) > 100
    for kind in kinds:
        assert is_dataclass(kind) or kind._headline is not OneLine._headline, kind
        assert kind.__repr__ is OneLine.__repr__, kind


def test_a_repr_says_what_it_is_of_and_its_number(shown, plain):
    report, macs = shown["report"], f"{shown['report'].macs:,}"
    assert repr(report) == f"<Report <b>Net</b>: {report.sentence()}>"
    assert repr(plain["saved"]) == f"<SavedReport <b>Net</b>: {macs} MACs, {report.params:,} parameters>"
    assert repr(shown["training"]).startswith(f"<Training <b>Net</b>: {shown['training'].total.macs:,} MACs per step")
    assert repr(shown["closed form"]) == f"<ClosedForm <b>Net</b> on 2×3×T×H×W: MACs = {shown['closed form'].text()}>"
    assert repr(report.module("fc")) == "<ModuleRow fc (Linear): 160 MACs, 90 parameters>"
    assert repr(plain["trace"]) == "<Trace 1 operations on f32[2,4], engine meta>"
    assert (
        repr(shown["pipeline"])
        == f"<Pipeline {HOSTILE}: {12 * report.macs:,} MACs, {report.params:,} parameters, 2 stages>"
    )
    assert repr(plain["model"]) == "<ModelSpec c3d on 16×112×112: pool5_padding=False>"
    assert repr(plain["growing"]) == "<Growing passes, 0 of them counted>"
    assert repr(report.calls[0]) == "<ModuleCall conv: 2×3×4×16×16 -> 2×8×4×16×16>"
    assert "rtx-4090, fp32, eager, nchw: " in repr(shown["cost"])


@pytest.mark.parametrize("name", ["report", "training", "span", "memory", "cost", "sweep", "pipeline", "difference"])
def test_a_pickled_object_shows_itself_as_before(shown, name):
    again = pickle.loads(pickle.dumps(shown[name]))
    assert repr(again) == repr(shown[name])
    assert again._repr_html_() == shown[name]._repr_html_()


def test_a_receptive_field_that_cannot_be_computed_any_more_still_has_a_repr():
    released = count_flops(nn.Conv2d(3, 4, 3), (1, 3, 8, 8)).released()
    assert "not computed yet" in repr(released.receptive_field)


class Elements(HTMLParser):
    """Which elements there are, and the text in them; refuses what is not closed in its order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.names, self.links, self.text = [], set(), [], []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def test_what_is_read_as_tables_is_html_in_a_notebook(shown):
    for name, value in shown.items():
        elements = Elements(value._repr_html_())
        assert elements.names <= {"div", "b", "table", "thead", "tbody", "tfoot", "tr", "th", "td", "span", "a"}, name
        assert all(link.startswith("https://") for link in elements.links), name
        text = "".join(elements.text)
        tables = list(value._tables()) if isinstance(value, ShownAsTables) else [value]
        for table in tables:
            assert table.title in text, name
            assert all(note in text for note in table.notes), name
        assert any(table.rows for table in tables), name


def test_names_are_escaped(shown):
    for name in ("report", "training", "explanation", "pipeline", "budgets"):
        html = shown[name]._repr_html_()
        assert HOSTILE not in html, name
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html, name


def test_a_source_is_a_link(shown):
    """The rule of convolution names papers; punctuation behind an address is no part of it."""
    links = Elements(shown["explanation"]._repr_html_()).links
    assert "https://arxiv.org/abs/1412.0767" in links
    assert not any(link.endswith((".", ",", ";", ")")) for link in links)
