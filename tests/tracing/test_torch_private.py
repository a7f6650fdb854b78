"""The private names of torch that flopcount uses do what it relies on, in the installed version."""

import ast
import re
import sys
import warnings
from pathlib import Path

import pytest
import torch
from operators import needs_module
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import distribute_module
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from flopcount.tracing import torch_private
from flopcount.tracing.torch_private import (
    AUTOGRAD,
    COMPILED_UNDER_HOOKS,
    TorchDispatchMode,
    applied_code,
    attention_places,
    blind_transforms,
    class_name,
    compiled_code_paths,
    function_with_forward,
    is_compiled,
    is_shared,
    loaded_wrappers,
    original_function,
    out_of_sight,
    refuse_data_pointer,
    refuse_data_pointers,
    script_method_owner,
    scripted_attributes,
    set_version,
    stops_recomputation,
    wrapped_module,
)


def test_version_counters_are_set_for_a_tensor_and_its_views():
    x = torch.zeros(3)
    view = x[1:]
    view.add_(1)
    assert (x._version, view._version) == (1, 1)
    set_version(x, 0)
    assert (x._version, view._version) == (0, 0)
    weight = nn.Parameter(torch.zeros(2))
    set_version(weight, 5)
    assert weight._version == 5


def test_who_asks_a_refused_tensor_for_its_address_gets_an_error():
    tensor = torch.empty(3, device="meta")
    assert tensor.data_ptr() == 0
    refuse_data_pointer(tensor)
    for ask in (lambda: tensor.data_ptr(), lambda: tensor[1:].data_ptr(), lambda: tensor.untyped_storage().data_ptr()):
        with pytest.raises(RuntimeError):
            ask()
    assert (tensor + 1).shape == (3,)


def test_fake_tensors_refuse_too():
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode()
    refuse_data_pointers(mode)
    with mode:
        tensor = torch.empty(3) + 1
    with pytest.raises(RuntimeError):
        tensor.data_ptr()


class Operators(TorchDispatchMode):
    seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen += 1
        return func(*args, **(kwargs or {}))


class Functions(TorchFunctionMode):
    seen = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen += 1
        return func(*args, **(kwargs or {}))


def test_no_mode_sees_what_is_out_of_sight():
    with Operators() as operators, Functions() as functions:
        with out_of_sight():
            torch.ones(2).add(1)
        assert (operators.seen, functions.seen) == (0, 0)
        torch.ones(2)
        assert (operators.seen, functions.seen) == (1, 1)


