"""Private names of torch, in one place; a test checks the behaviour of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import unwrap
from types import CodeType
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_modules
from torch.nn.modules.conv import _ConvNd as ConvNd
from torch.nn.modules.conv import _ConvTransposeNd as ConvTransposeNd
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._python_dispatch import _disable_current_modes as disable_current_modes
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack as current_dispatch_modes

__all__ = [
    "ATTRIBUTES",
    "AUTOGRAD",
    "COMPILED_UNDER_HOOKS",
    "DEVICE_CHECKS",
    "DYNAMO",
    "FAKE_TENSOR_LOG",
    "NO_CLASS",
    "READ_NUMBER",
    "SHARDED",
    "SHARDING",
    "STORAGE_FILLS",
    "STORAGE_HANDLES",
    "SWAP",
    "WITHOUT_VALUES",
    "WRITE_NUMBER",
    "ConvNd",
    "ConvTransposeNd",
    "HigherOrderOperator",
    "OpOverload",
    "ScriptModule",
    "TensorBase",
    "TorchDispatchMode",
    "applied_code",
    "attention_places",
    "blind_transforms",
    "call_module",
    "class_name",
    "compiled_code_paths",
    "current_dispatch_modes",
    "current_node",
    "differentiate",
    "disable_current_modes",
    "fake_tensors",
    "function_with_forward",
    "has_kernel",
    "hooks_with_kwargs",
    "is_any_autocast_enabled",
    "is_autocast_enabled_outside",
    "is_batched",
    "is_compiled",
    "is_fake",
    "is_shared",
    "loaded_wrappers",
    "memory_id",
    "next_node_number",
    "number_of_node",
    "original_function",
    "out_of_sight",
    "pytree",
    "refuse_data_pointer",
    "refuse_data_pointers",
    "script_method_owner",
    "scripted_attributes",
    "set_version",
    "stops_recomputation",
    "storage_id",
    "wrapped_module",
]

ATTRIBUTES = (
    *("_parameters", "_buffers", "_modules", "_version", "_backward_hooks", "_post_accumulate_grad_hooks"),
    *("_schema", "_overloadname"),
)
"""Private attributes of torch's modules, tensors and operators, which other files read directly."""

OpOverload = torch._ops.OpOverload
"""An operator with one of its signatures, as modes get it."""

HigherOrderOperator: Any = torch._ops.HigherOrderOperator
"""The class of operators that take functions; its `__call__` calls all of them."""

is_batched: Any = torch._C._functorch.is_batchedtensor
"""Whether `torch.vmap` runs over a tensor."""

TensorBase: Any = torch._C.TensorBase
"""Tensors in C, whose methods stay torch's own while those of `torch.Tensor` are replaced."""

ScriptModule = torch._C.ScriptModule
SWAP = (torch._C, "_swap_tensor_impl")
"""The function by which two tensors exchange their identities."""

STORAGE_FILLS = ("__setitem__", "fill_", "copy_", "byteswap", "_set_from_file")
"""The methods that write bytes directly to a storage."""

STORAGE_HANDLES = ("_share_fd_cpu_", "_share_filename_cpu_")
"""The methods that make a handle of memory for another process."""

READ_NUMBER, WRITE_NUMBER = "_getitem", "_setitem"
"""The methods by which a typed storage reads and writes one number."""

DYNAMO = "torch._dynamo"  # it takes a second to load, and compiles nothing before it is loaded
COMPILED_UNDER_HOOKS = r"Using `torch\.compile\(module\)` when there are global hooks"
"""The warning, as a pattern, that a compiled module gives when hooks of all modules follow it."""

FAKE_TENSOR_LOG = "torch._subclasses.fake_tensor"
NO_CLASS = (("_utils.py",), "err_fn")
"""The place where torch raises for a class of an accelerator that it is built without: a file and a function."""

WITHOUT_VALUES = ("torch._subclasses", "torch.fx.experimental")
"""The modules of exceptions that report a missing value."""

DEVICE_CHECKS = frozenset({("nn/attention/flex_attention.py", "_validate_device")})
"""Files and functions of torch that refuse devices which they do not know, such as meta, before any operator."""

AUTOGRAD = ("autograd", "_functorch", "_tensor.py")
"""The files and folders of torch that refuse to differentiate what has no gradient."""

SHARDED = (
    ("torch.distributed.fsdp", "FSDPModule"),
    ("torch.distributed.fsdp", "FullyShardedDataParallel"),
    ("torch.distributed.tensor", "DTensor"),
    ("torch.distributed._tensor", "DTensor"),  # its place until torch 2.5, which still works
)
"""Classes that belong to several processes, by the module that defines them."""

SHARDING = ("torch.distributed.fsdp", "torch.distributed.tensor", "torch.distributed._tensor")
"""The modules whose hooks gather parameters and split inputs."""

_COMPILED = "torch._dynamo.eval_frame", "OptimizedModule", "_orig_mod"
_WRAPPERS = (
    _COMPILED,
    ("torch.distributed.algorithms._checkpoint.checkpoint_wrapper", "ActivationWrapper", "_checkpoint_wrapped_module"),
)
"""Modules around one other that change how it runs and not what it is: their classes, and the wrapped one's name."""

