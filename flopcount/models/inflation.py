"""Inflation: a 2D CNN becomes a 3D one, whose output on a repeated frame is that of the 2D CNN on the frame.

It follows Carreira & Zisserman 2017 (https://arxiv.org/abs/1705.07750, section 2.3): every k×k kernel is repeated k
times along time and divided by k; pools and strides get a temporal axis likewise. What enters is a module on
(B, C, H, W); what leaves is a module on (B, C, T, H, W) with the same names of weights. If it cannot inflate an
operation, the error names the line.
"""

from __future__ import annotations

import copy
import operator
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import fx, nn
from torch.nn import functional as F

from ..core.errors import InputError, UnknownNameError
from .inflated_layers import PADDINGS, Time, counterpart

__all__ = ["inflate"]

VIDEO, SIZES, PARTS, CONSTANT, OTHER = "video", "sizes", "parts", "constant", "other"
"""The kind of a value of the graph: feature maps (B, C, T, H, W), all their sizes, a tuple of feature maps, a parameter
or number that broadcasts against them, or anything else."""

_ANY_AXES = {
    *(operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, operator.iadd, operator.imul),
    *(torch.add, torch.sub, torch.mul, torch.div, torch.relu, torch.sigmoid, torch.tanh, torch.clamp, torch.abs),
    *(torch.exp, torch.sqrt, torch.square, torch.maximum, torch.minimum),
    *(F.relu, F.relu6, F.leaky_relu, F.elu, F.selu, F.silu, F.gelu, F.mish, F.softplus, F.sigmoid, F.tanh),
    *(F.hardtanh, F.hardswish, F.hardsigmoid, F.dropout, F.batch_norm, F.group_norm, F.local_response_norm),
    *("add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_", "relu", "relu_", "sigmoid", "sigmoid_", "tanh"),
    *("clamp", "clamp_", "abs", "exp", "sqrt", "square", "contiguous", "clone", "detach", "float", "half", "to"),
}

_POOLS: dict[Any, tuple[type[nn.Module], tuple[str, ...]]] = {
    F.max_pool2d: (
        nn.MaxPool2d,
        ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    ),
    F.avg_pool2d: (
        nn.AvgPool2d,
        ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    ),
    F.adaptive_avg_pool2d: (nn.AdaptiveAvgPool2d, ("output_size",)),
    F.adaptive_max_pool2d: (nn.AdaptiveMaxPool2d, ("output_size", "return_indices")),
}


def inflate(module_2d: nn.Module, temporal_padding: str = "replicate", *, keep_frames: bool = False) -> nn.Module:
    """Turn a 2D CNN into a 3D one, weights and statistics included; the 2D CNN does not change.

    A k×k layer of stride s sees k frames and moves by s; if its sides differ, the smaller one counts. Time is padded so
    that T frames become T/s, rounded up. Adaptive pools, and operations that flatten feature maps, merge all frames.
    torch.fx traces the forward pass, in the module's current mode.

    Arguments:
        module_2d: takes (B, C, H, W) as its first argument.
        temporal_padding: "replicate" repeats the first and last frame, so that the output on a repeated frame is that
            of the 2D network; "zero" pads with zeros, as I3D does, so this only holds away from the ends.
        keep_frames: strides stay 1 along time.

    Raises:
        InputError: a layer or an operation has no counterpart in 3D here; the message names its line.
    """
    if temporal_padding not in PADDINGS:
        raise UnknownNameError("temporal padding", temporal_padding, PADDINGS, f"choose {' or '.join(PADDINGS)}")
    time = Time(temporal_padding, keep_frames)
    layer = counterpart(module_2d, time)
    if layer is not None:
        return layer
    tracer = fx.Tracer()
    tracer.record_stack_traces = True
    try:
        graph = tracer.trace(module_2d)
    except Exception as error:  # this runs the module's own code
        frames = [(f.filename, str(f.lineno), f.name, f.line or "") for f in traceback.extract_tb(error.__traceback__)]
        raise InputError(
            f"inflate cannot follow {type(module_2d).__name__}: {error}",
            [("in", _users_line(frames)), ("fix", "take control flow on tensors out of forward")],
        ) from error
    return _Inflation(module_2d, graph, time).run()


def _users_line(frames: list[tuple[str, str, str, str]]) -> str:
    """The innermost line outside of torch and flopcount."""
    ours = (str(Path(torch.__file__).parent / "_")[:-1], __file__)
    theirs = [frame for frame in frames if not frame[0].startswith(ours)]
    if not theirs:
        return "the module itself"
    file, line, function, code = theirs[-1]
    return f"{Path(file).name}:{line} in {function}: {code.strip()}"