def test_the_function_that_runs_is_told_by_its_frames():
    """By the frame of `apply`, if it has one, and by that of `forward`."""
    frames = []

    class Twice(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu")
        def forward(ctx, x, *, factor=2):
            frame = sys._getframe()
            while frame is not None:
                frames.append(frame)
                frame = frame.f_back
            return x * factor

    class Again(Twice):
        pass

    class Other(nn.Module):
        def forward(self, x):
            return x

    x = torch.ones(3)
    Again.apply(x)
    assert function_with_forward(frames[0].f_code) is Twice  # which has the code
    assert function_with_forward(Other.forward.__code__) is None
    of_apply = [frame.f_locals for frame in frames if frame.f_code is applied_code()]
    assert len(of_apply) == (applied_code() is not None)
    for given in of_apply:
        assert (given["cls"], given["args"], given["kwargs"]) == (Again, (x,), {})


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning", "ignore:.*torch.jit.script:FutureWarning")
def test_transforms_differentiate_in_inference_mode_or_say_that_they_cannot(monkeypatch):
    for owner, name, begin, seeing in blind_transforms():
        assert getattr(owner, name) is begin
        monkeypatch.setattr(owner, name, seeing)
    x = torch.tensor(3.0)
    assert torch.autograd.functional.jacobian(torch.square, x) == 6
    with torch.inference_mode(), pytest.raises(RuntimeError, match="inference mode"):
        torch.autograd.functional.jacobian(torch.square, x.clone())  # torch itself returns zeros
    blind = any(name.endswith("increment_nesting") for _, name, _, _ in blind_transforms())
    for differentiate in (torch.func.grad(torch.square), lambda x: torch.func.jvp(torch.square, (x,), (x / x,))[1]):
        assert differentiate(x) == 6
        with torch.inference_mode():
            given = x.clone()
            if blind:
                with pytest.raises(RuntimeError, match="inference mode"):
                    differentiate(given)
            else:
                assert differentiate(given) == 6


def test_autograd_refuses_in_its_own_files():
    folder = Path(torch.__file__).parent
    refusals = (lambda x: torch.autograd.grad(x, x), torch.Tensor.backward, lambda x: x.register_hook(print))
    for differentiate in refusals:
        with pytest.raises(RuntimeError) as raised:
            differentiate(torch.tensor(3.0))
        assert str(raised.traceback[-1].path).startswith(tuple(str(folder / name) for name in AUTOGRAD))
    assert Path(torch.func.grad.__code__.co_filename).is_relative_to(folder / AUTOGRAD[1])


def test_flex_attention_as_its_products_is_differentiated_on_a_cpu(monkeypatch):
    from torch.nn.attention.flex_attention import flex_attention

    query, key, value = (torch.randn(1, 2, 16, 8, requires_grad=True) for _ in range(3))
    for owner, name, own, plain in (*attention_places(), *compiled_code_paths()):
        assert getattr(owner, name) is own
        monkeypatch.setattr(owner, name, plain)
    gradients = [
        torch.autograd.grad(attention(query, key, value).square().sum(), (query, key, value))
        for attention in (flex_attention, nn.functional.scaled_dot_product_attention)
    ]
    for ours, torchs in zip(*gradients, strict=True):
        assert torch.allclose(ours, torchs, atol=1e-5)


def test_packed_attention_takes_its_flash_kernel_where_only_products_are_allowed(monkeypatch):
    needs_module("torch.nn.attention.varlen")
    for owner, name, _, plain in attention_places():
        monkeypatch.setattr(owner, name, plain)
    seen, q, begins = [], torch.empty(12, 2, 16, dtype=torch.bfloat16, device="meta"), torch.tensor([0, 5, 12])

    class Names(Operators):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(str(func.overloadpacket))
            return func(*args, **(kwargs or {}))

    with Names(), sdpa_kernel(SDPBackend.MATH):
        torch.nn.attention.varlen.varlen_attn(q, q, q, begins, begins, 7, 7)
    assert "torch_attn._varlen_attn" in seen


def test_flex_attention_checks_devices_itself():
    from torch.nn.attention.flex_attention import flex_attention

    x = torch.empty(1, 1, 8, 8, device="meta")
    with pytest.raises(ValueError, match="meta") as raised:
        flex_attention(x, x, x)
    place = raised.traceback[-1]
    (check,) = torch_private.DEVICE_CHECKS
    assert (Path(place.path).relative_to(Path(torch.__file__).parent).as_posix(), place.frame.code.name) == check


def test_hooks_of_a_gradient_are_in_two_dictionaries():
    leaf, hook, after = torch.ones(2, requires_grad=True), lambda g: g, lambda leaf: None
    leaf.register_hook(hook)
    leaf.register_post_accumulate_grad_hook(after)
    assert [*leaf._backward_hooks.values()] == [hook]
    assert [*leaf._post_accumulate_grad_hooks.values()] == [after]


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.last, self.step = nn.Linear(2, 2), torch.zeros(2), 0

    def forward(self, x):
        self.last, self.step = self.layer(x + self.last), self.step + 1
        return self.last


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is (deprecated|not supported):DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:FutureWarning")  # since torch 2.15
def test_attributes_of_a_scripted_module_are_named():
    scripted = torch.jit.script(Steps())
    assert {"last", "step", "training"} <= {*scripted_attributes(scripted._c)}
    assert {"weight", "bias"} <= {*scripted_attributes(scripted.layer._c)}
    scripted._c.setattr("step", 3)
    assert scripted.step == scripted._c.getattr("step") == 3


def test_an_operator_has_its_schema_its_signature_and_its_kernels():
    relu = torch.ops.aten.relu.default
    assert isinstance(relu, torch_private.OpOverload)
    assert (relu._schema.name, relu._overloadname) == ("aten::relu", "default")
    assert torch_private.has_kernel(torch.ops.aten.linear.default, "CompositeImplicitAutograd")
    assert not torch_private.has_kernel(relu, "CompositeImplicitAutograd")


def test_the_base_of_tensors_keeps_its_methods(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "item", lambda self: "ours")
    assert torch.ones(()).item() == "ours"
    assert torch_private.TensorBase.item(torch.ones(())) == 1.0


def test_modes_are_left_and_come_back():
    with Operators() as mode:
        assert torch_private.current_dispatch_modes() == [mode]
        with torch_private.disable_current_modes():
            torch.zeros(2) + 1
            assert torch_private.current_dispatch_modes() == []
        assert mode.seen == 0
        torch.zeros(2) + 1
    assert mode.seen > 0


def test_memory_is_the_same_for_all_views_and_of_a_storage():
    x, other = torch.zeros(4), torch.zeros(4)
    assert torch_private.memory_id(x) == torch_private.memory_id(x[1:]) != torch_private.memory_id(other)
    assert torch_private.memory_id(x) == torch_private.storage_id(x.untyped_storage())


def test_memory_that_others_hold_is_shared():
    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if str(func) == "aten.add.Tensor":
                shared.append(is_shared(args[0]))
            result = func(*args, **(kwargs or {}))
            if keeps and str(func) == "aten.mul.Tensor":
                views.append(result.detach())
            return result

    for keeps in (False, True):
        shared, views = [], []
        x = torch.zeros(2, 2, requires_grad=True).exp()
        y = x.sin() + x.cos()
        with Watching(), Watching():
            y.backward(torch.ones(2, 2))  # the two gradients of x are added
        assert shared == [keeps, keeps]


def test_the_error_that_ends_a_recomputation_is_known():
    from torch.utils.checkpoint import checkpoint

    seen = []

    def forward(x):
        try:
            return x.exp().sin()
        except Exception as error:
            seen.append(stops_recomputation(error))
            raise

    checkpoint(forward, torch.ones(2, requires_grad=True), use_reentrant=False).sum().backward()
    assert seen == [True]
    assert not stops_recomputation(ValueError())
    assert not stops_recomputation(None)


def test_nodes_are_numbered_as_they_are_made():
    x = torch.ones(2, requires_grad=True)
    first = torch_private.next_node_number()
    y = x * 2
    assert torch_private.number_of_node(y.grad_fn) == first
    assert torch_private.next_node_number() == first + 1
    seen = []
    y.register_hook(lambda gradient: seen.append(torch_private.current_node()))
    assert torch_private.current_node() is None
    y.sum().backward()
    assert seen


def test_a_backward_pass_within_modes_of_functions():
    class Mode(TorchFunctionMode):
        seen = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.seen += func is torch.Tensor.sin
            return func(*args, **(kwargs or {}))

    x = torch.ones(3, requires_grad=True)
    with Mode() as mode:
        loss = checkpoint(lambda x: x.sin().exp(), x, use_reentrant=False).sum()
        torch_private.differentiate(loss)
    assert mode.seen == 2  # forward and recomputation
    assert torch.equal(x.grad, x.sin().exp() * x.cos())


def test_hooks_with_keyword_arguments_are_known_by_number():
    hook = register_module_forward_hook(lambda *_: None, with_kwargs=True)
    assert torch_private.hooks_with_kwargs[hook.id]
    hook.remove()
    torch_private.hooks_with_kwargs.pop(hook.id, None)


def test_a_call_of_a_module_runs_its_hooks_and_its_forward():
    module = nn.ReLU()
    heard = []
    module.register_forward_hook(lambda *_: heard.append(1))
    assert torch_private.call_module(module, torch.ones(1)).item() == 1
    assert heard == [1]


def test_autocast_is_seen_wherever_it_is_on():
    assert not torch_private.is_any_autocast_enabled()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch_private.is_any_autocast_enabled()


@pytest.mark.parametrize("enabled", [True, False])
def test_a_mode_can_tell_whether_autocast_is_on_around_it(enabled):
    seen = []

    class Seeing(torch_private.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append((torch.is_autocast_enabled("cpu"), torch_private.is_autocast_enabled_outside("cpu")))
            return func(*args, **(kwargs or {}))

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=enabled), Seeing():
        nn.Linear(2, 2)(torch.ones(1, 2))
    assert set(seen) == {(False, enabled)}


def test_two_tensors_exchange_all_they_are():
    owner, name = torch_private.SWAP
    one, other = torch.ones(1), torch.zeros(2)
    getattr(owner, name)(one, other)
    assert (one.tolist(), other.tolist()) == ([0, 0], [1])


def test_bases_of_convolutions_and_of_scripted_modules():
    assert isinstance(nn.Conv3d(1, 1, 1), torch_private.ConvNd)
    assert isinstance(nn.ConvTranspose2d(1, 1, 1), torch_private.ConvTransposeNd)
    assert not isinstance(nn.Conv2d(1, 1, 1), torch_private.ConvTransposeNd)
    assert not isinstance(nn.ReLU(), torch_private.ScriptModule)


def test_trees_are_flattened():
    assert torch_private.pytree.tree_leaves({"a": [1, (2,)], "b": None}) == [1, 2, None]


def test_fake_tensors_say_where_a_value_is_missing():
    fake_tensor, fake_mode = torch_private.fake_tensors()
    mode = fake_mode()
    with mode:
        x = torch.ones(2)
    assert isinstance(x, fake_tensor)
    assert fake_tensor.__module__ == torch_private.FAKE_TENSOR_LOG
    assert torch_private.is_fake(x)
    assert not torch_private.is_fake(torch.ones(2))
    with mode, pytest.raises(Exception, match="nonzero") as raised:
        x.nonzero()
    assert type(raised.value).__module__.startswith(torch_private.WITHOUT_VALUES)


@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="this torch has these classes")
def test_a_class_of_an_accelerator_that_is_not_here_raises_at_this_place():
    with pytest.raises(RuntimeError) as raised:
        torch.cuda.Event()
    place = raised.traceback[-1]
    file, function = torch_private.NO_CLASS
    assert (place.path.parts[-1:], place.name) == (file, function)


