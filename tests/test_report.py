import copy
import dataclasses
import gc
import json
import pickle
import threading
import weakref

import pandas
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flopcount import InputError, UnknownNameError, count_flops, create_model
from flopcount.analysis.cost_tables import table_by


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(x + self.norm(self.conv(x)))


class Net(nn.Module):
    """Shared parts, a part called three times, one never called, operators of the root's own."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.body = nn.Sequential(Block(4), Block(4))
        self.again = self.body[0]
        self.unused = nn.Linear(7, 7)
        self.head = nn.Linear(4, 5)
        self.tied = nn.Linear(4, 5)
        self.tied.weight = self.head.weight

    def forward(self, x):
        x = self.again(self.body(self.stem(x)))
        x = self.body[0](x[..., :4, :4])
        return self.head(x.mean((2, 3))) @ torch.ones(5, 5)


@pytest.fixture(scope="module")
def report():
    return count_flops(Net().eval(), (2, 3, 8, 8))


def test_modules_and_operators_sum_to_the_total(report):
    assert sum(row.own.macs for row in report.modules) == report.macs
    assert sum(row.own.other_flops for row in report.modules) == report.other_flops
    assert sum(row.own_params for row in report.modules) == report.params
    assert sum(row.cost.macs for row in report.operators) == report.macs
    assert sum(row.cost.other_flops for row in report.operators) == report.other_flops
    assert sum(row.bytes_read for row in report.operators) == report.bytes_read
    assert report.module("").cost == report.total
    assert report.flops == 2 * report.macs
    assert report.total_flops == report.flops + report.other_flops


@pytest.mark.parametrize("by", ["module", "operator", "kind"])
@pytest.mark.parametrize("depth", [0, 1, 2, 3, -1])
def test_every_printed_column_sums_to_its_total(report, by, depth):
    table = table_by(report, by, depth)
    for position, column in enumerate(table.columns):
        if column.kind == "count":
            assert sum(row[position] for row in table.rows) == table.total[position], column.name
        if column.kind == "share":
            assert sum(row[position][0] for row in table.rows) == table.total[position][0]


def test_a_module_called_three_times_counts_three_times_and_its_parameters_once(report):
    row = report.module("body.0.conv")
    assert row.calls == 3
    assert row.input_shapes == ((2, 4, 8, 8), (2, 4, 4, 4))
    assert row.cost.macs == (2 * 64 + 16) * 2 * 4 * 4 * 9  # 2 calls on 8×8, 1 on 4×4; batch 2; 4·4·9 a position
    assert row.params == 4 * 4 * 9 + 4
    with pytest.raises(UnknownNameError):
        report.module("again.conv")  # a shared module has its first name


def test_shared_parameters_count_once(report):
    assert report.params == sum(p.numel() for p in {id(p): p for p in Net().parameters()}.values())
    assert report.module("tied").params == 5  # its bias


def test_frozen_parameters_are_told_apart():
    net = Net()
    net.body.requires_grad_(False)
    report = count_flops(net, (2, 3, 8, 8))
    assert report.params - report.trainable_params == 2 * (4 * 4 * 9 + 4 + 4 + 4)
    assert "102 of them trainable" in " ".join(str(report).split())


def test_what_is_never_called_says_so(report):
    row = report.module("unused")
    assert (row.calls, row.cost.macs, row.params) == (0, 0, 56)
    text = str(report)
    assert "\n(never called)" in text  # a line for all of them, so that parameters sum
    assert "never called: unused (56 parameters)" in text
    frame = report.to_pandas()
    assert frame.loc[frame["layer"] == "unused", "output"].item() == "never called"


def test_own_operators_of_the_root(report):
    root = report.module("")
    assert root.own.macs == 2 * 5 * 5  # (2, 5) @ (5, 5)
    assert root.depth == 0
    assert report.module("body.0.conv").depth == 3


def test_json_has_the_keys_of_the_design(report):
    data = json.loads(report.to_json())
    assert list(data) == [
        *("schema", "model", "departures", "input", "assumed", "convention", "total", "per_sample", "views"),
        *("per_video", "uncosted", "unknown", "modules", "operators", "engine", "versions"),
    ]
    assert data["schema"] == "flopcount/1"
    assert list(data["input"]) == ["clip", "stride", "shapes", "batch", "dtype"]
    assert list(data["total"]) == [
        *("macs", "flops", "other_flops", "total_flops", "params", "trainable_params", "bytes_read", "bytes_written")
    ]
    assert list(data["modules"][0]) == [
        *("path", "type", "depth", "calls", "input_shapes", "output_shapes"),
        *(amounts := ["macs", "flops", "other_flops", "params", "trainable_params", "bytes_read", "bytes_written"]),
        *(f"self_{name}" for name in amounts),
    ]
    costs = ["macs", "flops", "other_flops", "bytes_read", "bytes_written"]
    assert list(data["operators"][0]) == ["op", "kind", "calls", *costs]
    assert list(data["per_sample"]) == list(data["per_video"]) == costs[:3]
    for key in costs:
        assert sum(row[f"self_{key}"] for row in data["modules"]) == data["total"][key]
        assert sum(row[key] for row in data["operators"]) == data["total"][key]
    assert sum(row["self_params"] for row in data["modules"]) == data["total"]["params"]
    assert all(isinstance(value, int) for value in data["total"].values())


def test_pandas_has_exact_integers(report):
    frame = report.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["macs"].sum() == report.macs
    assert frame["params"].sum() == report.params
    operators = report.to_pandas(by="operator")
    assert operators["other_flops"].sum() == report.other_flops
    assert operators["bytes_read"].sum() == report.bytes_read
    text, number = "string", "int64"
    costs = dict.fromkeys(("macs", "flops", "other_flops", "bytes_read", "bytes_written"), number)
    assert dict(frame.dtypes.astype(str)) == {
        "layer": text, "type": text, "output": text, "params": number, **costs, "share": "float64"
    }  # fmt: skip
    assert dict(operators.dtypes.astype(str)) == {
        "operator": text, "kind": text, "calls": number, **costs, "share": "float64",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        ([1, 2], "int64"),
        ([1, None], "Int64"),
        ([1, 2.5, None], "float64"),
        ([True, False], "bool"),
        ([True, None], "boolean"),
        (["a", None, 3], "string"),
        ([None], "string"),
        ([], "string"),
        ([2**63, 1], "object"),
    ],
)
def test_a_column_of_a_frame_has_one_type(cells, dtype):
    from flopcount.output.frame import column_of

    column = pandas.Series(column_of(cells))
    assert str(column.dtype) == dtype
    assert [None if pandas.isna(cell) else cell for cell in column] == [
        str(cell) if dtype == "string" and cell is not None else cell for cell in cells
    ]


def test_sentence_of_the_issue():
    model = create_model("c3d")
    assert count_flops(model, (1, 3, 16, 112, 112), views=10).sentence() == (
        "38.5 GMACs (77.1 GFLOPs) per 16×112×112 clip, 10 views: 385.5 GMACs per video, 80.0 M parameters"
    )


def test_sentence_admits_what_is_missing():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.linalg.svd(x)

    assert count_flops(Odd(), (1, 4, 4)).sentence() == (
        "0 MACs (0 FLOPs) per 4×4 input, 1 operation uncosted, 0 parameters"
    )


class Halves(nn.Module):
    """A layer, a view, and two operators without a rule, one of them in a part called twice."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 4)
        self.odd = Decompose()

    def forward(self, x):
        x = self.fc(x).view(4, 4)
        return self.odd(self.odd(x)), torch.linalg.eigvalsh(x)


