"""Rules by a word: an operator, a module type of torch.nn, a kind, or a part of a name."""

from __future__ import annotations

import re

from ..core.errors import UnknownNameError
from ..core.ops import Kind
from ..core.spelling import letters_of
from .registry import RULES, Rule

__all__ = ["rules_named"]

_OPERATORS = {
    "multiheadattention": ("aten.scaled_dot_product_attention", "aten.linear"),
    "sdpa": ("aten.scaled_dot_product_attention",),
    "flashattention": ("aten.scaled_dot_product_attention",),
    "fc": ("aten.linear",),
    "upsample": ("aten.upsample_nearest2d", "aten.upsample_bilinear2d", "aten.upsample_trilinear3d"),
}
"""Letters of a word -> the operators behind it, where their names do not have it."""

_DIMENSIONS = re.compile(r"[123]d$")


def rules_named(word: str) -> tuple[Rule, ...]:
    """The rules that a word means, each once; capitals, dashes and "nn." before it do not matter.

    The first of these that there are: operators of this name ("conv3d", "aten.conv3d"), those of a module of this type
    ("nn.MultiheadAttention"), the rules of a kind ("pool"), names with the word in them ("bilinear2d"), operators of
    this name without its dimensions ("BatchNorm3d").

    Raises:
        UnknownNameError: no operator and no kind is like it; the message offers near names.
    """
    wanted = letters_of(re.sub(r"^(torch\.)?(nn|ops|f)\.", "", word.strip(), flags=re.IGNORECASE))
    short = _DIMENSIONS.sub("", wanted)
    by_letters: dict[str, list[Rule]] = {}
    for operator, rule in RULES.items():
        for name in (operator, operator.partition(".")[2]):
            by_letters.setdefault(letters_of(name), []).append(rule)
    of_kind = [rule for rule in RULES.values() if rule.kind.value == wanted]
    with_word = [rule for name, rules in by_letters.items() if wanted and wanted in name for rule in rules]
    of_type = [RULES[operator] for operator in _OPERATORS.get(wanted, ()) if operator in RULES]
    for rules in (by_letters.get(wanted), of_type, of_kind, with_word, by_letters.get(short)):
        if rules:
            return tuple({id(rule): rule for rule in rules}.values())
    names = [*dict.fromkeys(operator.rpartition(".")[2] for operator in RULES), *(kind.value for kind in Kind)]
    fix = "see `flopcount rules` for all operators; one without a rule is listed as uncosted"
    raise UnknownNameError("operator, module type or kind", word, names, fix)
