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


def test_no_file_is_too_long_to_read():
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 450, path
