"""A closed form: what a model costs as an exact function of its clip, and the sizes for which it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from ..core.quantity import TABLE, require_quantity
from .notation import latex as in_latex
from .notation import sympified
from .notation import text as in_text
from .polynomial import Polynomial, Staircase, total

__all__ = ["Domain", "Form"]

_LARGEST = 2**62


@dataclass(frozen=True, slots=True)
class Domain:
    """Sizes of one axis on which a form holds: from `minimum` in steps that reach `base`; if pinned, only `base`."""

    axis: str
    base: int
    minimum: int
    step: int = 1
    pinned: str = ""

    def __contains__(self, size: Any) -> bool:
        sizes = np.asarray(size)
        if self.pinned:
            return bool((sizes == self.base).all())
        return bool(((sizes >= self.minimum) & ((sizes - self.base) % self.step == 0)).all())

    def __str__(self) -> str:
        if self.pinned:
            return f"{self.axis} = {self.base}"
        if self.step == 1:
            return f"{self.axis} ≥ {self.minimum}"
        return f"{self.axis} = {self.minimum}, {self.minimum + self.step}, {self.minimum + 2 * self.step}, ..."

    def even(self, stair: Staircase) -> bool:
        """Whether a staircase of this axis needs no floor."""
        return self.step % stair.step == 0 and (self.base + stair.shift) % stair.step == 0


@dataclass(frozen=True, slots=True)
class Form(OneLine):
    """Cost of a model as polynomials in staircases ⌊(n + shift) / step⌋ of the axes of its clip.

    `input` is the model's input, such as "1×3×T×H×W" or "clip T×112×112".
    `parts` has the polynomial of each module's own amount, for each quantity; a quantity without one is in `missing`,
    with the reason. `rebuilt` says that the model is built anew for each clip; otherwise it is one module, whose
    parameters stay. `assumed` names the values that the counts had to invent.
    """

    model: str
    input: str
    domains: tuple[Domain, ...]
    parts: Mapping[str, Mapping[str, Polynomial]]
    missing: Mapping[str, str]
    uncosted: tuple[str, ...]
    rebuilt: bool
    checked: int
    assumed: tuple[str, ...] = ()

    @property
    def base(self) -> dict[str, int]:
        """The clip from which the other clips vary."""
        return {domain.axis: domain.base for domain in self.domains}

    def frees(self, domain: Domain) -> bool:
        """Whether `rebuild` might free a pinned axis: it sizes a model anew to a clip, whose axes these are."""
        return bool(domain.pinned) and not self.rebuilt and domain.axis in "THWS"

    def even(self, stair: Staircase) -> bool:
        """Whether a staircase needs no floor where the form holds."""
        return any(domain.axis == stair.axis and domain.even(stair) for domain in self.domains)

    def polynomial(self, quantity: str = "macs", module: str = "") -> Polynomial:
        """The polynomial of a module with its children; "" is the whole model.

        Raises:
            UnknownNameError: there is no such quantity or module.
            InputError: the quantity has no closed form; the message gives the reason.
        """
        require_quantity(quantity)
        if TABLE[quantity].made_of:
            return total([self.polynomial(part, module) * times for part, times in TABLE[quantity].made_of.items()])
        if quantity in self.missing:
            raise InputError(
                f"no closed form of the {TABLE[quantity].title} of {self.model}",
                [("why", self.missing[quantity]), ("fix", "name fewer axes, or count each clip")],
            )
        parts = self.parts[quantity]
        inside = [own for path, own in parts.items() if not module or path == module or path.startswith(f"{module}.")]
        if not inside and module:
            raise UnknownNameError("layer with a cost", module, [path for path in parts if path], "see by_module()")
        return total(inside)

    def own(self, quantity: str, module: str) -> Polynomial:
        """The polynomial of a module's own operators or parameters, without its children."""
        if TABLE[quantity].made_of:
            return total([self.own(part, module) * times for part, times in TABLE[quantity].made_of.items()])
        return self.parts[quantity].get(module, Polynomial({}))

    def at(self, quantity: str, **sizes: Any) -> Any:
        """The exact amount at these sizes of the axes, integers or NumPy arrays; other axes stay at the base.

        Raises:
            UnknownNameError: there is no such axis.
            InputError: the form does not hold at one of the sizes.
        """
        polynomial = self.polynomial(quantity)
        point = {name: _whole(name, size) for name, size in sizes.items()}
        for name, size in point.items():
            domain = next((domain for domain in self.domains if domain.axis == name), None)
            if domain is None:
                raise UnknownNameError("axis", name, list(self.base), f"the form has {', '.join(self.base)}")
            if size not in domain:
                why = [("why", domain.pinned)] if domain.pinned else []
                fix = "rebuild the model for each clip: --rebuild" if self.frees(domain) else "count that clip"
                raise InputError(
                    f"the form of {self.model} holds for {domain}, not for {_shown(size)}", [*why, ("fix", fix)]
                )
        largest = _bound(polynomial, {name: int(np.max(size)) for name, size in (self.base | point).items()})
        if largest > _LARGEST:  # beyond the range of int64; Python's integers are exact, and slower
            point = {
                name: size.astype(object) if isinstance(size, np.ndarray) else size for name, size in point.items()
            }
        return polynomial.at(self.base | point) + _zeros(point.values())

    def macs(self, **sizes: Any) -> Any:
        """Multiply-accumulates; arguments and errors as `at`."""
        return self.at("macs", **sizes)

    def flops(self, **sizes: Any) -> Any:
        """2 · macs; arguments and errors as `at`."""
        return self.at("flops", **sizes)

    def other_flops(self, **sizes: Any) -> Any:
        """FLOPs that are no contraction; arguments and errors as `at`."""
        return self.at("other_flops", **sizes)

    def params(self, **sizes: Any) -> Any:
        """Parameters; arguments and errors as `at`."""
        return self.at("params", **sizes)

    def text(self, quantity: str = "macs", module: str = "") -> str:
        """The polynomial as plain text."""
        return self.written(self.polynomial(quantity, module))

    def latex(self, quantity: str = "macs", module: str = "") -> str:
        """The polynomial in LaTeX, for math mode."""
        return self.written(self.polynomial(quantity, module), latex=True)

    def written(self, polynomial: Polynomial, *, latex: bool = False) -> str:
        """A polynomial in these axes as text or LaTeX, without floors where they do nothing."""
        return (in_latex if latex else in_text)(polynomial, self.base, self.even)

    def sympy(self, quantity: str = "macs", module: str = "") -> Any:
        """A sympy expression."""
        return sympified(self.polynomial(quantity, module))

    def _headline(self) -> str:
        macs = f"MACs = {self.text()}" if "macs" in self.parts else "no closed form of the MACs"
        return f"{self.model} on {self.input}: {macs}"


def _whole(name: str, size: Any) -> Any:
    whole = np.asarray(size)
    if whole.dtype.kind not in "iu":
        raise InputError(f"{name} is {size!r}, not a whole number", [("fix", "give integers, or arrays of them")])
    return whole.astype(np.int64) if whole.ndim else int(size)


def _zeros(sizes: Any) -> Any:
    """The value in the shape of the sizes, also if it is a constant."""
    shapes = [size.shape for size in sizes if isinstance(size, np.ndarray)]
    return np.zeros(np.broadcast_shapes(*shapes), dtype=np.int64) if shapes else 0


def _shown(size: Any) -> str:
    return str(size) if np.ndim(size) == 0 else f"all of {np.size(size)} sizes from {np.min(size)} to {np.max(size)}"


def _bound(polynomial: Polynomial, largest: Mapping[str, int]) -> int:
    """An upper bound of every term and every partial sum at sizes up to these."""
    return sum(abs(Polynomial({monomial: number}).at(largest)) for monomial, number in polynomial.terms.items())