class Decompose(nn.Module):
    def forward(self, x):
        return torch.linalg.qr(x)[0]


def test_the_size_of_the_unknown():
    report = count_flops(Halves(), (4, 6))
    qr, eigenvalues = report.uncosted
    assert (qr.op, qr.calls, qr.modules) == ("aten.linalg_qr", 2, ("odd",))
    assert (qr.elements, qr.upper_macs) == (2 * (16 + 32), 2 * 16 * 32)  # Q and R are 4×4
    assert (eigenvalues.modules, eigenvalues.upper_macs) == (("",), 16 * (4 + 16))  # 4 values and room for 4×4 vectors
    unknown = report.unknown
    assert (unknown.elements_costed, unknown.elements_written) == (16, 16 + 2 * 32 + 20)  # the view wrote nothing
    assert unknown.upper_macs == qr.upper_macs + eigenvalues.upper_macs
    text = " ".join(str(report).split())
    assert "UNCOSTED aten.linalg_qr: 2 calls in odd; 96 elements read and written, up to 1.02 kMACs" in text
    assert "what is missing: operators with a rule write 16.0% of all elements; the others may cost up to" in text
    assert "the others may cost up to 1.34 kMACs (an estimate" in text
    data = json.loads(report.to_json())["unknown"]
    assert data == {"elements_costed": 16, "elements_written": 100, "upper_macs": 1344}