call_module: Any = nn.Module._call_impl
"""The function that runs a module's hooks and its forward."""

hooks_with_kwargs: dict[int, bool] = torch_modules._global_forward_hooks_with_kwargs
"""Global forward hooks that take keyword arguments, by number; `remove()` forgets them here."""

is_any_autocast_enabled = torch._C._is_any_autocast_enabled


def is_autocast_enabled_outside(device: str) -> bool:
    """Whether autocast was on where the operator was called that a mode now gets; within the mode it is always off."""
    with torch._C._RestorePythonTLSSnapshot():  # type: ignore[attr-defined]
        return torch.is_autocast_enabled(device)


def loaded_wrappers() -> tuple[type, ...]:
    """The classes of wrappers that are loaded; others have no instances."""
    places = ((sys.modules.get(home), kind) for home, kind, _ in _WRAPPERS)
    return tuple(getattr(home, kind) for home, kind in places if hasattr(home, kind))


def is_compiled(module: nn.Module) -> bool:
    """Whether a module is what `torch.compile` made of another one."""
    kind = getattr(sys.modules.get(_COMPILED[0]), _COMPILED[1], None)
    return kind is not None and isinstance(module, kind)


def wrapped_module(wrapper: nn.Module) -> nn.Module:
    """The module in a wrapper."""
    inner = next(wrapper._modules[name] for *_, name in _WRAPPERS if name in wrapper._modules)
    assert inner is not None
    return inner


def class_name(module: nn.Module) -> str:
    """The name of a module's class, which FSDP replaces by one of its own."""
    kind = type(module)
    if kind.__module__.startswith("torch.distributed.fsdp") or kind.__name__.startswith("FSDP"):
        place = getattr(kind, "_orig_cls_mro_index", None)
        if place is None and [base.__name__ for base in kind.__mro__[1:2]] == ["FSDPModule"]:
            place = 2  # torch 2.9 has the same order of classes, and no name for the place
        return kind.__mro__[place].__name__ if isinstance(place, int) else kind.__name__
    return kind.__name__


def original_function(function: Any) -> Any:
    """What `torch.compile` made a function of, or None."""
    return vars(function).get("_torchdynamo_orig_callable") if hasattr(function, "__dict__") else None


def script_method_owner(method: Any) -> Any:
    """The module of a method that TorchScript compiled, or None for any other callable."""
    if not isinstance(method, torch._C.ScriptMethod):
        return None
    return torch.jit._recursive.wrap_cpp_module(method.owner)


def fake_tensors() -> tuple[Any, Any]:
    """`FakeTensor` and `FakeTensorMode`, which take over a second to load."""
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    return FakeTensor, FakeTensorMode


