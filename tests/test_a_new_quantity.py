"""The proof of the table of quantities: one more row, with its function, is found in everything that shows a cost."""

import json

import pytest
from torch import nn

from flopcount import (
    Budget,
    InputError,
    Pipeline,
    Setting,
    Stage,
    Unit,
    check_budgets,
    count_flops,
    count_model,
    diff,
    read_budgets,
    read_pipeline,
    read_report,
    sweep,
)
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Clip
from flopcount.core.quantity import PICO, TABLE, Quantity
from flopcount.output import FORMATS
from flopcount.output.report_json import to_json
from flopcount.pipelines.formula_table import formula_table
from flopcount.pipelines.growing import Growing
from flopcount.pipelines.named_file import PipelineFile
from flopcount.publishing.budget import parse_limit
from flopcount.publishing.cost_report import cost_report
from flopcount.publishing.interactive import page
from flopcount.publishing.interactive.job_page import job_page
from flopcount.publishing.pages.files import report_texts

WRITTEN = 2 * 4 * 6 * 6 + 2 * 4 * 6 * 6  # by the convolution, by the ReLU: batch, channels, height, width


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


@pytest.fixture(autouse=True)
def elements(monkeypatch):
    """What every operator writes, in elements instead of bytes."""
    quantity = Quantity("elements", "elements written", lambda op: op.elements_written, heading="elements", unit="el")
    monkeypatch.setitem(TABLE, quantity.name, quantity)
    return quantity


@pytest.fixture
def report():
    return count_flops(net(), (2, 3, 8, 8))


@pytest.mark.parametrize("says", [{}, {"of_operator": len, "made_of": {"macs": 2}}])
def test_a_row_says_once_how_much_there_is(says):
    with pytest.raises(InputError, match="quantity odd needs exactly one of of_operator, of_module and made_of"):
        Quantity("odd", "odd", **says)


def test_totals(report):
    assert report.total["elements"] == report.total.elements == WRITTEN
    assert report.per_sample["elements"] == WRITTEN // 2
    assert [row.own["elements"] for row in report.modules] == [0, WRITTEN // 2, WRITTEN // 2]
    assert [row.cost["elements"] for row in report.operators] == [WRITTEN // 2] * 2


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("by", ["module", "operator", "kind"])
def test_tables(report, by, form):
    table = report.table_by(by)
    at = [column.name for column in table.columns].index("elements")
    assert sum(row[at] for row in table.rows) == table.total[at] == WRITTEN
    text = table._render(form)
    assert "elements" in text
    assert str(WRITTEN // 2) in text


def test_training():
    report = count_flops(net(), (2, 3, 8, 8), mode="train")
    table = report.table_by()
    at = [column.name for column in table.columns].index("elements")
    assert sum(row[at] for row in table.rows) == table.total[at] == report.training.total["elements"] > WRITTEN
    assert json.loads(report.to_json())["training"]["phases"]["forward"]["elements"] == WRITTEN


def test_data(report):
    data = json.loads(report.to_json())
    assert data["total"]["elements"] == WRITTEN
    assert data["per_sample"]["elements"] == data["per_video"]["elements"] == WRITTEN // 2
    assert sum(row["self_elements"] for row in data["modules"]) == WRITTEN
    assert sum(row["elements"] for row in data["operators"]) == WRITTEN
    assert report.to_pandas()["elements"].sum() == report.to_pandas(by="kind")["elements"].sum() == WRITTEN


def test_saved_reports_and_diffs(report, tmp_path):
    (tmp_path / "report.json").write_text(report.to_json())
    saved = read_report(tmp_path / "report.json")
    assert saved.modules == report.modules
    larger = count_flops(net(), (2, 3, 8, 10))
    table = diff(saved, larger).table()
    at = [column.name for column in table.columns].index("Δ elements")
    assert table.total[at] == larger.total["elements"] - WRITTEN == WRITTEN // 3
    assert "elements written: 576 el → 768 el (+192 el, +33.3%)" in table.notes


def test_a_report_from_before_the_quantity(report, tmp_path, monkeypatch):
    with monkeypatch.context() as before:
        before.delitem(TABLE, "elements")
        (tmp_path / "report.json").write_text(count_flops(net(), (2, 3, 8, 8)).to_json())
    saved = read_report(tmp_path / "report.json")
    assert "elements" not in saved.total.counts
    result = diff(saved, report)
    assert not result.different
    assert not any("elements" in column.name for column in result.table().columns)


def test_closed_forms(report):
    form = report.formula("BHW")
    assert form.text("elements") == "8·B·(H−2)·(W−2)"
    assert form.at("elements", B=3, H=9, W=8) == 3 * 4 * 7 * 6 * 2
    assert "elements written" in str(form.table())
    assert "elements" in json.loads(form.to_json())["forms"]
    assert "elements written" in str(form.by_module("elements"))


def test_sweeps():
    result = sweep(lambda size: (net(), (2, 3, size, 8)), {"size": [8, 10]})
    assert list(result.to_pandas()["elements"]) == [WRITTEN, WRITTEN * 4 // 3]
    assert "elements" in result.table().to_csv()


def test_budgets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text("from torch import nn\ndef build():\n    return nn.Linear(8, 4)\n")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.flopcount.budgets.net]\nmodel = "nets.py:build"\ninput = ["2x8"]\n'
        "max-elements = 8\nmax-elements-per-video = 4\n"
    )
    result = check_budgets(read_budgets("pyproject.toml"))
    assert [verdict.holds for verdict in result.verdicts] == [True, True]
    assert [verdict.counted for verdict in result.verdicts] == [8, 4]
    assert "elements written" in str(result)
    (budget,) = read_budgets("pyproject.toml")
    assert isinstance(budget, Budget)
    assert not check_budgets([Budget(budget.name, budget.model, {"max-elements": 7})]).holds


@pytest.fixture
def cost():
    return cost_report(ModelSpec("toy_3d_cnn", Clip(4, 8, 8)), with_check=False)


def test_the_page_with_scripts(cost):
    text = page([cost], None, "flopcount report toy_3d_cnn")
    assert 'data-total="elements"' in text
    assert '<option value="elements">elements written</option>' in text
    assert 'data-formula="elements"' in text
    assert f'"elements":"{cost.report.total["elements"]}"' in text


def test_the_pages_in_markdown(cost):
    texts = report_texts([cost, cost], "flopcount report toy_3d_cnn toy_3d_cnn")
    text = texts["toy_3d_cnn.md"]
    assert "elements written = " in text  # the closed form
    assert "| elements |" in text  # by layer
    assert "| elements written |" in text  # of a view
    assert "| elements written |" in texts["index.md"]


# Of a whole job: stages times repeats

TIMES = 3


@pytest.fixture
def job(report):
    inner = Pipeline([Stage("net", report)], name="inner")
    stages = [Stage("first", inner), Stage("again", report, "n - 1")]
    return Pipeline(stages, name="job", units=[Unit("step", "n")], n=TIMES)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("by", ["stage", "module", "operator", "kind"])
def test_tables_of_a_job(job, by, form):
    table = job.table_by(by)
    at = [column.name for column in table.columns].index("elements")
    assert sum(row[at] for row in table.rows) == table.total[at] == TIMES * WRITTEN
    assert "elements" in table._render(form)


def test_data_of_a_job_also_when_read_back(job, tmp_path):
    data = json.loads(job.to_json())
    assert data["total"]["elements"] == TIMES * WRITTEN
    assert [stage["total"]["elements"] for stage in data["stages"]] == [WRITTEN, 2 * WRITTEN]
    assert [stage["each"]["elements"] for stage in data["stages"]] == [WRITTEN, WRITTEN]
    assert data["units"][0]["total"]["elements"] == WRITTEN
    (tmp_path / "job.json").write_text(job.to_json())
    again = read_pipeline(tmp_path / "job.json", parameters={"n": 5})
    assert again.total["elements"] == 5 * WRITTEN
    assert read_report(tmp_path / "job.json").total["elements"] == TIMES * WRITTEN


def test_passes_that_grow_have_it_too():
    def count(k):
        return count_flops(nn.Linear(8, 4), (5 + k, 8))

    job = Pipeline([Stage("decode", Growing(count), "n")], n=6)
    assert job.total["elements"] == sum(count(k).total["elements"] for k in range(6)) > 0


def test_the_formula_and_the_difference_of_a_job(job):
    form = job.formula("elements")
    assert form.at(n=7) == 7 * WRITTEN
    assert "elements written" in str(formula_table(job))
    table = diff(job.result, job.with_parameters(n=TIMES + 1).result).table()
    at = [column.name for column in table.columns].index("Δ elements")
    assert table.total[at] == WRITTEN


def test_the_page_of_a_job(job):
    text = job_page(job, [], "flopcount pipeline job.toml")
    assert '<option value="elements">elements written</option>' in text
    assert 'data-formula="elements"' in text
    assert f'"elements":"{WRITTEN}"' in text


def test_the_budget_of_a_job(job, tmp_path):
    (tmp_path / "job.json").write_text(job.to_json())
    file = PipelineFile(tmp_path / "job.json")
    verdicts = check_budgets([Budget("job", file, {"max-elements": TIMES * WRITTEN - 1})]).verdicts
    assert [(verdict.holds, verdict.counted) for verdict in verdicts] == [(False, TIMES * WRITTEN)]


# A row of what a device spends, which only a result that is priced on one has

GRAMS_PER_JOULE = 400 / 3_600_000  # 400 g of CO2 per kWh


@pytest.fixture
def carbon(monkeypatch):
    """Carbon dioxide, which follows from the energy of each operator."""

    def grams(costed):
        energy = costed.spending and costed.spending.energy
        return energy if energy is None else round(energy * GRAMS_PER_JOULE)

    quantity = Quantity("carbon", "CO2", grams, unit="g", grows_with=("views",), pico=True, per_limit=PICO)
    monkeypatch.setitem(TABLE, quantity.name, quantity)


@pytest.fixture
def on_t4(carbon):
    return count_model("toy_3d_cnn").cost("t4", dtype="fp16")


def expected(cost):
    return pytest.approx(cost.energy.mid * GRAMS_PER_JOULE, rel=1e-6)


@pytest.mark.parametrize("by", ["module", "operator"])
def test_what_a_device_spends_in_tables(on_t4, by):
    table = on_t4.table(by)
    (at,) = [at for at, column in enumerate(table.columns) if column.key == "carbon_g"]
    assert sum(row[at] for row in table.rows) == table.total[at]
    assert table.total[at] / PICO == expected(on_t4)
    assert "CO2 (g)" in table.to_csv().splitlines()[0]
    assert on_t4.to_pandas(by)["carbon_g"].sum() == expected(on_t4)


def test_what_a_device_spends_in_data_diffs_and_sweeps(on_t4, tmp_path):
    data = json.loads(to_json(on_t4.result, costs=[on_t4]))
    assert data["total"]["carbon_g"] == expected(on_t4)
    assert sum(row["self_carbon_g"] for row in data["modules"]) == expected(on_t4)
    (tmp_path / "saved.json").write_text(json.dumps(data))
    assert not diff(read_report(tmp_path / "saved.json"), on_t4.result).different
    notes = diff(on_t4.result, count_model("toy_3d_cnn", batch=2).cost("t4", dtype="fp16").result).table().notes
    assert any(note.startswith("CO2: ") and "g → " in note for note in notes)
    frame = sweep(lambda size: (net(), (2, 3, size, 8)), {"size": [8, 10]}, on="t4").to_pandas()
    assert (frame["carbon_g"] > 0).all()


def test_what_a_device_spends_in_budgets(carbon):
    with pytest.raises(InputError, match="max-carbon is 'much', no amount of carbon") as refusal:
        parse_limit("max-carbon", "much")
    assert ("fix", "write 500mg or 0.5g; a bare number is in carbon") in refusal.value.details
    limits = {"max-carbon": parse_limit("max-carbon", "1ng")}
    (verdict,) = check_budgets([Budget("toy", "toy_3d_cnn", limits, setting=Setting.of("t4", "fp16"))]).verdicts
    assert not verdict.holds
    assert verdict.counted > verdict.allowed == 1000