@pytest.mark.parametrize(
    ("module", "shapes"),
    [
        (nn.Conv3d(3, 8, 3, padding=1), [(2, 3, 4, 5, 5)]),
        (nn.ConvTranspose2d(3, 8, 3, stride=2), [(2, 3, 5, 5)]),
        (nn.Bilinear(4, 5, 6), [(2, 4), (2, 5)]),
        (nn.LSTM(4, 5, 2, bidirectional=True), [(7, 2, 4)]),
        (nn.MultiheadAttention(8, 2), [(7, 2, 8)] * 3),
    ],
)
def test_the_estimate_is_above_what_has_a_rule(module, shapes):
    ops = count_flops(module, tuple(shapes)).ops
    assert all(c.elements_read * c.elements_written >= c.work.macs for c in ops)


def test_nothing_is_unknown_where_every_operator_has_a_rule(report):
    assert report.unknown.upper_macs == 0
    assert report.unknown.elements_costed == report.unknown.elements_written > 0
    assert "the unknown" not in str(report)


def test_a_second_of_video():
    report = count_flops(create_model("c3d"), (1, 3, 16, 112, 112), fps=25, stride=2)
    # 16 frames, every 2nd of 25 fps: 1.28 s; 38.549 / 1.28 = 30.1
    assert "per second of video, clips end to end: 30.1 GMACs = 60.2 GFLOPs" in str(report)


def test_unknown_table():
    with pytest.raises(UnknownNameError, match="no table named 'modul'\n  near    module"):
        table_by(count_flops(nn.Linear(2, 2), (1, 2)), "modul", 2)


def test_a_list_of_modules_is_not_said_to_be_never_called():
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2)])

        def forward(self, x):
            return self.layers[0](x)

    assert "never called" not in str(count_flops(Listed(), (1, 2)).by_module(1))


# Readers that look at the module again


def net():
    return nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.ReLU())


@pytest.mark.parametrize(
    ("keyword", "new_call", "read"),
    [
        ({"dataflow": True}, r"report\.span", lambda report: report.dataflow.flows),
        ({"symbolic": "THW"}, r"report\.formula\(\"THW\"\)", lambda report: report.formula().text()),
        ({"receptive_field": True}, r"report\.receptive_field\(\)", lambda report: report.receptive_field["0"]),
    ],
)
def test_old_keywords_serve_for_one_release_and_name_the_new_call(keyword, new_call, read):
    with pytest.warns(DeprecationWarning, match=new_call) as warned:
        report = count_flops(net(), (1, 3, 4, 8, 8), **keyword)
    assert warned[0].filename == __file__
    assert read(report)


def test_what_is_asked_for_later_is_what_was_counted():
    with pytest.warns(DeprecationWarning, match="dataflow="):
        old = count_flops(net(), (1, 3, 4, 8, 8), dataflow=True)
    new = count_flops(net(), (1, 3, 4, 8, 8))
    assert new.dataflow is None
    assert (new.span, new.memory) == (old.span, old.memory)
    assert new == count_flops(net(), (1, 3, 4, 8, 8))  # asking leaves the report as it is


class Odd(nn.Module):
    """Arguments that do not even equal themselves."""

    def forward(self, x):
        return x.masked_fill(x > 0, float("nan")) + torch.rand(x.shape, generator=torch.Generator())


def test_another_mode_than_was_counted_is_refused():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout()).eval()
    report = count_flops(module, (2, 3, 8, 8))
    assert report.formula("B").other_flops() == report.other_flops
    module.train()
    with pytest.raises(InputError, match="no longer does what was counted"):
        report.formula("B")


def test_arguments_that_equal_nothing_do_not_make_it_another_module():
    report = count_flops(Odd(), (2, 3))
    assert report.span.chain > 1
    assert report.memory.inference > 0


def test_a_report_without_height_and_width_has_no_receptive_field_when_it_is_looked_at():
    report = count_flops(nn.Linear(2, 2), (1, 2))
    assert report.receptive_field is not None
    assert copy.deepcopy(report).macs == report.macs
    with pytest.raises(InputError, match="no receptive field"):
        report.receptive_field()


def test_copies_know_the_module_and_what_is_released_does_not():
    report = count_flops(net(), (1, 3, 4, 8, 8))
    for again in (copy.copy(report), copy.deepcopy(report), dataclasses.replace(report)):
        assert again.counted is report.counted
        assert again.span == report.span
    assert dataclasses.asdict(report)["counted"] is report.counted  # and no copy of the module
    with pytest.raises(InputError, match="no longer has its module"):
        _ = report.released().memory
    assert report.released().to_json() == report.to_json()


def test_a_released_report_lets_the_module_go():
    module = net()
    reference = weakref.ref(module)
    report = count_flops(module, (1, 3, 4, 8, 8)).with_receptive_field().released()
    del module
    gc.collect()
    assert reference() is None
    assert report.receptive_field()["0"]


def test_the_step_of_a_training_has_the_readers_of_a_report():
    report = count_flops(net(), (2, 3, 4, 8, 8), mode="train")
    assert report.training.step.by_operator().rows
    assert report.training.step.macs == report.training.total.macs
    assert report.training.forward_report.by_module() == report.released().by_module()


class WithHead(nn.Module):
    """In training it has one more output, as networks with auxiliary heads do."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv3d(3, 4, 3), nn.Conv3d(4, 4, 3)

    def forward(self, x):
        y = self.body(x)
        scores = y.mean((2, 3, 4))
        return (scores, self.head(y).mean((2, 3, 4))) if self.training else scores


def test_the_form_of_a_trained_module_is_that_of_its_forward_in_training():
    module = WithHead().eval()
    plain, trained = (count_flops(module, (2, 3, 5, 9, 9), mode=mode) for mode in ("forward", "train"))
    assert plain.formula("THW").macs() == plain.macs < trained.macs == trained.formula("THW").macs()
    assert (plain.receptive_field().get("head"), str(trained.receptive_field()["head"][0])) == (None, "5×5×5")
    assert not module.training


def test_counts_in_other_threads_wait_while_a_trained_module_is_looked_at_again():
    module = net().eval()
    expected = count_flops(module, (2, 3, 4, 8, 8)).total
    totals = []

    def train():
        for _ in range(5):
            _ = count_flops(module, (2, 3, 4, 8, 8), mode="train").span

    def evaluate():
        totals.extend(count_flops(module, (2, 3, 4, 8, 8)).total for _ in range(10))

    threads = [threading.Thread(target=work) for work in (train, evaluate)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [expected] * 10
    assert not module.training


def test_a_module_that_is_another_by_now_is_refused():
    module = net()
    report = count_flops(module, (1, 3, 4, 8, 8))
    module[2] = nn.Sigmoid()
    with pytest.raises(InputError, match="no longer does what was counted"):
        _ = report.span
    module[0] = nn.Conv3d(3, 4, 1)
    with pytest.raises(InputError, match="no longer does what was counted"):
        report.formula("T")


def test_a_pickled_report_has_its_numbers_and_no_module():
    report = count_flops(net(), (1, 3, 4, 8, 8))
    again = pickle.loads(pickle.dumps(report))
    assert again.to_json() == report.to_json()
    assert report.counted is not None
    with pytest.raises(
        InputError, match="its closed form cannot be computed: this report of Sequential no longer has its module"
    ):
        again.formula("T")


def test_a_trained_step_is_followed_in_training_mode():
    module = net().eval()
    trained = count_flops(module, (2, 3, 4, 8, 8), mode="train")
    assert trained.with_dataflow().ops == trained.ops
    (norm,) = (costed.op.signature for costed in trained.ops if costed.name == "aten.batch_norm")
    assert norm.arguments["training"]
    assert not module.training
