"""The state of a module and of the process that a count must restore; and a module that changes all of it."""

import random
import threading
from collections import OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor

import numpy
import torch
from torch import nn
from torch.nn.modules import module as torch_modules

STAND_INS = (torch.Tensor, torch.UntypedStorage, torch.TypedStorage, threading.Thread)


def _namespace(owner):
    """Without what Python's copying of objects keeps there."""
    return {name: value for name, value in vars(owner).items() if name != "__slotnames__"}


def global_state():
    hooks = {name: list(value) for name, value in vars(torch_modules).items() if isinstance(value, OrderedDict)}
    return {
        "torch": torch.get_rng_state().tolist(),
        "random": random.getstate(),
        "numpy": str(numpy.random.get_state()),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "default dtype": torch.get_default_dtype(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "function modes": torch._C._len_torch_function_stack(),
        "compiled roads": getattr(torch._higher_order_ops.utils, "_hop_compile_and_call", None),  # not in each torch
        "transforms": torch._functorch.eager_transforms.grad_increment_nesting,
        "namespaces": {owner: _namespace(owner) for owner in STAND_INS},
        "swapping": torch._C._swap_tensor_impl,
        "waiting": (threading.Condition.wait, ThreadPoolExecutor.submit),
        **hooks,
    }


def module_state(module):
    """Everything that a count might change, without copying weights: identities, versions, flags and hooks."""
    state = {}
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            contents = [id(item) for item in value.values()] if isinstance(value, dict) else None
            state[path, name] = id(value), contents, value if isinstance(value, (bool, int, float, str)) else None
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        state["tensor", name] = id(tensor), tensor.data_ptr(), tensor._version, tensor.requires_grad, tensor.grad
    for name, buffer in module.named_buffers():
        state["values", name] = buffer.double().sum().item()
    return state


def full_module_state(module):
    """The same with the contents of every container and the values of every tensor: for small modules."""
    state = {"modules": [(name, id(part), type(part)) for name, part in module.named_modules()]}
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            contents = list(value) if isinstance(value, (dict, list, set, deque, OrderedDict)) else None
            state[path, name] = id(value), contents, value if isinstance(value, bool) else None
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        values = tensor.tolist() if not tensor.is_meta else None
        state["tensor", name] = id(tensor), tensor._version, tensor.requires_grad, tensor.grad is None, values
        state["device", name] = tensor.device, tensor.is_inference(), tensor.data_ptr()
    return state


class Untidy(nn.Module):
    """Does in forward everything that a count must undo."""

    def __init__(self, *, fails=False):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))
        self.head = nn.Linear(8, 4)
        self.frozen = nn.Linear(8, 4).requires_grad_(False)
        self.position = None
        self.seen, self.named, self.recent, self.kinds = [1], {"a": 1}, deque([1], maxlen=3), {1}
        self.register_buffer("memory", torch.zeros(8))
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        self.head.register_forward_hook(lambda *_: None)
        self.fails = fails

    def forward(self, x):
        numpy.random.rand()
        random.random()
        x = self.spectral(self.norm(x)) + torch.rand_like(x) + torch.randn(8)
        self.position = x + 1
        self.seen.append(x)
        self.named["b"] = x
        self.recent.append(x)
        self.kinds.add(2)
        self.late = nn.Linear(8, 8)
        self.register_buffer("cached", x)
        self.memory.copy_(x.mean(0))
        self.scratch.add_(1)
        self.memory = self.memory * 2
        self.head.weight.requires_grad_(False)
        self.frozen.weight.grad = torch.zeros(4, 8)
        self.head.register_forward_hook(lambda *_: None)
        self.eval()
        torch.backends.mha.set_fastpath_enabled(True)
        if self.fails:
            raise RuntimeError("half way")
        return self.head(x)