class _Inflation:
    """A pass over the graph of a 2D network that rewrites the users of feature maps; `kinds` has each value's kind."""

    def __init__(self, source: nn.Module, graph: fx.Graph, time: Time) -> None:
        self.source = source
        self.graph = graph
        self.time = time
        self.modules: dict[str, Any] = {}
        self.kinds: dict[fx.Node, str] = {}
        self.rewrites: dict[Any, Callable[[fx.Node], str]] = {
            **dict.fromkeys(_ANY_AXES, self._elementwise),
            **dict.fromkeys(_POOLS, self._pool),
            **dict.fromkeys((torch.flatten, "flatten"), self._flatten),
            **dict.fromkeys((torch.reshape, "reshape", "view"), self._view),
            **dict.fromkeys((torch.squeeze, "squeeze"), self._average_frames),
            **dict.fromkeys((torch.mean, "mean"), self._mean),
            **dict.fromkeys((torch.cat, torch.concat), self._cat),
            **dict.fromkeys((torch.chunk, "chunk", torch.split, "split"), self._split),
            getattr: self._sizes,
            "size": self._sizes,
            operator.getitem: self._item,
            F.pad: self._pad,
            F.dropout2d: self._dropout,
        }

    def run(self) -> nn.Module:
        """The 3D network."""
        for node in list(self.graph.nodes):
            if node.op == "placeholder":
                self.kinds[node] = OTHER if VIDEO in self.kinds.values() else VIDEO
            elif node.op == "get_attr":
                self.kinds[node] = self._attribute(node)
            elif node.op == "call_module":
                self.kinds[node] = self._module(node)
            elif node.op != "output":
                self.kinds[node] = self._operation(node)
        self.graph.lint()
        inflated = fx.GraphModule(self.modules, self.graph, type(self.source).__name__)
        parts = dict(self.source.named_modules())
        for name, part in inflated.named_modules():
            if name in parts:  # modes stay the same: a frozen norm stays frozen
                part.training = parts[name].training
        return inflated

    def _attribute(self, node: fx.Node) -> str:
        value = operator.attrgetter(str(node.target))(self.source)
        self.modules[str(node.target)] = copy.deepcopy(value)
        if isinstance(value, torch.Tensor) and value.ndim > 2:  # (C, 1, 1) becomes (C, 1, 1, 1)
            self._behind(node, CONSTANT, "unsqueeze", -3)
        return CONSTANT

    def _module(self, node: fx.Node) -> str:
        name = str(node.target)
        layer = self.source.get_submodule(name)
        sees_video = self._sees(node, VIDEO)
        if isinstance(layer, nn.Flatten) and sees_video:
            if (layer.start_dim, layer.end_dim) not in ((1, -1), (1, 3)):
                self._refuse(node, f"{layer} of feature maps")
            self._average_frames(node)
        if not sees_video or isinstance(layer, nn.Flatten):
            self.modules[name] = copy.deepcopy(layer)
            return OTHER
        if name not in self.modules:
            inflated = counterpart(layer, self.time)
            if inflated is None:
                self._refuse(node, f"{type(layer).__name__} ({name})")
            self.modules[name] = inflated
        return VIDEO

    def _operation(self, node: fx.Node) -> str:
        if not any(self._sees(node, kind) for kind in (VIDEO, SIZES, PARTS)):
            kinds = {self.kinds[value] for value in node.all_input_nodes}
            return CONSTANT if kinds == {CONSTANT} else self._from_vectors(node)
        if node.target not in self.rewrites:
            name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
            self._refuse(node, name)
        return self.rewrites[node.target](node)

    def _from_vectors(self, node: fx.Node) -> str:
        """Vectors (B, C) that are reshaped to maps (B, C, 1, 1) also get a time axis, as in squeeze and excitation."""
        sizes = _sizes_given(node) if node.target in ("view", "reshape", torch.reshape) else ()
        index = node.args[1] if node.target is operator.getitem else ()
        if len(sizes) == 4 or (isinstance(index, tuple) and len(index) == 4 and index[2:] == (None, None)):
            self._behind(node, VIDEO, "unsqueeze", 2)
        return OTHER

    def _elementwise(self, node: fx.Node) -> str:
        if self._sees(node, OTHER):
            self._refuse(node, "arithmetic of feature maps with a tensor that has no frames")
        return VIDEO

    def _pool(self, node: fx.Node) -> str:
        kind, names = _POOLS[node.target]
        settings = dict(zip(names, node.args[1:], strict=False)) | dict(node.kwargs)
        if len(node.all_input_nodes) > 1:
            self._refuse(node, "a pool whose sizes are computed")
        pool = kind(**{name: value for name, value in settings.items() if value is not None})
        self.modules[node.name] = counterpart(pool, self.time)
        node.op, node.target, node.args, node.kwargs = "call_module", node.name, (node.args[0],), {}
        return VIDEO

    def _flatten(self, node: fx.Node) -> str:
        arguments = dict(zip(("start_dim", "end_dim"), node.args[1:], strict=False)) | dict(node.kwargs)
        if arguments.get("start_dim", 0) != 1 or arguments.get("end_dim", -1) not in (-1, 3):
            self._refuse(node, "flatten, except from axis 1 to the last")
        return self._average_frames(node)

    def _view(self, node: fx.Node) -> str:
        if len(_sizes_given(node)) != 2:
            self._refuse(node, "a view of feature maps, except as (B, features)")
        return self._average_frames(node)

    def _average_frames(self, node: fx.Node) -> str:
        """An operation that flattens feature maps (B, C, H, W) gets their mean over time."""
        maps = node.args[0]
        assert isinstance(maps, fx.Node)
        with self.graph.inserting_before(node):
            mean = self.graph.call_method("mean", (maps, 2))
        self.kinds[mean] = OTHER
        node.replace_input_with(maps, mean)
        return OTHER

    def _mean(self, node: fx.Node) -> str:
        arguments = dict(zip(("dim", "keepdim"), node.args[1:], strict=False)) | dict(node.kwargs)
        axes: Any = arguments.get("dim", ())
        over = {axis % 4 for axis in (axes if isinstance(axes, tuple | list) else (axes,))}
        keepdim = bool(arguments.get("keepdim", False))
        if over in ({2}, {3}) and not keepdim:
            return self._average_frames(node)
        if over != {2, 3}:
            self._refuse(node, "a mean, except over H and W")
        node.args, node.kwargs = (node.args[0], (2, 3, 4), keepdim), {}
        return VIDEO if keepdim else OTHER

    def _cat(self, node: fx.Node) -> str:
        axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
        if any(self.kinds[value] != VIDEO for value in node.all_input_nodes):
            self._refuse(node, "feature maps beside a tensor that has no frames")
        node.args, node.kwargs = (node.args[0], _axis(axis)), {}
        return VIDEO

    def _split(self, node: fx.Node) -> str:
        axis = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
        node.args, node.kwargs = (node.args[0], node.args[1], _axis(axis)), {}
        return PARTS

    def _sizes(self, node: fx.Node) -> str:
        if node.target is getattr and node.args[1] != "shape":
            self._refuse(node, f"the attribute {node.args[1]}")
        axis = None if node.target is getattr else node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        if axis is None:
            return SIZES
        node.args, node.kwargs = (node.args[0], _axis(axis)), {}
        return CONSTANT

    def _item(self, node: fx.Node) -> str:
        index = node.args[1]
        if self._sees(node, PARTS) and isinstance(index, int):
            return VIDEO
        if self._sees(node, SIZES) and isinstance(index, int):
            node.args = (node.args[0], _axis(index))
            return CONSTANT
        if self._sees(node, VIDEO) and isinstance(index, tuple):
            if all(isinstance(part, slice) for part in index) and len(index) <= 2:  # samples and channels
                return VIDEO
            if len(index) == 4 and all(isinstance(part, int) for part in index[2:]):  # x[:, :, 0, 0]
                return self._average_frames(node)
        self._refuse(node, f"the index {index}")

    def _pad(self, node: fx.Node) -> str:
        arguments = dict(zip(("pad", "mode", "value"), node.args[1:], strict=False)) | dict(node.kwargs)
        if arguments.get("mode", "constant") != "constant":  # other modes need every axis except samples and channels
            arguments["pad"] = (*tuple(arguments["pad"]), 0, 0)  # type: ignore[arg-type]
        node.args, node.kwargs = (node.args[0],), arguments
        return VIDEO

    def _dropout(self, node: fx.Node) -> str:
        node.target = F.dropout3d
        return VIDEO

    def _sees(self, node: fx.Node, kind: str) -> bool:
        return any(self.kinds[value] == kind for value in node.all_input_nodes)

    def _behind(self, node: fx.Node, kind: str, method: str, *args: int) -> None:
        """Call a method on the value of a node, for all of its users."""
        with self.graph.inserting_after(node):
            call = self.graph.call_method(method, (node, *args))
        node.replace_all_uses_with(call, delete_user_cb=lambda user: user is not call)
        self.kinds[call] = kind

    def _refuse(self, node: fx.Node, what: str) -> NoReturn:
        stack = re.findall(r'File "(.+)", line (\d+), in (.+)\n +(.+)', node.stack_trace or "")
        raise InputError(
            f"inflate has no 3D counterpart of {what}",
            [
                ("in", _users_line(stack)),
                ("fix", "write it with the layers of torch.nn for images, or inflate the part before it"),
            ],
        )


def _axis(axis: Any) -> Any:
    """The axis of (B, C, T, H, W) for an axis of (B, C, H, W)."""
    return axis + 1 if axis > 1 else axis - 1 if axis < -2 else axis


def _sizes_given(node: fx.Node) -> tuple[Any, ...]:
    """The sizes of a view, which are separate arguments or a tuple."""
    sizes = node.args[1:]
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes
