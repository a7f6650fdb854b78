"""One name per operator: only the registration of an operator spells its aliases, except with a reason."""

import shutil
import subprocess
import sys
from inspect import Parameter
from pathlib import Path

import pytest
import torch
from torch import nn

import flopcount
from flopcount import InputError, Work, count_flops
from flopcount.rules import RULES, canonical_name, registry
from flopcount.rules.depth import depths, steps
from flopcount.rules.workspace import channels_last_workspaces, workspaces
from flopcount.tracing import autocast, meta, shapes
from flopcount.tracing.canonical import canonical_call
from flopcount.tracing.dependences.call import RULES as DEPENDENCES

aten = torch.ops.aten
CANONICAL = {rule.name for rule in RULES.values()}
QUANTITIES = {
    "depth": depths.by_operator,
    "steps": steps.by_operator,
    "workspace": workspaces.by_operator,
    "channels-last workspace": channels_last_workspaces.by_operator,
}
TABLES = {
    **QUANTITIES,
    "shapes": shapes.SHAPES,
    "dependences": DEPENDENCES,
    "autocast": autocast._BY_NAME,
    "handlers": meta._BY_NAME,
}
FUSED_LSTM = dict.fromkeys(
    ("aten.mkldnn_rnn_layer", "aten.mkldnn_rnn_layer_backward"), "runs only where memory is followed"
)
WITHOUT_A_RULE = {
    "dependences": {"aten.mode": "uncosted, though what it sees is known"},
    "autocast": dict.fromkeys(
        ("aten.einsum", "aten.chain_matmul", "aten.linalg_multi_dot", "aten.linalg_vecdot", "aten.tensordot"),
        "composite, cast before it is taken apart",
    )
    | {"aten.cross": "composite, cast before it is taken apart"},
    "handlers": {
        "aten.type_as": "composite, of `to`",
        "aten.allclose": "gives a number of Python's",
        **dict.fromkeys(
            ("aten.mkldnn_rnn_layer", "aten.mkldnn_rnn_layer_backward"), "runs only where memory is followed"
        ),
    },
    "workspace": dict.fromkeys(
        ("aten.mkldnn_rnn_layer", "aten.mkldnn_rnn_layer_backward"), "runs only where memory is followed"
    ),
}
"""With the reason; besides these a view has none, since no data is moved."""


def overloads(name):
    """All overloads of an operator by its name, or the one that the name says."""
    _, op, *overload = name.split(".")
    packet = getattr(aten, op)
    return [getattr(packet, one) for one in overload or packet.overloads()]


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_keyed_by_canonical_names(table):
    for name in TABLES[table]:
        if name not in CANONICAL:
            assert name not in RULES, f"{name} is an alias of {RULES[name].name}"
            assert name in WITHOUT_A_RULE.get(table, ()) or any(one.is_view for one in overloads(name)), name


@pytest.mark.parametrize("table", WITHOUT_A_RULE)
def test_what_is_listed_without_a_rule_has_none(table):
    for name in WITHOUT_A_RULE[table]:
        assert name in TABLES[table]
        assert name not in RULES


@pytest.mark.parametrize("aliases", [shapes.ALIASES, autocast._ALIASES])
def test_what_is_kept_for_an_alias_is_for_an_alias(aliases):
    for name in aliases:
        assert any(canonical_name(name, one._overloadname) != name for one in overloads(name)), name


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_alias_has_the_arguments_that_the_canonical_formula_asks_for(quantity):
    for name in RULES:
        formula = QUANTITIES[quantity].get(RULES[name].name)
        if formula is not None and name.startswith("aten."):
            needed = {argument for argument, default in formula.defaults.items() if default is Parameter.empty}
            for overload in overloads(name):
                if canonical_name(name, overload._overloadname) == RULES[name].name and "out" not in str(overload):
                    assert needed <= {argument.name for argument in overload._schema.arguments}, overload


@pytest.mark.parametrize(
    ("overload", "name"),
    [
        (aten.conv3d.default, "aten.conv3d"),  # its arguments have another order than those of `convolution`
        (aten.native_batch_norm.default, "aten.native_batch_norm"),  # three results
        (aten.sub.Tensor, "aten.add"),
        (aten.sub_.Tensor, "aten.add"),
        (aten.relu_.default, "aten.relu"),
        (aten.log_softmax.int, "aten.softmax"),
        (aten._log_softmax.default, "aten._log_softmax"),
        (aten._unsafe_index.Tensor, "aten.index"),
        (aten.take.default, "aten.take"),
        (aten.lstm.data, "aten.lstm.data"),
        (aten.rnn_relu.data, "aten.rnn_tanh.data"),
        (aten.view.default, "aten.view"),
    ],
)
def test_an_alias_is_handled_as_canonical_where_it_is_called_the_same_way(overload, name):
    assert canonical_call(overload) == name


RULE = '''
"""A rule of its own."""

from ..core.ops import Work
from .registry import rule

__all__: list[str] = []


@rule("mylib.my_op")
def my_op(*, out):
    return Work(macs=out.numel)
'''


def test_a_file_among_the_rules_is_found(tmp_path):
    package = Path(flopcount.__file__).parent
    shutil.copytree(package, tmp_path / "flopcount", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "flopcount" / "rules" / "my_own.py").write_text(RULE)
    program = "import sys; sys.path.insert(0, sys.argv[1]); from flopcount.rules import RULES; print(*RULES)"
    command = [sys.executable, "-I", "-c", program, tmp_path]
    assert "mylib.my_op" in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.fixture
def rules():
    """Removes what a test registers."""
    before = dict(registry.RULES)
    yield
    registry._RULES.clear()
    registry._RULES.update(before)


class Distance(nn.Module):
    def forward(self, x):
        return torch.dist(x, x + 1)


def test_a_rule_of_ones_own_may_have_any_name(rules):
    assert count_flops(Distance(), (2, 5), engine="meta").uncosted

    @registry.rule("mylib.distance", "aten.dist")
    def distance(self, *, out):
        return Work(other_flops=3 * self.numel)

    for engine in ("meta", "fake", "real"):
        report = count_flops(Distance(), (2, 5), engine=engine)
        assert (report.engine, report.other_flops) == (engine, 10 + 3 * 10)


def test_a_rule_of_one_overload_leaves_what_else_is_known(rules):
    module = nn.Conv2d(3, 4, 3)
    before = count_flops(module, (1, 3, 8, 8)).memory.inference

    @registry.rule("aten.convolution.mine", "aten.conv2d.default")
    def mine(input, weight, *, out):
        return Work(macs=1)

    report = count_flops(module, (1, 3, 8, 8))
    assert report.macs == 1
    assert report.memory.inference == before


def test_a_refused_rule_leaves_nothing_behind(rules):
    with pytest.raises(InputError, match=r"aten\.linear already has a cost rule"):
        registry.rule("mylib.fresh", "aten.linear")(lambda *, out: Work())
    assert "mylib.fresh" not in registry._RULES


@pytest.mark.parametrize("answer", [None, 5])
def test_a_rule_returns_work(rules, answer):
    registry.rule("aten.dist")(lambda *, out: answer)
    with pytest.raises(InputError, match=f"the rule for aten.dist returned {answer}"):
        count_flops(Distance(), (2, 5))
