"""From the output of a forward pass to gradients: the losses, with whatever they bring along, and their backward.

What enters is a module on one engine, and what the caller wants differentiated; what leaves is the losses, while
`PhaseRecorder` notes the operations of their backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..core.errors import FlopcountError
from ..core.ops import Phase
from .engines import Start
from .guard.preserve import preserved
from .holders import substituted, tensors_within
from .losses import Asked, Loss, loss_of
from .origin import failure_of, first_line
from .phases import LOSS, PhaseRecorder
from .stand_ins import gradients_kept, leaves_by, stand_in, with_dense_gradients
from .torch_private import differentiate
from .uncountable import Uncountable, Unknown

__all__ = ["Differentiation"]


@dataclass(frozen=True, slots=True)
class Differentiation:
    """What is differentiated of a module: the loss of its output, or of each of some submodules (`streams`) alone."""

    module: nn.Module
    begun: Start
    engine: str
    recorder: PhaseRecorder
    asked: Asked = None
    streams: Sequence[str] = ()

    def inputs(self, arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> tuple[Any, list[Any]]:
        """The engine's own arguments, and the tensors in them; leaves stand for the module's parameters from now on."""
        begun, then = self.begun, self.begun.mode.keeper.then
        made = substituted(leaves_by(begun.make, then), arguments)
        tensors = tensors_within(made)
        begun.mode.given(tensors)
        begun.mode.invented.inputs(*arguments, tensors)
        self.recorder.inputs(tensors)
        stand_in(self.module, self.engine, begun.make, then, self.recorder.parameter)
        if with_dense_gradients(self.module):
            begun.mode.assume("sparse gradients of embeddings are dense ones")
        return made, tensors

    @contextmanager
    def prepared(self, told: Callable[[torch.Tensor], object] = lambda leaf: None) -> Iterator[list[list[Any]]]:
        """The outputs of each stream, call by call, while the module runs.

        A loss that is a module gets stand-ins for its weights, and `told` is called with each.
        """
        with self._criterion(told), self._outputs_of_streams() as apart:
            yield apart

    @contextmanager
    def _criterion(self, told: Callable[[torch.Tensor], object]) -> Iterator[None]:
        if not isinstance(self.asked, nn.Module):
            yield
            return

        def note(leaf: torch.Tensor, _: str) -> None:
            self.recorder.parameter(leaf, LOSS)
            told(leaf)

        with preserved(self.asked, real=self.engine == "real", watches=False):
            stand_in(self.asked, self.engine, self.begun.make, self.begun.mode.keeper.then, note)
            yield

    @contextmanager
    def _outputs_of_streams(self) -> Iterator[list[list[Any]]]:
        outputs: list[list[Any]] = [[] for _ in self.streams]
        hooks = [
            self.module.get_submodule(stream).register_forward_hook(lambda _, __, out, calls=calls: calls.append(out))
            for stream, calls in zip(self.streams, outputs, strict=True)
        ]
        try:
            yield outputs
        finally:
            for hook in hooks:
                hook.remove()

    def losses(self, output: Any, drained: Sequence[Any], apart: list[list[Any]]) -> list[Loss]:
        """The loss of the output, or of each stream, whose outputs are let go then."""
        self.recorder.enter(Phase.LOSS, LOSS)
        if not self.streams:
            return [self._loss(output, drained)]
        losses = [loss_of(outputs[0] if len(outputs) == 1 else outputs) for outputs in apart]
        for outputs in apart:
            outputs.clear()
        return losses

    def _loss(self, output: Any, drained: Sequence[Any]) -> Loss:
        """The loss; where the caller's function raises, the error says that it was the loss."""
        path = self.recorder.path
        path.failure = None  # of an error that the module caught
        try:
            return loss_of(output, self.asked, drained)
        except (FlopcountError, Unknown, Uncountable):
            raise
        except Exception:
            path.failure = path.failure or ("the loss", self.module, ())
            raise

    def backward(self, losses: list[torch.Tensor | None]) -> None:
        """Run the backward of each loss, which is let go; one that depends on no trainable parameter has none."""
        wanted = [loss for loss in losses if loss is not None and loss.requires_grad]
        losses.clear()
        self.recorder.enter(Phase.BACKWARD_INPUT)
        try:
            with gradients_kept(wanted, self.module):
                for loss in wanted:
                    differentiate(loss)
        except (FlopcountError, Unknown, Uncountable):
            raise
        except Exception as error:
            if self.engine == "real" or failure_of(error, "", self.module, ()).by_caller:
                raise
            raise Unknown(f"backward: {type(error).__name__}: {first_line(error)}") from error
