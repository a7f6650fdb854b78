"""What all dispatch modes have in common: they record every ATen-level operation whole.

`MetaMode` (in meta.py) computes shapes and no values. `NativeMode` (in native.py) lets the operators run, on fake or on
real tensors, and records the same. Both see composite operators before torch decomposes them, because the trace runs in
inference mode. It skips the autograd keys, so `linear`, `conv3d`, `lstm` or `scaled_dot_product_attention` arrive as
written, on every device, with and without grad.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch

from ..core.ops import Op, Signature
from .attribution import ModulePath
from .communication import is_communication, is_passing, left_out
from .dataflow import DataflowRecorder
from .guard.exits import LOOKS
from .guard.keeper import Keeper, swap_back
from .invented import Invented
from .signatures import has_rule, is_composite
from .torch_private import TorchDispatchMode, memory_id
from .uncountable import Unknown, refuse_operator

__all__ = ["MAKE_DUAL", "RecordingMode", "has_layout_of"]

MAKE_DUAL = torch.ops.aten._make_dual.default

_countable: dict[int, Any] = {}  # operators that can be counted, by identity, since torch hashes them in Python


class RecordingMode(TorchDispatchMode):
    """Records every operation as an Op in `ops`; subclasses define how it runs."""

    supports_higher_order_operators = True

    def __init__(self, path: ModulePath, keeper: Keeper | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path
        self.keeper = keeper or Keeper()
        self.their_tensors: Callable[[], list[torch.Tensor]] = list  # the module's own tensors
        self.has_optimizer = False  # whether the module holds one, which knows its own parameters and no stand-ins
        self.inference = True  # whether inference mode marks the tensors that this trace makes
        self.doubt: Exception | None = None  # an error raised here that another engine might not raise
        self.ops: list[Op] = []
        self._noted: dict[str, None] = {}  # other assumptions in words, each once
        self._communication: dict[str, None] = {}  # operators between processes, which are left out
        self.invented = Invented()
        self.used: set[int] = set()  # the parameters that an operator took, by identity
        self.signatures: dict[Any, Signature] = {}
        self.follower: DataflowRecorder | None = None  # only for a trace with `dataflow`
        self._composite: dict[int, bool] = {}  # by identity of the operator

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # True would make the first dispatch import torch._dynamo, which takes over a second; nothing here is compiled.
        return False

    def decomposes(self, func: Any) -> bool:
        """Whether this is a composite without a rule, whose parts are counted instead; checked once per overload."""
        composite = self._composite.get(id(func))
        if composite is None:
            if id(func) not in _countable:
                refuse_operator(func)
                _countable[id(func)] = func
            composite = self._composite[id(func)] = (
                not is_communication(func) and is_composite(func) and not has_rule(func)
            )
        return composite

    def require_autograd(self) -> None:
        """Raise in inference mode, which drops the tangents of forward-mode differentiation without a word."""
        if self.inference:
            raise RuntimeError("tangents are lost in inference mode")

    def record(self, signature: Signature) -> None:
        """Record an operation of the module that is running."""
        self.ops.append(Op(signature, self.path.path))

    def leave_out(self, func: Any, args: Any, result: Any) -> None:
        """Note an operator between processes instead of recording it."""
        if not is_passing(func):  # not every engine sees when the result is taken
            self._communication[str(func.overloadpacket)] = None
        if self.follower is not None and func.namespace != "c10d":  # these return what they were given
            self.follower.arrived(result, args[0] if is_passing(func) else None)

    def assume(self, text: str) -> None:
        """Note a value that the trace invents, in plain words; an answer of the memo must note it again."""
        self._noted[text] = None

    @property
    def assumed(self) -> tuple[str, ...]:
        """Each invented value that decides what is counted, and whatever else is assumed, once and in words."""
        return (*self.invented.said(), *self._noted, *left_out(self._communication))

    @property
    def assumptions(self) -> int:
        """How many assumptions there are so far."""
        return self.invented.notes + len(self._noted) + len(self._communication)

    def reads(self, tensor: torch.Tensor) -> None:
        """Numbers of a tensor become Python's, which may decide anything."""
        if self.invented:
            self.invented.decide(self.invented.causes_of(tensor), self.path.path)

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the values of a tensor can be read."""
        return not tensor.is_meta and type(tensor) in (torch.Tensor, torch.nn.Parameter)

    def record_unseen(self, signature: Signature, module: str) -> None:
        """Record work that no operator did, in the module where it happened."""
        self.ops.append(Op(signature, module))

    @cached_property
    def theirs(self) -> frozenset[int]:
        """Addresses of the memory of the module's own tensors."""
        return frozenset(memory_id(t) for t in self.their_tensors() if t.layout == torch.strided)

    def is_theirs(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor existed before the trace, as far as this can be determined."""
        return (self.inference and not tensor.is_inference()) or memory_id(tensor) in self.theirs

    def leaves(self, tensor: torch.Tensor, way: str) -> None:
        """Data of a tensor is about to leave torch without an operator; copied numbers may decide what is counted."""
        if way == "tolist" or (way in LOOKS and not way.endswith("data_ptr") and _may_decide(tensor)):
            self.reads(tensor)

    def leaves_the_module(self, tensor: torch.Tensor, way: str) -> None:
        """Let data of a weight leave, but what happens to it can only be followed on real tensors."""
        if way in LOOKS and self.is_theirs(tensor):
            self.keeper.values(tensor)
            if tensor.is_floating_point() and not way.endswith("data_ptr"):
                raise Unknown(f"{way} takes the values of a tensor out of torch")

    def assigns(self, tensor: torch.Tensor, value: Any) -> bool:
        """Whether torch shall execute `tensor.data = value`; the module's own tensors get their data back later."""
        return True

    def swaps(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """Two tensors exchange their identities, and exchange them back at the end."""
        self.keeper.then(lambda: swap_back(one, other))

    def resizes(self, storage: torch.UntypedStorage) -> bool:
        """Whether torch shall free or allocate the memory."""
        return True

    def fills(self, storage: torch.UntypedStorage) -> bool:
        """Whether torch shall write bytes directly to the memory."""
        return True

    def given(self, values: Any) -> None:
        """Note the input."""

    def returned(self, result: Any) -> None:
        """Note the result of the forward pass, which the caller will read."""

    def suspects(self, refuse: Callable[[], object]) -> None:
        """Expect tensors of another thread from now on, and call `refuse` for each of them."""

    def aside(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """The result of an operator in another thread, without recording it."""
        return func(*args, **kwargs)

    def let_go(self) -> None:
        """Drop what refers to the module, which would stay in memory with whatever still refers to this."""
        self.their_tensors, self.doubt = list, None


def _may_decide(tensor: torch.Tensor) -> bool:
    """Whether these are numbers of the kind that decides something: whole ones, a mask, or a single one."""
    return tensor.numel() == 1 or not (tensor.is_floating_point() or tensor.is_complex())


def has_layout_of(tensor: torch.Tensor, value: torch.Tensor) -> bool:
    """Whether other data has the shape, strides and dtype of a tensor."""
    return (tensor.shape, tensor.stride(), tensor.dtype) == (value.shape, value.stride(), value.dtype)
