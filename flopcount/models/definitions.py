"""What a Python file defines that can be named as file.py:callable, read from its text: nothing of it is run.

Classes that have no base can be no module, and are left out; so are private names. What a function returns is known
only when it is called.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from ..core.errors import InputError, UnknownNameError
from ..core.model_spec import ModelSpec

__all__ = ["Definition", "Parameter", "definitions_in", "require_inputs", "source_file"]

_NO_MODULE = ("Enum", "StrEnum", "IntEnum", "Flag", "NamedTuple", "TypedDict", "Protocol", "ABC", "Generic", "object")
"""Last names of bases whose classes are no modules."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a class or a function, as it is written: its annotation and default, "" where there is none."""

    name: str
    annotation: str = ""
    default: str = ""
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.name}={self.default}" if self.default else self.name


@dataclass(frozen=True, slots=True)
class Definition:
    """A class, a function, or a module that is built already ("instance").

    A decorator may put something else in its place: what is said of such a class is what is written.

    `parameters` are None where they are those of a base from elsewhere, `base`. `inputs` are the parameters of a
    class's forward(), None where no class of this file has one.
    """

    name: str
    kind: str
    parameters: tuple[Parameter, ...] | None
    doc: str = ""
    base: str = ""
    line: int = 0
    inputs: tuple[Parameter, ...] | None = None
    decorated: bool = False

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return self.doc.strip().partition("\n")[0]

    @property
    def needed(self) -> tuple[str, ...]:
        """Parameters without a default, which --set has to give."""
        return tuple(each.name for each in self.parameters or () if not each.optional)

    @property
    def signature(self) -> str:
        """Its parameters as they are written, without annotations."""
        if self.kind == "instance":
            return ""
        if self.parameters is None:
            return f"as {self.base}"
        return f"({', '.join(map(str, self.parameters))})"


def definitions_in(source: str) -> tuple[Definition, ...]:
    """Everything in a file, or a module of the import path, that a model can be named by, in its order.

    Raises:
        UnknownNameError: there is no such file or module.
        InputError: it cannot be read, or is no Python.
    """
    path = source_file(source)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except SyntaxError as error:
        where = [("in", f"{path}, line {error.lineno}"), ("seen", (error.text or "").strip())]
        raise InputError(f"{path} is no Python: {error.msg}", where) from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", [("fix", "name a Python file")]) from None
    return tuple(_definitions(tree))


def require_inputs(spec: ModelSpec) -> None:
    """Refuse, before anything is imported, inputs that a class in a file lacks, where the file says what it takes.

    Raises:
        UnknownNameError: there is no such file.
        InputError: its forward() has parameters without a default that get no input.
    """
    source, _, name = spec.name.rpartition(":")
    if not source.endswith(".py"):
        return
    source_file(source)
    try:
        found = {each.name: each for each in definitions_in(source)}
    except InputError:  # importing it says where and why
        return
    of = found.get(name)
    if of is None or of.inputs is None or of.decorated or not (spec.inputs or spec.clip):
        return
    needed = [each.name for each in of.inputs if not each.optional]
    named = {key for key, _ in spec.inputs if key}
    missing = [each for each in needed if each not in named] if named else needed[max(len(spec.inputs), 1) :]
    if not missing:
        return
    given = ", ".join(named) or (f"{len(spec.inputs)} without a name" if spec.inputs else f"clip {spec.clip}")
    fix = " ".join(f"--input {each}:SHAPE" for each in needed)
    raise InputError(
        f"{name} takes {' and '.join(needed)}, and there is no {' and no '.join(missing)}",
        [("in", f"forward() of {spec.name}"), ("given", given), ("fix", f"give each with its shape: {fix}")],
    )


def source_file(source: str) -> Path:
    """The file of "nets.py", or of "package.module", which is looked for here and on the import path.

    Raises:
        UnknownNameError: there is none, with near names.
    """
    if source.endswith(".py"):
        path = Path(source).expanduser()
        if not path.is_file():
            here = path.parent if path.parent.is_dir() else Path()
            files = [str(file) for file in here.glob("*.py")]
            raise UnknownNameError("file", source, files, "name a Python file with a path from here")
        return path
    places: list[str] | None = None
    spec = None
    name = ""
    for part in source.split("."):
        name = f"{name}.{part}".strip(".")
        spec = PathFinder.find_spec(name, ["", *(_import_path())] if places is None else places)
        if spec is None:
            break
        places = list(spec.submodule_search_locations or ())
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        fix = "name a file such as nets.py, or a package.module that is installed or here"
        raise UnknownNameError("file or module", source, [str(file) for file in Path().glob("*.py")], fix)
    return Path(spec.origin)