def test_operators_of_functions_can_be_called_instead_of_compiled():

    for owner, name, compiled, plain in torch_private.compiled_code_paths():
        assert getattr(owner, name) is compiled
        if callable(plain):
            assert plain(max, (1, 2)) == 2


def test_what_is_sharded_is_known_by_class():

    names = {name for module, name in torch_private.SHARDED if hasattr(sys.modules.get(module), name)}
    assert names == {name for _, name in torch_private.SHARDED}
    assert torch_private.DYNAMO == "torch._dynamo"


def test_wrappers_are_known_by_class_and_hold_one_module():
    layer = nn.Linear(2, 2)
    compiled, checkpointed = torch.compile(layer, backend="eager"), checkpoint_wrapper(layer)
    assert all(isinstance(wrapper, loaded_wrappers()) for wrapper in (compiled, checkpointed))
    assert all(wrapped_module(wrapper) is layer for wrapper in (compiled, checkpointed))
    assert (is_compiled(compiled), is_compiled(checkpointed), is_compiled(layer)) == (True, False, False)
    assert not isinstance(layer, loaded_wrappers())


def test_a_compiled_module_warns_of_hooks_of_all_modules():
    with warnings.catch_warnings(record=True) as caught, torch.compiler.set_stance("force_eager"):
        warnings.simplefilter("always")
        hook = register_module_forward_hook(lambda *_: None)
        torch.compile(nn.Linear(2, 2), backend="eager")(torch.ones(1, 2))
        hook.remove()
    assert [w for w in caught if re.match(COMPILED_UNDER_HOOKS, str(w.message))]


