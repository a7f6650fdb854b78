"""The scripts of a job's page alone: they compute and write what Python does."""

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from whole_jobs import growing, linear_network, whole_job

from flopcount import Pipeline, Stage
from flopcount.core.errors import InputError
from flopcount.core.quantity import TABLE
from flopcount.core.units import duration, joules, money
from flopcount.count import count
from flopcount.pipelines.expression import Expression
from flopcount.pipelines.pipeline_reader import read_saved_pipeline
from flopcount.publishing.interactive.job_data import job_data
from flopcount.publishing.interactive.job_parameters import value_text
from flopcount.publishing.interactive.scripts import one_script
from flopcount.publishing.interactive.template import asset


@pytest.fixture(scope="module")
def job():
    return whole_job()


@pytest.fixture(scope="module")
def priced(job):
    return [job.cost("t4", price="0.36EUR"), job.cost("rtx-4090", dtype="amp", price=0.4)]


# The scripts without a page


@pytest.fixture(scope="module")
def scripts(chromium):
    """Runs a function of (what modules export, an argument) in a browser; `names` are by module."""
    with chromium.new_context() as context:
        tab = context.new_page()

        def run(names, function, argument):
            lines = [f'import {{ {", ".join(of)} }} from "./{module}.js";' for module, of in names.items()]
            wanted = ", ".join(name for of in names.values() for name in of)
            entry = "\n".join([*lines, f"export const wanted = {{ {wanted} }};"])
            script = one_script("entry", lambda name: entry if name == "entry.js" else asset(name))
            return tab.evaluate(
                f"([script, argument]) => ({function})(new Function(script)(), argument)",
                [f"{script}\nreturn $entry.wanted;", argument],
            )

        yield run


def exactly(value):
    value = Fraction(value)
    return f"{value.numerator}/{value.denominator}"


EVALUATED = """({ evaluated, parsed }, asked) => asked.map(([expression, values]) => {
    const at = Object.fromEntries(Object.entries(values).map(([key, text]) => [key, parsed(text)]));
    const found = evaluated(expression, at);
    return found === null ? null : `${found[0]}/${found[1]}`;
})"""


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("7 // -2", "-4"),
        ("-7 // -2", "3"),
        ("-6 // 2", "-3"),
        ("7 % 3", "1"),
        ("-7 % 3", "2"),
        ("7 % -3", "-2"),
        ("-7 % -3", "-1"),
        ("5.5 % 2", "3/2"),
        ("-0.5 % 0.3", "1/10"),
        ("1.5 // 0.4", "3"),
        ("floor(-0.5)", "-1"),
        ("floor(0.5)", "0"),
        ("floor(-2)", "-2"),
        ("ceil(-0.5)", "0"),
        ("ceil(0.5)", "1"),
        ("ceil(2)", "2"),
        ("min(3, -0.5, 2)", "-1/2"),
        ("max(3, -0.5, 7 / 2)", "7/2"),
        ("min(-1 / 3, -1 / 2)", "-1/2"),
        ("-(2 - 5) * +4", "12"),
        ("0.1 + 0.2", "3/10"),
        ("0.3 * 50", "15"),
        ("1 / 3 / -2", "-1/6"),
    ],
)
def test_arithmetic_of_the_script(scripts, expression, value):
    of = Expression.of(expression)
    assert of.value({}) == Fraction(value)
    assert scripts({"rational": ["evaluated", "parsed"]}, EVALUATED, [[of.data(), {}]]) == [exactly(Fraction(value))]


def expressions(names):
    numbers = st.one_of(st.integers(0, 99).map(str), st.sampled_from(["0.3", "0.25", "1.75", "10.5"]))
    leaves = st.one_of(numbers, st.sampled_from(names))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(
                lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
            ),
            st.tuples(st.sampled_from(["floor", "ceil", "-"]), inner).map(lambda parts: f"{parts[0]}({parts[1]})"),
            st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
        ),
        max_leaves=8,
    )


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_expression_has_the_value_of_python(scripts, data):
    """Forty at a time, since a call of the browser takes longer than what it computes."""
    values = st.fractions(min_value=-20, max_value=20, max_denominator=12)
    drawn = data.draw(st.lists(st.tuples(expressions(["a", "b"]), values, values), min_size=40, max_size=40))
    asked, expected = [], []
    for text, a, b in drawn:
        expression = Expression.of(text)
        asked.append([expression.data(), {"a": exactly(a), "b": exactly(b)}])
        try:
            expected.append(exactly(expression.value({"a": a, "b": b})))
        except InputError:
            expected.append(None)
    assert scripts({"rational": ["evaluated", "parsed"]}, EVALUATED, asked) == expected


