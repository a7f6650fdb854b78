"""The house: its rooms in their order, and the package as people install it."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import flopcount

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(flopcount.__file__).parent


def modules():
    return [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def test_every_room_has_its_layer():
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {name.strip() for layer in layers for name in layer.replace(":", "|").split("|")}
    assert rooms == {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()}


def test_no_room_imports_the_root_of_the_package():
    """It gives the public names, and is loaded first of all; what is in the house is imported from its room."""
    for path in modules():
        depth = len(path.relative_to(PACKAGE).parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.partition(".")[0] == "flopcount" for alias in node.names), path
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("flopcount"), path
                assert not (node.level == depth and node.module is None and path.name != "__main__.py"), path


def test_the_face_of_a_package_is_no_home():
    """The parts of a package are in files with names; its `__init__` says what it offers."""
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent in (PACKAGE, PACKAGE / "output"):  # which load what is asked for when it is
            continue
        homes = [node for node in ast.parse(path.read_text()).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        assert not homes, f"{path} holds {homes[0].name}"


def requirement_names(requirements):
    return {canonical(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def declared():
    """What everyone gets, and what an extra brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for requirements in project["optional-dependencies"].values() for name in requirements]
    return requirement_names(project["dependencies"]), requirement_names(extras)


DISTRIBUTIONS = packages_distributions()
BESIDE = ("tests", "benchmarks", "reports", "docs")


def foreign(names):
    """Distributions of modules that are neither Python's nor of this repository."""
    here = {path.stem for folder in BESIDE for path in (ROOT / folder).rglob("*.py")} | {"generators"}
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - here - {"flopcount"}
    return {canonical(DISTRIBUTIONS.get(top, [top])[0]) for top in tops}


def imported(tree):
    """Modules that a file imports, each with whether it does so only in a function that is called, or for types."""
    waits = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) or for_types(node)]
    later = {id(node) for outer in waits for node in ast.walk(outer)}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        yield from ((name, id(node) in later) for name in names)


def for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def undeclared(source, always, extras):
    """What a file imports that no one declares: at once it may take what everyone has, in a function an extra too."""
    found = list(imported(ast.parse(source)))
    at_once = foreign(name for name, later in found if not later)
    return (at_once - always) | (foreign(name for name, _ in found) - always - extras)


def test_every_library_that_the_package_imports_is_declared():
    always, extras = declared()
    for path in modules():
        assert undeclared(path.read_text(), always, extras) == set(), path


def test_what_stands_beside_the_package_imports_what_is_in_an_extra():
    always, extras = declared()
    for folder in BESIDE:
        for path in (ROOT / folder).rglob("*.py"):
            assert undeclared(path.read_text(), always | extras, extras) == set(), path


def test_a_library_that_is_not_declared_is_found():
    at_once, later = "import numpy.linalg\nfrom torch import nn\nimport json", "def f():\n    import numpy"
    assert undeclared(at_once, {"torch"}, {"numpy"}) == {"numpy"}
    assert undeclared(later, {"torch"}, {"numpy"}) == set()
    assert undeclared(later, {"torch"}, set()) == {"numpy"}
    assert undeclared("if TYPE_CHECKING:\n    import numpy", {"torch"}, {"numpy"}) == set()
    assert undeclared("import lazy_loader, yaml", {"lazy-loader"}, set()) == {"pyyaml"}


PROGRAM = """
import sys
from pathlib import Path
import flopcount
assert Path(flopcount.__file__).is_relative_to(sys.argv[1]), flopcount.__file__
print(flopcount.count_model("c3d").macs, len(flopcount.list_models()))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment with nothing of the checkout: a built wheel, and the libraries of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not read
    return python


@pytest.mark.slow
def test_the_wheel_has_all_it_needs(installed, tmp_path):
    def run(*command):
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    report = flopcount.count_model("c3d")
    assert run(installed, "-c", PROGRAM, installed.parent.parent) == f"{report.macs} {len(flopcount.list_models())}\n"
    run(
        installed.parent / "flopcount",
        "report",
        "c3d",
        "--clip",
        "16x16x16",
        "--no-check",
        "--format",
        "html",
        "--out",
        "pages",
    )
    (page,) = (tmp_path / "pages").rglob("*.html")
    assert "<script" in page.read_text()


@pytest.mark.slow
def test_the_wheel_has_every_data_file(installed):
    (site,) = (installed.parent.parent / "lib").glob("python*/site-packages")
    tracked = subprocess.run(["git", "ls-files", "flopcount"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in tracked.stdout.split():
        assert (site / name).is_file(), name