def test_functions_say_what_was_compiled():
    def double(x):
        return 2 * x

    assert original_function(torch.compile(double, backend="eager")) is double
    assert original_function(double) is None


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is (deprecated|not supported):DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:FutureWarning")  # since torch 2.15
def test_a_scripted_method_says_whose_it_is():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        @torch.jit.export
        def encode(self, x: torch.Tensor):
            return self.layer(x)

        def forward(self, x: torch.Tensor):
            return self.encode(x)

    scripted = torch.jit.script(Encoder())
    owner = script_method_owner(scripted.encode)
    assert [name for name, _ in owner.named_parameters()] == ["layer.weight", "layer.bias"]
    assert script_method_owner(scripted) is None


def test_fsdp_puts_its_class_before_that_of_a_module():
    class FSDPLinear(nn.Linear):
        _orig_cls_mro_index = 1

    torchs = type("FSDPLinear", (FSDPModule, nn.Linear), {})  # as `fully_shard` makes it
    layer = nn.Linear(2, 2)
    assert [class_name(module) for module in (layer, FSDPLinear(2, 2))] == ["Linear", "Linear"]
    layer.__class__ = torchs
    assert class_name(layer) == "Linear"
    assert getattr(FSDPModule, "_orig_cls_mro_index", 2) == 2  # torch 2.9 has no name for it


