"""ptflops' default backend (`pytorch`), run for real: MACs per sample, with bias and one per element of much else.

What enters is a real module with real tensors; what leaves is ptflops' count of each module, that of the functions it
patches (charged to the module that ran), and what ran meanwhile.
"""

from __future__ import annotations

import contextlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

from torch import nn
from torch.nn import functional

from .claims import visits
from .peer import PeerCount, quiet
from .watched import Journal, Watched, watch

__all__ = ["batch_of", "name_of", "run_ptflops"]


def run_ptflops(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[PeerCount, Watched]:
    """What ptflops says of one forward pass in eval mode."""
    with quiet():  # it imports timm and torchvision, if they are there
        from ptflops import get_model_complexity_info, pytorch_ops

    hooks: dict[Any, Callable[..., None]] = pytorch_ops.MODULES_MAPPING
    macs: Counter[str] = Counter()
    names = {id(part): name for name, part in module.named_modules()}

    def recorded(hook: Callable[..., None]) -> Callable[..., None]:
        def hooked(part: Any, given: Any, result: Any) -> None:
            before = part.__flops__
            hook(part, given, result)
            macs[names[id(part)]] += part.__flops__ - before

        return hooked

    def call(journal: Journal) -> Any:
        macs.clear()
        with _functions_noted(pytorch_ops, journal):
            return get_model_complexity_info(
                module,
                (1,),  # which the constructor below does not need
                as_strings=False,
                print_per_layer_stat=False,
                backend="pytorch",
                input_constructor=lambda _: _input(module, args, kwargs),
                custom_modules_hooks={kind: recorded(hook) for kind, hook in hooks.items()},
            )[0]

    printed, watched = watch(module, lambda journal: _answered(call(journal), journal.output.getvalue()))
    places = visits(module, lambda part: type(part) in hooks)
    total = Counter({path: amount * places[path] for path, amount in macs.items()})
    functions: Counter[str] = Counter()
    for asked in watched.asked:
        functions[asked.path] += asked.amount
    batch = batch_of(args, kwargs)
    samples = f"per sample: modules' counts divided by {batch}, the length of the first argument" if batch > 1 else ""
    total[""] += printed - sum(total.values()) - sum(functions.values())  # the division, and what is unknown
    total.update(functions)
    count = PeerCount("ptflops", version("ptflops"), dict(total), printed=printed, unit="MACs", remark=samples)
    return count, watched


def batch_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """What ptflops takes for the batch: the length of a lone positional argument, of a list its number of tensors."""
    return len(args[0]) if len(args) == 1 and not kwargs else 1


_APOLOGY = "the following exception:"


def _answered(count: int | None, printed: str) -> int:
    """The number; where ptflops swallowed an exception, what it printed of it."""
    if count is None:
        raise RuntimeError(f"it swallowed {printed.partition(_APOLOGY)[2].strip()}")
    return count


def _input(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One positional argument or a dictionary of named ones: ptflops calls a module in no other way."""
    if len(args) == 1 and not kwargs:
        return args[0]
    signature = inspect.signature(module.forward)
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in signature.parameters.values()):
        raise TypeError("it gives a module one positional argument or named ones, and these have no names")
    return {**signature.bind_partial(*args).arguments, **kwargs}


@contextlib.contextmanager
def _functions_noted(operators: Any, journal: Journal) -> Iterator[None]:
    """Every formula for a function, each noting its calls, in the tables that it patches torch from."""
    tables = (operators.FUNCTIONAL_MAPPING, operators.TENSOR_OPS_MAPPING)
    before = [dict(table) for table in tables]
    for table in tables:
        for function, formula in table.items():
            table[function] = _noted(name_of(function), formula, journal)
    try:
        yield
    finally:
        for table, formulas in zip(tables, before, strict=True):
            table.update(formulas)


def name_of(function: Any) -> str:
    """A function's name; those of torch.nn.functional that choose by an argument are called otherwise inside."""
    public = (name for name, value in vars(functional).items() if value is function and not name.startswith("_"))
    return f"F.{name}" if (name := next(public, "")) else f"torch.{function.__name__}"


def _noted(name: str, formula: Callable[..., Any], journal: Journal) -> Callable[..., int]:
    def noted(*args: Any, **kwargs: Any) -> int:
        amount = int(formula(*args, **kwargs))
        journal.note(name, args, kwargs, amount)
        return amount

    return noted