def test_values_are_written_as_python_writes_them(scripts):
    values = [
        Fraction(text) for text in ("0", "50", "-3", "0.3", "-0.05", "29.97", "24000/1001", "1/3", "-2/7", "0.0001")
    ]
    function = "({ parsed, written }, texts) => texts.map((text) => written(parsed(text)))"
    texts = [value_text(int(v) if v.denominator == 1 else v) for v in values]
    assert scripts({"rational": ["parsed", "written"]}, function, texts) == texts


def test_what_is_spent_is_written_as_python_writes_it(scripts):
    values = [10**power * mantissa for power in range(-9, 8) for mantissa in (1.0, 1.2345, 2.5, 9.994, 9.996)]
    values += [0.0, 119.9, 120.0, 7199.0, 7200.0, 172_800.0, 3600.0, 3599.4, 999.4, 999.6, 1000.5, 1001.5, 1e-4, 9.9e-5]
    function = """({ duration, joules, amount }, values) =>
        values.map((value) => [duration(value), joules(value), amount(value, "EUR")])"""
    expected = [[duration(value), joules(value), money(value, "EUR")] for value in values]
    assert scripts({"spent": ["duration", "joules", "amount"]}, function, values) == expected


COUNTED = """({ JobCount, Quantities }, [data, asked]) => asked.map((texts) => {
    const count = new JobCount(data, new Quantities(data.quantities), texts);
    const plain = (amounts) => Object.fromEntries(
        Object.entries(amounts).map(([key, value]) => [key, value === null ? null : String(value)]));
    return {
        totals: plain(count.totals), units: count.units.map(({ amounts }) => plain(amounts)), atBase: count.atBase,
        stages: count.stages.map(({ passes, runs, why, beyond, amounts }) => ({
            runs: passes === undefined ? null : String(passes * runs), why: why ?? "", beyond: beyond ?? "",
            amounts: amounts ? plain(amounts) : null,
        })),
    };
})"""


def at_values(scripts, job, *asked):
    """What the script says of a job at other values of its parameters."""
    data = json.loads(json.dumps(job_data(job)))
    texts = [{name: value_text(value) for name, value in values.items()} for values in asked]
    return scripts({"job_count": ["JobCount"], "quantities": ["Quantities"]}, COUNTED, [data, texts])


def plain(amount):
    names = [*amount.counts, *(name for name, quantity in TABLE.items() if quantity.made_of)]
    return {name: str(amount[name]) for name in names if TABLE[name].of_layers or not TABLE[name].made_of}


def assert_same(found, job):
    assert found["totals"] == plain(job.total)
    assert found["units"] == [plain(row.total) for row in job.per_units]
    assert [stage["runs"] for stage in found["stages"]] == [str(leaf.runs * leaf.passes) for leaf in job.leaves]
    for stage, leaf in zip(found["stages"], job.leaves, strict=True):
        assert (stage["why"], stage["beyond"]) == ("", "")
        assert stage["amounts"]["macs"] == str(leaf.total.macs)
        assert stage["amounts"]["bytes_read"] == str(leaf.total.bytes_read)


drawn_values = st.fixed_dictionaries(
    {
        "clips": st.integers(1, 100),
        "new_tokens": st.integers(1, 40),
        "reuse": st.integers(0, 19).map(lambda n: Fraction(n, 20)),
        "steps": st.integers(1, 10**6),
        "passes": st.integers(1, 2),
        "frames": st.integers(1, 1000),
        "fps": st.integers(1, 6000).map(lambda n: Fraction(n, 100)),
    }
)


@given(asked=st.lists(drawn_values, min_size=8, max_size=8))
@settings(max_examples=6, deadline=None)
def test_a_total_at_any_values_is_that_of_python(scripts, job, asked):
    for found, values in zip(at_values(scripts, job, *asked), asked, strict=True):
        assert_same(found, job.with_parameters(**values))


def test_the_macs_at_other_values_by_hand(scripts, job):
    (found,) = at_values(scripts, job, {"clips": 5, "new_tokens": 4, "reuse": Fraction(1, 4), "steps": 10, "passes": 1})
    encode = 4 * (4 * 4 * 16 * 48 + 3 * 8 * 32 * 32)  # ceil(5 * 0.75) of 9 // 2 times one and 3 times another
    decode = 3 * 8 * 8 + 2 * 8 * (5 + 6 + 7)
    denoise = (10 - 2) * 8 * 32 * 32  # floor(2.5) steps are skipped
    assert found["totals"]["macs"] == str(encode + decode + denoise)
    assert not found["atBase"]


