"""Names of the files in folders, as a choice in a sentence."""

import subprocess
import sys

import pytest

from flopcount.core.registries import FORMATS, PREFIXES, TOOLS, any_of


@pytest.mark.parametrize("names", [FORMATS, PREFIXES, TOOLS])
def test_names_stand_in_the_order_of_the_alphabet_each_once(names):
    assert names == tuple(sorted(set(names)))
    assert len(names) > 3


def test_names_are_told_without_what_they_name():
    code = "import flopcount.core.registries as r, sys; assert not {'torch', 'rich', *r.PREFIXES} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("names", "text"), [(("a",), "a"), (("a", "b"), "a or b"), (("a", "b", "c"), "a, b or c")])
def test_a_sentence_offers_them(names, text):
    assert any_of(names) == text
