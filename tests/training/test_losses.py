"""What a training step differentiates: the returned loss, else all outputs, or what the caller asks for."""

import dataclasses
import json
import re
from collections import OrderedDict, deque, namedtuple
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from states import global_state, module_state
from torch import nn
from torch.nn import functional as F
from typer.testing import CliRunner

from flopcount import ForwardError, InputError, UnknownNameError, count_flops
from flopcount.cli import app
from flopcount.core.ops import Phase

ENGINES = ["meta", "fake", "real"]


class Heads(nn.Module):
    """A body and two heads on its features; `choose` makes the result."""

    def __init__(self, choose):
        super().__init__()
        self.body, self.verb, self.noun = nn.Linear(6, 8), nn.Linear(8, 5), nn.Linear(8, 3)
        self.choose = choose

    def forward(self, x):
        features = torch.relu(self.body(x))
        return self.choose(features, self.verb(features), self.noun(features))


BODY, VERB, NOUN = 4 * 6 * 8, 4 * 8 * 5, 4 * 8 * 3
VERB_PARAMS, NOUN_PARAMS, BODY_PARAMS = 8 * 5 + 5, 8 * 3 + 3, 6 * 8 + 8
NO_VERB, NO_NOUN = ("verb.weight", "verb.bias"), ("noun.weight", "noun.bias")


def train(choose, **options):
    return count_flops(Heads(choose), (4, 6), mode="train", **options).training


def entropy(scores, **options):
    return F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64, device=scores.device), **options)


def is_trained(training, verb, noun):
    """Whether the step has the gradients of these heads and no other: forward, weights, and the input of the heads."""
    heads = verb * VERB + noun * NOUN
    assert training.forward.macs == BODY + VERB + NOUN
    assert training.backward_by_weight.macs == (BODY if heads else 0) + heads
    assert training.backward_by_input.macs == heads
    assert training.trained_params == (BODY_PARAMS if heads else 0) + verb * VERB_PARAMS + noun * NOUN_PARAMS
    untrained = () if heads else ("body.weight", "body.bias")
    assert training.untrained == (*untrained, *(() if verb else NO_VERB), *(() if noun else NO_NOUN))
    total = training.forward + training.loss + training.backward + training.recomputation + training.optimizer_step
    assert training.total == total


# ---- outputs without a loss: their sum


@dataclasses.dataclass
class Record:
    a: object
    b: object


class Slots:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b


Pair = namedtuple("Pair", "features scores")

BOTH = {
    "a tuple": (lambda f, v, n: (v, n), "0 (4, 5), 1 (4, 3)"),
    "a list": (lambda f, v, n: [v, n], "0 (4, 5), 1 (4, 3)"),
    "a deque": (lambda f, v, n: deque([v, n]), "0 (4, 5), 1 (4, 3)"),
    "a dict": (lambda f, v, n: {"verb": v, "noun": n}, "verb (4, 5), noun (4, 3)"),
    "another mapping": (lambda f, v, n: OrderedDict(verb=v, noun=n), "verb (4, 5), noun (4, 3)"),
    "nested": (
        lambda f, v, n: {"heads": {"verb": v, "noun": [n, None, 3]}, "name": "a"},
        "heads.verb (4, 5), heads.noun.0 (4, 3)",
    ),
    "a dataclass": (lambda f, v, n: Record(v, Record(n, 1)), "a (4, 5), b.a (4, 3)"),
    "slots": (lambda f, v, n: Slots(v, n), "a (4, 5), b (4, 3)"),
    "attributes": (lambda f, v, n: SimpleNamespace(verb=v, noun=n), "verb (4, 5), noun (4, 3)"),
    "a generator": (lambda f, v, n: (t for t in (v, n)), "0 (4, 5), 1 (4, 3)"),
    "other types": (lambda f, v, n: (v.half(), n.double(), v.argmax(1)), "0 (4, 5), 1 (4, 3)"),
    "complex": (lambda f, v, n: (torch.complex(v, v), n), "0 (4, 5), 1 (4, 3)"),
    "each once": (lambda f, v, n: (v, v, v[:], v.detach(), n), "0 (4, 5), 4 (4, 3)"),
}


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("engine", ENGINES)
def test_both_heads_are_trained_wherever_they_are(kind, engine):
    choose, words = BOTH[kind]
    training = train(choose, engine=engine)
    is_trained(training, verb=True, noun=True)
    assert training.losses == (f"sum of 2 outputs: {words}",)
    assert training.engine == engine


