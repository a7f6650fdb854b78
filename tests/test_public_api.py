import ast
import subprocess
import sys
from pathlib import Path

import flopcount

PACKAGE = Path(flopcount.__file__).parent


def test_all_is_what_can_be_imported():
    assert flopcount.__all__ == sorted(flopcount.__all__)
    for name in flopcount.__all__:
        assert getattr(flopcount, name) is not None
    assert set(flopcount._HOME) | {"__version__"} == set(flopcount.__all__)


def test_every_module_says_what_it_exports():
    for path in PACKAGE.rglob("*.py"):
        if path.name in ("__main__.py", "_version.py"):
            continue
        tree = ast.parse(path.read_text())
        exports = [n for n in tree.body if isinstance(n, (ast.Assign, ast.AnnAssign)) and "__all__" in ast.unparse(n)]
        assert exports, path
        assert ast.get_docstring(tree), path


def test_import_is_light():
    code = "import flopcount, sys; assert not {'torch', 'pandas', 'matplotlib', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Each stage may import, when it is loaded, only stages before it.
STAGES = [
    {"errors", "_version", "units", "dataflow"},
    {"clip", "ops", "provenance", "writing"},
    {"rules", "expression", "models"},
    {"remembered"},
    {"tracing", "costing"},
    {"fields"},
    {"report"},
    {"tables", "explanation"},
    {"training", "span"},
    {"memory"},
    {"batches", "renderers", "catalogue", "counting", "options", "saved"},
    {"crosscheck", "facts", "difference", "compat", "streams"},
    {"symbolic", "sweeping", "budget"},
    {"largest", "budget_file"},
    {"verification", "survey"},
    {"comparison", "cost_report"},
    {"figures"},
    {"pages"},
    {"interactive"},
    {"commands"},
    {"cli"},
]
STAGE = {name: i for i, names in enumerate(STAGES) for name in names}


def _imported(path):
    """Stages imported at module level, type-checking blocks and function bodies aside."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            depth = len(path.relative_to(PACKAGE).parts)
            if node.level == depth:  # relative to the package's root
                names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
                yield from names


def test_no_stage_imports_a_later_one():
    seen = 0
    for path in PACKAGE.rglob("*.py"):
        stage = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if stage in ("__init__", "__main__"):
            continue
        for name in _imported(path):
            assert STAGE[name] <= STAGE[stage], f"{path.name} imports {name}"
            seen += 1
    assert seen > 40


def test_no_file_is_too_long_to_read():
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 450, path
