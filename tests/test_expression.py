from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopcount import TensorSpec
from flopcount.expression import Term, named
from flopcount.rules import RULES


def read(text):
    return eval(text.replace("·", "*").replace("−", "-").replace(" / ", "//"))


leaves = st.integers(1, 9).map(Term)
operations = st.sampled_from(["+", "-", "*", "//", "swapped +", "swapped *"])


def joined(terms):
    def join(operation, left, right):
        match operation:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "swapped +":
                return int(right) + left
            case "swapped *":
                return int(right) * left
        return left // right if int(right) else left

    return st.builds(join, operations, terms, terms)


@given(st.recursive(leaves, joined, max_leaves=12))
@settings(deadline=None)
def test_the_text_evaluates_to_the_value(term):
    assert isinstance(term, Term)
    assert read(term.text) == int(term)


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (Term(2) * Term(3) * 1, "2·3"),
        (1 * Term(4), "4"),
        (Term(2) + 0, "2"),
        ((Term(2) + Term(3)) * Term(4), "(2 + 3)·4"),
        (Term(2) * Term(3) + Term(4), "2·3 + 4"),
        (Term(12) // Term(4), "12 / 4"),
        (Term(3) * (Term(12) // Term(4)), "3·(12 / 4)"),
        (Term(12) // (Term(2) * Term(3)), "12 / (2·3)"),
        (Term(9) - (Term(2) - Term(1)), "9 − (2 − 1)"),
        (prod([Term(3), Term(5), Term(7)]), "3·5·7"),
        (sum([Term(3), Term(5)]), "3 + 5"),
    ],
)
def test_texts(term, text):
    assert term.text == text


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.booleans())
@settings(deadline=None, max_examples=30)
def test_a_rule_gives_the_same_work_on_numbers_that_remember(batch, channels, kernel, transposed):
    x, w = TensorSpec((batch, channels, 7)), TensorSpec((5, channels, kernel))
    out = TensorSpec((batch, 5, 8 - kernel))
    plain = RULES["aten.convolution"].function(x, w, None, transposed, out=out)
    terms = RULES["aten.convolution"].function(named(x), named(w), None, transposed, out=named(out))
    assert terms == plain
    assert read(Term.of(terms.macs).text) == plain.macs


def test_named_keeps_what_is_no_tensor():
    assert named((1, "same", None, 0.5)) == (1, "same", None, 0.5)
    spec = named((TensorSpec((2, 3)),))[0]
    assert spec == TensorSpec((2, 3))
    assert all(isinstance(size, Term) for size in spec.shape)