def test_the_sum_of_the_outputs_has_its_own_cost():
    training = train(lambda f, v, n: (f, v, n))
    assert training.loss.other_flops == 4 * 8 + 4 * 5 + 4 * 3 - 1
    # relu, the gradients of three uses of the features added up, and each bias's: a sum over all but its channels
    biases = (4 * 8 - 8) + (4 * 5 - 5) + (4 * 3 - 3)
    assert training.backward.other_flops == 4 * 8 + 2 * 4 * 8 + biases


def test_features_first():
    training = train(lambda f, v, n: Pair(f, v))
    is_trained(training, verb=True, noun=False)
    assert training.losses == ("sum of 2 outputs: features (4, 8), scores (4, 5)",)


def test_many_outputs_are_listed_in_part():
    training = train(lambda f, v, n: [f, *v.unbind(1)])
    assert training.losses == ("sum of 6 outputs: 0 (4, 8), 1 (4,), 2 (4,), 3 (4,) and 2 more",)


def test_a_container_that_contains_itself():
    def choose(f, v, n):
        outputs = [v]
        outputs.append(outputs)
        return outputs

    is_trained(train(choose), verb=True, noun=False)


# ---- a loss that the module returns

RETURNED = {
    "alone": (lambda f, v, n: entropy(v), "returned scalar", (True, False)),
    "and embedding": (lambda f, v, n: (entropy(v), f), "returned scalar 0", (True, False)),
    "after others": (lambda f, v, n: (f, entropy(n), entropy(v)), "returned scalar 1", (False, True)),
    "then its parts": (
        lambda f, v, n: (entropy(v) + entropy(n), entropy(v), entropy(n)),
        "returned scalar 0",
        (True, True),
    ),
    "named": (
        lambda f, v, n: {"aux": entropy(n), "logits": v, "loss": entropy(v)},
        "returned scalar loss",
        (True, False),
    ),
    "an attribute": (
        lambda f, v, n: SimpleNamespace(noun=entropy(n), loss=entropy(v)),
        "returned scalar loss",
        (True, False),
    ),
    "of a nested output": (
        lambda f, v, n: (f, {"out": Record(n, 0), "loss": entropy(v)}),
        "returned scalar 1.loss",
        (True, False),
    ),
    "per sample": (
        lambda f, v, n: {"loss": entropy(v, reduction="none"), "logits": n},
        "sum of the output loss (4,)",
        (True, False),
    ),
    "without gradient": (
        lambda f, v, n: {"loss": entropy(v).detach(), "logits": v},
        "sum of the output logits (4, 5)",
        (True, False),
    ),
    "losses": (
        lambda f, v, n: {"cls": entropy(v), "box": entropy(n)},
        "sum of 2 returned scalars: cls, box",
        (True, True),
    ),
    "losses and a metric": (
        lambda f, v, n: {"cls": [entropy(v), entropy(2 * v)], "box": entropy(n), "acc": v.detach().mean()},
        "sum of 3 returned scalars: cls.0, cls.1, box",
        (True, True),
    ),
    "losses with their total": (
        lambda f, v, n: {"cls": entropy(v), "box": entropy(n), "total_loss": entropy(v)},
        "returned scalar total_loss",
        (True, False),
    ),
    "losses beside detections": (
        lambda f, v, n: ({"cls": entropy(v), "box": entropy(n)}, [{"boxes": v.detach()}]),
        "sum of 2 returned scalars: 0.cls, 0.box",
        (True, True),
    ),
    "losses under that name": (
        lambda f, v, n: {"features": f, "loss": {"cls": entropy(v), "box": entropy(n)}},
        "sum of 2 returned scalars: loss.cls, loss.box",
        (True, True),
    ),
    "a list": (lambda f, v, n: [entropy(v), entropy(n)], "sum of 2 returned scalars: 0, 1", (True, True)),
}


@pytest.mark.parametrize("kind", RETURNED)
def test_a_returned_loss_is_differentiated(kind):
    choose, words, heads = RETURNED[kind]
    for engine in ENGINES:
        training = train(choose, engine=engine)
        is_trained(training, *heads)
        assert training.losses == (words,)


