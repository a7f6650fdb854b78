"""The tests themselves: no file imports another, `-m "not slow"` runs something of each, and audits are asked for."""

import ast
from pathlib import Path

import flopcount

TESTS = Path(__file__).parent


def imported(path):
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (part for name in node.names for part in name.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module or "").split(".")
            yield from (name.name for name in node.names)  # `from . import test_x`


def test_no_file_imports_a_file_of_tests():
    """What two files need is in a third that holds no tests, like modules.py and states.py."""
    files = {path.stem for path in TESTS.rglob("test_*.py")}
    assert len(files) > 40
    wrong = {path.name: named & files for path in TESTS.rglob("*.py") if (named := {*imported(path)}) & files}
    assert wrong == {}


def test_tests_stand_in_the_rooms_of_the_package():
    """A folder of tests is a room, or a room within one; a test of several rooms, or of none, is beside the folders."""
    house = Path(flopcount.__file__).parent
    rooms = {path.parent.relative_to(house) for path in house.glob("**/__init__.py")}
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py") if path.parent != TESTS}
    assert folders <= rooms
    assert {room.parts[0] for room in rooms if room.parts} == {folder.parts[0] for folder in folders}


def test_audits_run_where_they_are_asked_for(request):
    audits = [item for item in request.session.items if item.get_closest_marker("audit")]
    assert not audits or "audit" in request.config.getoption("-m").split()
    assert all(item.get_closest_marker("slow") for item in audits)


def test_every_file_has_quick_tests(request):
    items = request.session.items  # all of the files that were asked for, in every worker
    quick = {item.path.name for item in items if item.get_closest_marker("slow") is None}
    assert {item.path.name for item in items} - quick == set()