def is_fake(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a fake one, of whichever mode, without loading what makes them."""
    loaded = sys.modules.get(FAKE_TENSOR_LOG)
    return loaded is not None and isinstance(tensor, loaded.FakeTensor)


def has_kernel(operator: OpOverload, key: str) -> bool:
    """Whether an operator has a kernel of its own under a dispatch key."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(operator.name(), key))


def memory_id(tensor: torch.Tensor) -> int:
    """The identity of a tensor's memory: the same for all its views, and reused after it is freed."""
    return int(tensor.untyped_storage()._cdata)


def storage_id(storage: torch.UntypedStorage) -> int:
    """The same as `memory_id` of its tensors."""
    return int(storage._cdata)


def is_shared(tensor: torch.Tensor) -> bool:
    """Whether others than the call that two modes are watching hold a tensor or a view of its memory."""
    uses: Any = tensor
    return bool(uses._use_count() > _IN_A_CALL or torch._C._storage_Use_Count(memory_id(tensor)) > _IN_A_TENSOR)


_IN_A_CALL, _IN_A_TENSOR = 6, 2  # references to a tensor on its way through two modes, and to its memory


def next_node_number() -> int:
    """The number of the next node of the autograd graph in this thread; later nodes have higher numbers."""
    return int(torch._C._autograd._get_sequence_nr())


def current_node() -> Any:
    """The node of the autograd graph whose backward is running, or None."""
    return torch._C._current_autograd_node()


def number_of_node(node: Any) -> int:
    """The number of a node."""
    return int(node._sequence_nr())


def differentiate(loss: torch.Tensor) -> None:
    """As `loss.backward()`, which leaves modes of torch functions, so that what is recomputed would not see them."""
    first = torch.ones_like(loss, memory_format=torch.preserve_format)
    engine = torch.autograd.Variable._execution_engine
    engine.run_backward((loss,), (first,), False, False, (), allow_unreachable=True, accumulate_grad=True)


def compiled_code_paths() -> list[tuple[Any, str, Any, Any]]:
    """The places where torch compiles a higher-order operator (`cond`, flex attention) although it could call it.

    Each place is its owner, name, current value, and a replacement that calls the operator.
    """
    places = (
        ("torch._higher_order_ops.utils", "_hop_compile_and_call", _call),
        ("torch.nn.attention.flex_attention", "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True),
    )
    loaded = [(sys.modules[owner], name, plain) for owner, name, plain in places if owner in sys.modules]
    return [(owner, name, getattr(owner, name), plain) for owner, name, plain in loaded if hasattr(owner, name)]


def attention_places() -> list[tuple[Any, str, Any, Any]]:
    """The places by which attention that is differentiated is the same on every device.

    Flex attention becomes its two products: on a CPU torch refuses to differentiate it, and on meta it does not run.
    Attention over packed sequences has no products, and takes its flash kernel whatever else may not. Each place is as
    in `compiled_code_paths`.
    """
    flex: Any = sys.modules.get("torch.nn.attention.flex_attention")
    packed: Any = sys.modules.get("torch.nn.attention.varlen")
    places: list[tuple[Any, str, Any]] = []
    if hasattr(flex, "flex_attention_hop") and hasattr(flex, "_validate_device"):
        places += [(flex, "_validate_device", _accept), (flex, "flex_attention_hop", _products)]
    if hasattr(packed, "_select_backend") and hasattr(packed, "_FLASH_ATTENTION_BACKEND"):  # torch 2.15
        places += [(packed, "_select_backend", lambda *_, flash=packed._FLASH_ATTENTION_BACKEND, **__: flash)]
    return [(owner, name, getattr(owner, name), plain) for owner, name, plain in places]


def _accept(*_: Any) -> None:
    """Any device."""


def _products(*args: Any) -> Any:
    from torch._higher_order_ops.flex_attention import math_attention

    return math_attention(*args)


def _call(function: Any, args: Any, kwargs: Any = None) -> Any:
    return function(*args, **(kwargs or {}))


def set_version(tensor: torch.Tensor, version: int) -> None:
    """Set the version counter of a tensor, which its views share. Torch's function took a single tensor until 2.6."""
    try:
        torch._C._autograd._unsafe_set_version_counter((tensor,), (version,))
    except TypeError:
        torch._C._autograd._unsafe_set_version_counter(tensor, version)  # type: ignore[arg-type]


def stops_recomputation(error: BaseException | None) -> bool:
    """Whether an activation checkpoint raised this error to end its recomputation early, and will catch it."""
    checkpoints = sys.modules.get("torch.utils.checkpoint")
    return checkpoints is not None and isinstance(error, checkpoints._StopRecomputationError)


@contextmanager
def out_of_sight() -> Iterator[None]:
    """Hide calls of torch from all modes, those of functions and those of operators."""
    with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
        yield


refuse_data_pointer = torch._C._set_throw_on_mutable_data_ptr
"""Make every read of the address of a tensor's data an error, also in compiled code."""


def refuse_data_pointers(fake_mode: Any) -> None:
    """The same for every fake tensor of a mode, which would otherwise give compiled code an invalid address."""
    fake_mode._allow_unsafe_data_ptr_access = False


def scripted_attributes(scripted: Any) -> list[str]:
    """The names of the attributes that a compiled module (`_c` of TorchScript) has in C++."""
    kind: Any = torch._C.ConcreteModuleType
    return [*kind.from_jit_type(scripted._type()).get_attributes()]


def applied_code() -> CodeType | None:
    """The code of `autograd.Function.apply` on `cls`, `args`, `kwargs`; since torch 2.14 it is in C, with no frame."""
    apply = getattr(torch.autograd.Function.apply, "__func__", None)
    return None if apply is None else apply.__code__


def function_with_forward(code: CodeType) -> type[torch.autograd.Function] | None:
    """The `autograd.Function` whose `forward` is this code, for versions in which `apply` has no frame."""
    if code.co_name != "forward":
        return None
    functions: list[type[torch.autograd.Function]] = [torch.autograd.Function]
    for function in functions:
        if getattr(unwrap(function.forward), "__code__", None) is code:
            return function
        functions += function.__subclasses__()
    return None


_DIFFERENTIATES = torch.__version__ >= "2.12"  # compared once, since torch parses both versions each time


def blind_transforms() -> list[tuple[Any, str, Any, Any]]:
    """The places where torch starts to differentiate without noticing that inference mode prevents it.

    In inference mode `torch.autograd.functional` silently returns zeros, and `torch.func` did before torch 2.12. Each
    place is its owner, name, current value, and a replacement that raises in inference mode.
    """
    places: list[tuple[Any, str]] = [(torch.autograd.functional, "_grad_preprocess")]
    if not _DIFFERENTIATES:
        transforms: Any = torch._functorch.eager_transforms
        places += [(transforms, "grad_increment_nesting"), (transforms, "jvp_increment_nesting")]
    return [(owner, name, getattr(owner, name), _seeing(getattr(owner, name))) for owner, name in places]


def _seeing(begin: Any) -> Any:
    def begun(*args: Any, **kwargs: Any) -> Any:
        if torch.is_inference_mode_enabled():
            raise RuntimeError("torch does not differentiate in inference mode")
        return begin(*args, **kwargs)

    return begun