def test_a_window_that_fills_is_followed_in_pieces(scripts):
    job = Pipeline([Stage("decode", growing(window=11), "n")], n=30)
    assert len(job.stages[0].report.pieces(30)) > 1
    asked = [{"n": n} for n in range(31)]
    for found, values in zip(at_values(scripts, job, *asked), asked, strict=True):
        assert found["totals"] == plain(job.with_parameters(**values).total)


def test_beyond_what_was_counted_one_polynomial_goes_on_and_says_so(scripts):
    job = Pipeline([Stage("decode", growing(), "n")], n=30)
    (found,) = at_values(scripts, job, {"n": 500})
    assert found["totals"] == plain(job.with_parameters(n=500).total)
    assert found["stages"][0]["beyond"] == (
        "30 passes of decode were counted; beyond them its cost is taken to grow in the same way"
    )


@pytest.mark.parametrize(("window", "number"), [(11, 30), (None, 2), (None, 1), (None, 0)])
def test_beyond_what_was_counted_there_is_no_number_where_nothing_says_how_it_grows(scripts, window, number):
    job = Pipeline([Stage("decode", growing(window), "n"), Stage("once", count(nn.Linear(2, 2), (1, 2)))], n=number)
    found, there = at_values(scripts, job, {"n": 50}, {"n": number})
    assert found["totals"]["macs"] is found["totals"]["flops"] is None
    assert found["totals"]["params"] == str(job.params)
    assert (
        f"{number} growing passes of decode were counted, which do not tell what 50 cost" in found["stages"][0]["why"]
    )
    assert found["stages"][1]["amounts"]["macs"] == "4"
    assert there["totals"] == plain(job.total)


def test_a_saved_job_moves_as_it_did(scripts, job, tmp_path):
    (tmp_path / "job.json").write_text(job.to_json())
    saved = read_saved_pipeline(tmp_path / "job.json")
    values = {"clips": 7, "new_tokens": 12, "steps": 30}
    (found,) = at_values(scripts, saved, values)
    assert_same(found, saved.with_parameters(**values))
    assert found["totals"] == plain(job.with_parameters(**values).total)


SPENT = """({ spentBy }, [device, asked]) => asked.map((repeats) =>
    device.stages.map((stage, at) => spentBy(stage, ...repeats[at])))"""


def spent(scripts, cost, job, *jobs):
    (device,) = job_data(job, [cost])["devices"]
    repeats = [[[leaf.passes, leaf.runs] for leaf in other.leaves] for other in jobs]
    return scripts({"spent": ["spentBy"]}, SPENT, [json.loads(json.dumps(device)), repeats])


def numbers(stage):
    energy = (stage.energy.low, stage.energy.mid, stage.energy.high)
    times = stage.times
    return [times.bound, times.estimate, times.low, times.high, *energy, stage.money.amount]


def test_the_time_is_as_counted_and_in_proportion_to_passes_that_do_not_grow(scripts, job, priced):
    other = job.with_parameters(clips=9, steps=17, passes=1)
    for found, of in zip(spent(scripts, priced[0], job, job, other), (job, other), strict=True):
        expected = of.cost("t4", price="0.36EUR").stages
        for vector, stage in zip(found, expected, strict=True):
            assert vector == pytest.approx(numbers(stage), rel=1e-9), stage.leaf.place


def test_the_time_of_passes_that_grow_follows_a_few_priced_ones(scripts):
    job = Pipeline([Stage("decode", growing(), "n")], n=3000)
    fewer = job.with_parameters(n=300)
    (found,) = spent(scripts, job.cost("t4", price=0.4), job, fewer)
    assert found[0] == pytest.approx(numbers(fewer.cost("t4", price=0.4).stages[0]), rel=0.02)


def test_what_passes_that_were_never_counted_spend_is_not_made_up(scripts):
    job = Pipeline([Stage("decode", growing(), "n"), Stage("once", linear_network())], n=0)
    cost = job.cost("t4", price=0.4)
    (device,) = job_data(job, [cost])["devices"]
    assert device["stages"][0] is None
    assert device["stages"][1]["each"] == pytest.approx(numbers(cost.stages[1]))