def _import_path() -> list[str]:
    import sys

    return sys.path


def _definitions(tree: ast.Module) -> Iterator[Definition]:
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    models: set[str] = set()
    for node in _top(tree.body):
        if isinstance(node, ast.ClassDef) and _can_be_module(node, classes):
            models.add(node.name)
            if not node.name.startswith("_"):
                parameters, base = _of_class(node, classes)
                doc, inputs = ast.get_docstring(node) or "", _inputs(node, classes)
                decorated = bool(node.decorator_list)
                yield Definition(node.name, "class", parameters, doc, base, node.lineno, inputs, decorated)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            doc = ast.get_docstring(node) or ""
            yield Definition(node.name, "function", _parameters(node.args), doc, line=node.lineno)
        elif isinstance(node, ast.Assign) and _builds(node.value, models):
            for target in node.targets:
                if isinstance(target, ast.Name) and not target.id.startswith("_"):
                    yield Definition(target.id, "instance", (), line=node.lineno)


def _top(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """What stands at the top of a file, also below an `if` and a `try`, but not what runs as a script alone."""
    for node in body:
        if isinstance(node, ast.If):
            if "__name__" not in ast.unparse(node.test):
                yield from _top([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _top([*node.body, *(each for handler in node.handlers for each in handler.body), *node.orelse])
        else:
            yield node


def _bases(node: ast.ClassDef) -> list[str]:
    """The bases as they are written, without what is in brackets: "Generic[T]" is Generic."""
    return [ast.unparse(base).partition("[")[0] for base in node.bases]


def _can_be_module(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> bool:
    return any(_leads_to_module(base, classes, {node.name}) for base in _bases(node))


def _leads_to_module(base: str, classes: dict[str, ast.ClassDef], seen: set[str]) -> bool:
    """Whether a base may be a torch.nn.Module: one from elsewhere may, one of this file where one of its bases may."""
    last = base.rpartition(".")[2]
    if last in _NO_MODULE or last.endswith(("Error", "Exception")):
        return False
    if base not in classes or base in seen:
        return base not in classes
    return any(_leads_to_module(each, classes, seen | {base}) for each in _bases(classes[base]))


def _of_class(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> tuple[tuple[Parameter, ...] | None, str]:
    """The parameters of its __init__ or that of a base in this file; else the name of the base that has them."""
    found = _method("__init__", node, classes, set())
    if isinstance(found, ast.FunctionDef):
        return _parameters(found.args, bound=True), ""
    return ((), "") if found.rpartition(".")[2] in ("Module", "") else (None, found)


def _inputs(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> tuple[Parameter, ...] | None:
    found = _method("forward", node, classes, set())
    return _parameters(found.args, bound=True) if isinstance(found, ast.FunctionDef) else None


def _method(name: str, node: ast.ClassDef, classes: dict[str, ast.ClassDef], seen: set[str]) -> ast.FunctionDef | str:
    """A method of a class or of its bases in this file; else the base from elsewhere that it may be of, or ""."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == name:
            return each
    for base in _bases(node):
        if base not in classes:
            return base
        if base not in seen and (found := _method(name, classes[base], classes, seen | {base})):
            return found
    return ""


def _parameters(of: ast.arguments, *, bound: bool = False) -> tuple[Parameter, ...]:
    positional = [*of.posonlyargs, *of.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(of.defaults)) + list(of.defaults)
    pairs = [*zip(positional, defaults, strict=True)][bound:]
    named = [_parameter(each, default) for each, default in pairs]
    gathered = [Parameter(f"*{of.vararg.arg}", optional=True)] if of.vararg else []
    keywords = [_parameter(each, default) for each, default in zip(of.kwonlyargs, of.kw_defaults, strict=True)]
    rest = [Parameter(f"**{of.kwarg.arg}", optional=True)] if of.kwarg else []
    return (*named, *gathered, *keywords, *rest)


def _parameter(of: ast.arg, default: ast.expr | None) -> Parameter:
    annotation = ast.unparse(of.annotation) if of.annotation is not None else ""
    return Parameter(of.arg, annotation, "" if default is None else ast.unparse(default), default is not None)


def _builds(value: ast.expr, models: set[str]) -> bool:
    """Whether an assignment builds a module: a call of a class of this file, or of one of torch.nn."""
    if not isinstance(value, ast.Call):
        return False
    called = ast.unparse(value.func)
    return called in models or called.startswith(("nn.", "torch.nn."))