def test_hooks_that_shard_come_from_these_modules():
    assert FSDPModule.__module__.startswith(torch_private.SHARDING)
    assert distribute_module.__module__.startswith(torch_private.SHARDING)


def written_and_read(tensor):
    numbers = tensor.storage()
    numbers[0] = 7.0
    return numbers[0]


def test_storages_are_written_and_handed_over_by_these_methods(monkeypatch):
    names = {*torch_private.STORAGE_FILLS, *torch_private.STORAGE_HANDLES}
    assert all(callable(getattr(torch.UntypedStorage, name)) for name in names)
    calls = []
    for name in (torch_private.READ_NUMBER, torch_private.WRITE_NUMBER):
        torchs = getattr(torch.TypedStorage, name)
        monkeypatch.setattr(
            torch.TypedStorage, name, lambda self, *a, n=name, torchs=torchs: calls.append(n) or torchs(self, *a)
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns once per process that typed storages are deprecated
        assert written_and_read(torch.zeros(2)) == 7.0
    assert calls == [torch_private.WRITE_NUMBER, torch_private.READ_NUMBER]


def test_attributes_of_modules_and_tensors():
    module, x = nn.Linear(2, 2), torch.ones(1)
    assert all(isinstance(getattr(module, name), dict) for name in ("_parameters", "_buffers", "_modules"))
    assert (x._version, x._backward_hooks) == (0, None)


def test_operators_that_take_functions_are_called_in_one_place(monkeypatch):
    calls = []
    kind = torch_private.HigherOrderOperator
    plain = kind.__call__
    monkeypatch.setattr(kind, "__call__", lambda self, *a, **k: calls.append(self.name()) or plain(self, *a, **k))
    for owner, name, _, uncompiled in torch_private.compiled_code_paths():
        monkeypatch.setattr(owner, name, uncompiled)
    with torch.compiler.set_stance("force_eager"):  # older versions have no such place for `cond`
        assert torch.cond(torch.tensor(True), lambda x: x + 1, lambda x: x - 1, (torch.ones(1),)).item() == 2
    assert set(calls) == {"cond"}


def test_a_tensor_that_vmap_runs_over_is_batched():
    seen = []
    torch.vmap(lambda x: seen.append(torch_private.is_batched(x)) or x)(torch.ones(2))
    assert (seen, torch_private.is_batched(torch.ones(2))) == ([True], False)


def private_names(tree):
    """Names of torch that begin with an underscore: imported, or read from `torch` itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "torch":
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            yield from (part for part in parts if part.startswith("_") and part != "__version__")
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            owner = ast.unparse(node)
            if owner.startswith(("torch.", "nn.")) and not owner.startswith("torch.ops."):
                yield node.attr
        if isinstance(node, ast.Constant) and re.fullmatch(r"_[a-z]\w*", str(node.value)):  # for getattr and setattr
            owners = (torch._C, torch.Tensor, torch.UntypedStorage, torch.TypedStorage, torch.nn.Module)
            if node.value not in torch_private.ATTRIBUTES and any(hasattr(owner, node.value) for owner in owners):
                yield node.value


def test_no_other_file_takes_a_private_name_of_torch():
    package = Path(torch_private.__file__).parent.parent
    for path in package.rglob("*.py"):
        if path != Path(torch_private.__file__):
            assert [*private_names(ast.parse(path.read_text()))] == [], path


def test_every_private_name_has_a_test():
    tested = Path(__file__).read_text()
    for name in (*torch_private.__all__, *torch_private.ATTRIBUTES):
        assert name in tested.partition(")\n")[2], name
