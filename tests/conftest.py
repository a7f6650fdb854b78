"""Golden outputs: compared byte for byte, renewed with `pytest --update-golden`."""

from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden and the README's outputs")


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
