"""Rules by a word."""

import pytest

from flopcount import InputError
from flopcount.core.ops import Kind
from flopcount.rules import RULES
from flopcount.rules.lookup import rules_named


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("conv3d", "aten.convolution"),
        ("aten.conv3d", "aten.convolution"),
        ("Conv3d", "aten.convolution"),
        ("nn.BatchNorm3d", "aten.batch_norm"),
        ("max pool3d", "aten.max_pool3d"),
        ("torch.nn.LSTM", "aten.lstm"),
        ("fc", "aten.linear"),
    ],
)
def test_an_operator_or_a_module_type(word, name):
    assert [rule.name for rule in rules_named(word)] == [name]


def test_a_module_of_several_operators():
    assert [rule.name for rule in rules_named("MultiheadAttention")] == [
        "aten.scaled_dot_product_attention",
        "aten.linear",
    ]


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.CUSTOM, Kind.UNCOSTED)])
def test_every_kind_is_a_word(kind):
    assert rules_named(kind.value)


def test_a_kind_has_all_its_rules_and_a_part_all_names_with_it():
    assert {rule.name for rule in rules_named("pool")} == {r.name for r in RULES.values() if r.kind is Kind.POOL}
    flash = rules_named("flash_attention")
    assert {r.name for r in flash} == {"aten.scaled_dot_product_attention"}
    expected = {r.name for operator, r in RULES.items() if "bilinear2d" in operator.replace("_", "")}
    assert {r.name for r in rules_named("bilinear2d")} == expected != set()


@pytest.mark.parametrize("word", ["convolutoin", "", "  ", "xyzzy"])
def test_a_word_that_is_none(word):
    with pytest.raises(InputError, match=f"no operator, module type or kind named {word!r}"):
        rules_named(word)


def test_near_names():
    with pytest.raises(InputError, match=r"near +convolution"):
        rules_named("convolutoin")