NONE = {
    "whole numbers": (lambda f, v, n: v.argmax(1), "no gradient: the module returns no floating-point tensor"),
    "nothing": (lambda f, v, n: None, "no gradient: the module returns no floating-point tensor"),
    "constants": (
        lambda f, v, n: v.detach(),
        "no gradient: the module's output depends on nothing that is trained",
    ),
}


@pytest.mark.parametrize("kind", NONE)
def test_what_has_no_gradient_says_so(kind):
    choose, words = NONE[kind]
    training = train(choose)
    is_trained(training, verb=False, noun=False)
    assert training.losses == (words,)
    assert training.loss.total_flops == 0


def test_what_is_all_frozen_says_so():
    training = train(lambda f, v, n: v, freeze="*")
    assert training.losses == ("no gradient: the module's output depends on nothing that is trained",)
    assert training.untrained == ()  # none requires a gradient


# ---- the caller's loss


@pytest.mark.parametrize(
    ("loss", "words", "heads"),
    [
        ("verb", "sum of the output verb (4, 5)", (True, False)),
        ("rest.0", "sum of the output rest.0 (4, 3)", (False, True)),
        ("rest", "sum of 2 outputs: rest.0 (4, 3), rest.1.f (4, 8)", (False, True)),
        ("loss", "returned scalar loss", (True, True)),
        (lambda out: entropy(out["rest"][0]), "the given function", (False, True)),
        (lambda out: sum(t.mean() for t in (out["verb"], out["rest"][0])), "the given function", (True, True)),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_caller_decides(loss, words, heads, engine):
    def choose(f, v, n):
        return {"loss": entropy(v) + entropy(n), "verb": v, "rest": (n, {"f": f})}

    training = train(choose, loss=loss, engine=engine)
    is_trained(training, *heads)
    assert training.losses == (words,)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("path", ["noun", "heads.1", "more.heads.1", "list.noun", "heads.1.noun"])
def test_every_path_to_a_tensor_counts(path, engine):
    """One tensor, and one list, under several names; what is asked for is summed once."""

    def choose(f, v, n):
        heads = [v, n]
        return {"verb": v, "noun": n, "heads": heads, "more": {"heads": heads}, "list.noun": n, "heads.1": {"noun": n}}

    is_trained(train(choose, engine=engine, loss=path), verb=False, noun=True)


def test_a_loss_that_has_another_name_before():
    def choose(f, v, n):
        total = entropy(n)
        return total, v, {"aux": entropy(v), "loss": total}

    is_trained(train(choose), verb=False, noun=True)
    assert train(choose).losses == ("returned scalar 2.loss",)


def test_a_number_is_a_path_too():
    is_trained(train(lambda f, v, n: (v, [n]), loss="1"), verb=False, noun=True)
    is_trained(train(lambda f, v, n: (v, [n]), loss="1.0"), verb=False, noun=True)
    is_trained(train(lambda f, v, n: {"a.b": v, "c": n}, loss="a.b"), verb=True, noun=False)
    is_trained(train(lambda f, v, n: (t for t in (v, n)), loss="0"), verb=True, noun=False)
    is_trained(train(lambda f, v, n: (v, map(torch.relu, [n])), loss="0"), verb=True, noun=False)
    is_trained(train(lambda f, v, n: (v, map(torch.relu, [n]))), verb=True, noun=True)


def test_a_function_gets_what_a_generator_yields():
    is_trained(train(lambda f, v, n: (t for t in (v, n)), loss=lambda out: next(out).sum()), verb=True, noun=False)


def test_a_criterion_is_counted_as_loss():
    """Cross entropy of the caller: log softmax of 5 per score, nothing for the pick; 4 per score backward."""
    target = torch.zeros(4, dtype=torch.int64)

    def classify(scores):
        return F.cross_entropy(scores, target)

    training = train(lambda f, v, n: v, loss=classify)
    assert training.losses == ("the given function classify",)
    assert training.loss.other_flops == 5 * 20
    assert training.backward_by_input.other_flops == 4 * 20 + 4 * 8


def test_a_mistyped_path_offers_near_ones():
    with pytest.raises(UnknownNameError) as raised:
        train(lambda f, v, n: {"heads": {"verb": v, "noun": n}}, loss="heads.verbs")
    assert raised.value.message == "no floating-point output named 'heads.verbs'"
    assert "near    heads.verb" in str(raised.value)
    assert "its outputs are heads, heads.verb, heads.noun" in str(raised.value)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda out: out, "the loss function returns a tensor (4, 5) of torch.float32, not a scalar"),
        (lambda out: out.argmax(), "the loss function returns a tensor () of torch.int64, not a scalar"),
        (lambda out: 3.0, "the loss function returns 3.0, not a scalar"),
        (3, "loss is 3"),
        ("", "loss is ''"),
        ("logits", "no floating-point output named 'logits'"),
    ],
)
def test_bad_losses(loss, message):
    with pytest.raises(InputError) as raised:
        train(lambda f, v, n: v, loss=loss)
    assert raised.value.message == message
    with pytest.raises(InputError, match="but the mode is not train"):
        count_flops(Heads(lambda f, v, n: v), (4, 6), loss="logits")


