"""What every test runs under; golden outputs, compared byte for byte and renewed with `pytest --update-golden`."""

import gc
import os
import sys
from pathlib import Path

# With `pytest -n` every core has a worker. Each would have torch start a thread on every core, which only wait for
# each other. Torch reads this when it is imported, and processes that tests start inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from hypothesis import HealthCheck, settings

from flopcount.rules import registry
from flopcount.tracing.layout import layout_of
from flopcount.tracing.meta import Argument, MetaMode

GOLDEN = Path(__file__).parent / "golden"

# Some warnings of torch come once a process: to the test that happens to be first. Now they come to every test.
torch.set_warn_always(True)

# A machine that is busy with other things must not fail a test.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden and the README's outputs")


def pytest_configure(config):
    if config.getoption("--update-golden") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--update-golden writes files that several tests share: leave out -n")


SLOW_FIXTURES = {"costs"}  # cost reports of whole networks, which take seconds to make


def pytest_collection_modifyitems(items):
    for item in items:
        # `-m "not slow"` takes the place of the `-m "not audit"` that else holds, and means those too
        if SLOW_FIXTURES & set(item.fixturenames) or item.get_closest_marker("audit"):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    gc.set_threshold(200_000)  # as the command does (flopcount/cli.py)
    gc.freeze()  # what has been imported by now stays; looking through it for garbage takes a tenth of the time


@pytest.fixture
def own_rules(monkeypatch):
    """A registry of rules for this test alone, with all that are there."""
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))


@pytest.fixture
def update_golden(request):
    return request.config.getoption("--update-golden")


@pytest.fixture
def golden(update_golden):
    """Compare a text with tests/golden/<name>."""

    def compare(name, text):
        path = GOLDEN / name
        if update_golden:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert text == path.read_text(), f"{path.name} differs; look at it, then pytest --update-golden"

    return compare


@pytest.fixture
def compared(monkeypatch):
    """Every answer of ours is put beside that of torch's kernel, strides included."""
    answer = MetaMode._first_time
    seen = []

    def layouts(known, args):
        result = known.result
        return layout_of(args[result.position]) if isinstance(result, Argument) else result

    def both(self, func, args, kwargs):
        ours = answer(self, func, args, kwargs)
        if self.fast:
            self.fast = False
            theirs = answer(self, func, args, kwargs)
            self.fast = True
            assert layouts(ours, args) == layouts(theirs, args), func
            assert ours.signature.outputs == theirs.signature.outputs
            seen.append(func)
        return ours

    monkeypatch.setattr(MetaMode, "_first_time", both)
    return seen


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a package that shadows an installed one for the length of a test."""

    def write(name, text):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
        for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.syspath_prepend(tmp_path)
        written.append(name)

    written = []
    yield write
    for name in written:  # what was imported from here must not stay
        for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == name]:
            del sys.modules[loaded]