def test_an_error_of_the_callers_function_is_shown_as_it_is():
    def wrong(output):
        return output["logits"]["scores"].sum()

    module = Heads(lambda f, v, n: {"logits": {"verb": v}})
    before = module_state(module), global_state()
    with pytest.raises(ForwardError, match="KeyError: 'scores'") as raised:
        count_flops(module, (4, 6), mode="train", loss=wrong)
    assert ("in", "the loss (Heads)") in raised.value.details
    assert (module_state(module), global_state()) == before


def test_a_function_that_reads_values_climbs():
    def careful(scores):
        return scores.sum() if scores.abs().max().item() < 1e6 else scores.mean()

    training = train(lambda f, v, n: v, loss=careful)
    assert training.engine == "real"
    is_trained(training, verb=True, noun=False)


def test_a_loss_with_weights_of_its_own_leaves_them_alone():
    class Centres(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(5, 3))

        def forward(self, scores):
            return (scores @ self.weight).square().mean()

    centres = Centres()
    centres.weight.grad = gradient = torch.ones(5, 3)
    for engine in ENGINES:
        training = train(lambda f, v, n: v, loss=centres, engine=engine)
        is_trained_with = 4 * 5 * 3
        assert training.loss.macs == is_trained_with
        assert training.backward.macs == 2 * is_trained_with + BODY + 2 * VERB
        assert centres.weight.grad is gradient
        assert gradient.eq(1).all()
        assert not centres.weight.is_meta


# ---- what gets no gradient


def test_what_is_untrained_is_said_everywhere():
    report = count_flops(Heads(lambda f, v, n: v), (4, 6), mode="train")
    assert report.training.untrained == NO_NOUN
    assert "no gradient: noun.weight, noun.bias, though it would take one" in report.training.by_module().notes
    assert json.loads(report.to_json())["training"]["untrained"] == list(NO_NOUN)
    frozen = train(lambda f, v, n: v, freeze="noun")
    assert frozen.untrained == ()


# ---- laws


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["f", "v", "n", "scalar", "none"]), max_size=4), st.sampled_from([tuple, list]))
def test_laws(parts, kind):
    def choose(f, v, n):
        made = {"f": f, "v": v, "n": n, "scalar": v.mean(), "none": None}
        return kind(made[part] for part in parts)

    found = [train(choose, engine=engine) for engine in ENGINES]
    assert len({training.losses for training in found}) == 1
    for training in found:
        assert [training.phases[phase].macs for phase in Phase] == [found[0].phases[phase].macs for phase in Phase]
        assert sum(sum(row.own[phase].macs for phase in Phase) for row in training.rows) == training.total.macs
        names = {name for name, _ in Heads(choose).named_parameters()}
        assert set(training.untrained) <= names
    twice = count_flops(Heads(choose), (8, 6), mode="train").training
    assert twice.total.macs == 2 * found[0].total.macs


def test_the_command_takes_a_path():
    result = CliRunner().invoke(app, ["model", "cnn_lstm", "--clip", "2x67x67", "--train", "--loss", "logits"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: no floating-point output named 'logits'\n")
    result = CliRunner().invoke(app, ["model", "cnn_lstm", "--clip", "2x67x67", "--loss", "logits"])
    assert re.match(r"error: --loss needs --train\n", result.stderr)
