"""Recurrent convolutional network (Ballas et al. 2015, "Delving Deeper into Convolutional Networks for Learning ...").

Paper: https://arxiv.org/abs/1511.06432 (GRU-RCN and Stacked GRU-RCN, sections 3 and 5.1); no code was released. The
maps of VGG-16 for every frame at pool2, pool3, pool4, pool5 and fc7 each enter a recurrent layer whose states are maps
too, with 64, 128, 256, 256 and 512 channels; its matrix products are 3×3 convolutions without bias (1×1 after fc7,
whose maps have one position). The last states, averaged over space, go to one classifier each; the softmax scores are
averaged.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...core.errors import UnknownNameError
from ...core.protocol import Clip
from .sized_network import SizedNetwork
from .streamable import ALL
from .vgg import VGG16

__all__ = ["ConvGRU", "ConvLSTM", "ConvRNN", "RecurrentCNN", "recurrent_cnn"]

FRAMES = 10  # section 5.1.2
LEVELS = ("pool2", "pool3", "pool4", "pool5", "fc7")
INPUTS = (128, 256, 512, 512, 4096)
STATES = (64, 128, 256, 256, 512)
KERNELS = (3, 3, 3, 3, 1)


class Recurrence(nn.Module):
    """Maps of T frames (B, T, C, H, W) -> states (B, T, S, H, W), one cell over all positions.

    The input terms of a cell, W·x for each of its gates, do not depend on the state, so one convolution computes them
    for all frames. `below` are the states of the layer below (B, T, C', H', W'), max-pooled to H×W.

    Arguments:
        channels: C.
        states: S.
        kernel: size of all convolutions.
        gates: the number of gates that have a W·x, with S channels each.
        below: C', or 0 if the layers are not stacked.
        gates_below: the number of gates, from the first on, that see the layer below.
    """

    def __init__(self, channels: int, states: int, kernel: int, *, gates: int, below: int, gates_below: int) -> None:
        super().__init__()
        self.states = states
        self.input = nn.Conv2d(channels, gates * states, kernel, padding=kernel // 2, bias=False)
        self.below = nn.Conv2d(below, gates_below * states, kernel, padding=kernel // 2, bias=False) if below else None

    def forward(
        self, x: Tensor, below: Tensor | None, before: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """States (B, T, S, H, W), and the last state and memory; the first step starts from `before`, or from zeros."""
        batch, frames, _, height, width = x.shape
        from_input = self.input(x.flatten(0, 1))
        if self.below is not None and below is not None:
            from_below = self.below(F.adaptive_max_pool2d(below.flatten(0, 1), (height, width)))
            sees, rest = from_input.split((from_below.shape[1], from_input.shape[1] - from_below.shape[1]), dim=1)
            from_input = torch.cat((sees + from_below, rest), dim=1)
        from_input = from_input.unflatten(0, (batch, frames))
        if before is None:
            zeros = from_input.new_zeros((batch, self.states, height, width))
            before = zeros, zeros
        state, memory = before
        states = []
        for frame in from_input.unbind(1):
            state, memory = self.step(frame, state, memory)
            states.append(state)
        return torch.stack(states, dim=1), (state, memory)

    def step(self, from_input: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The next state and memory (B, S, H, W)."""
        raise NotImplementedError


class ConvRNN(Recurrence):
    """h' = tanh(W·x + U·h)."""

    def __init__(self, channels: int, states: int, kernel: int, *, below: int = 0) -> None:
        super().__init__(channels, states, kernel, gates=1, below=below, gates_below=1)
        self.hidden = nn.Conv2d(states, states, kernel, padding=kernel // 2, bias=False)

    def step(self, from_input: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The next state; there is no memory."""
        return torch.tanh(from_input + self.hidden(state)), memory


class ConvGRU(Recurrence):
    """z, r = σ(W·x + U·h); h' = (1 − z)·h + z·tanh(W·x + U·(r·h)).

    Stacked, z and r see the layer below (section 3.2).
    """

    def __init__(self, channels: int, states: int, kernel: int, *, below: int = 0) -> None:
        super().__init__(channels, states, kernel, gates=3, below=below, gates_below=2)
        self.hidden = nn.Conv2d(states, 2 * states, kernel, padding=kernel // 2, bias=False)
        self.candidate = nn.Conv2d(states, states, kernel, padding=kernel // 2, bias=False)

    def step(self, from_input: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The next state; there is no memory."""
        z, r, candidate = from_input.chunk(3, dim=1)
        z_state, r_state = self.hidden(state).chunk(2, dim=1)
        z, r = torch.sigmoid(z + z_state), torch.sigmoid(r + r_state)
        return (1 - z) * state + z * torch.tanh(candidate + self.candidate(r * state)), memory


class ConvLSTM(Recurrence):
    """i, f, o = σ(W·x + U·h); c' = f·c + i·tanh(W·x + U·h); h' = o·tanh(c').

    https://arxiv.org/abs/1506.04214 without its peepholes.
    """

    def __init__(self, channels: int, states: int, kernel: int, *, below: int = 0) -> None:
        super().__init__(channels, states, kernel, gates=4, below=below, gates_below=4)
        self.hidden = nn.Conv2d(states, 4 * states, kernel, padding=kernel // 2, bias=False)

    def step(self, from_input: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The next state and memory."""
        i, f, o, candidate = (from_input + self.hidden(state)).chunk(4, dim=1)
        memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(candidate)
        return torch.sigmoid(o) * torch.tanh(memory), memory


CELLS: dict[str, type[ConvRNN | ConvGRU | ConvLSTM]] = {"gru": ConvGRU, "rnn": ConvRNN, "lstm": ConvLSTM}


class Percepts(nn.Module):
    """Frames (N, 3, H, W) -> maps (N, C, H', W') of VGG-16 at each of the five levels."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        vgg = VGG16(num_classes=1)
        vgg.check(clip)
        ends = [end for end, layer in enumerate(vgg.features, 1) if isinstance(layer, nn.MaxPool2d)]
        self.pool1, self.pool2, self.pool3, self.pool4, self.pool5 = (
            vgg.features[start:end] for start, end in zip((0, *ends), ends, strict=False)
        )
        self.avgpool = vgg.avgpool
        self.fc7 = vgg.classifier[:5]  # up to its ReLU

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps in the order of `LEVELS`."""
        pool2 = self.pool2(self.pool1(x))
        pool3 = self.pool3(pool2)
        pool4 = self.pool4(pool3)
        pool5 = self.pool5(pool4)
        fc7 = self.fc7(self.avgpool(pool5).flatten(1))[:, :, None, None]
        return pool2, pool3, pool4, pool5, fc7


class RecurrentCNN(nn.Module):
    """Clip (B, 3, T, H, W) -> class probabilities (B, num_classes), averaged over five levels."""

    step_sees = ALL

    def __init__(self, clip: Clip, num_classes: int, *, cell: str = "gru", stacked: bool = False) -> None:
        super().__init__()
        self.stacked = stacked
        self.cnn = Percepts(clip)
        belows = (0, *STATES[:-1]) if stacked else (0,) * len(STATES)
        rows = zip(LEVELS, INPUTS, STATES, KERNELS, belows, strict=True)
        self.recurrent = nn.ModuleDict({level: CELLS[cell](c, s, k, below=below) for level, c, s, k, below in rows})
        self.classifier = nn.ModuleDict(
            {level: nn.Linear(states, num_classes) for level, states in zip(LEVELS, STATES, strict=True)}
        )
        self.dropout = nn.Dropout(0.7)

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities (B, num_classes)."""
        return self.step(x, None)[0]

    def step(self, frames: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Probabilities after these frames; keeps state and memory of every level."""
        batch, count = frames.shape[0], frames.shape[2]
        states: Tensor | None = None
        scores, after = [], {}
        for level, maps in zip(LEVELS, self.cnn(frames.transpose(1, 2).flatten(0, 1)), strict=True):
            below = states if self.stacked else None
            before = state[level] if state is not None else None
            states, after[level] = self.recurrent[level](maps.unflatten(0, (batch, count)), below, before)
            assert states is not None
            last = states[:, -1].mean((2, 3))
            scores.append(self.classifier[level](self.dropout(last)).softmax(1))
        return torch.stack(scores).mean(0), after


def recurrent_cnn(clip: Clip, num_classes: int, *, cell: str = "gru", stacked: bool = False) -> SizedNetwork:
    """GRU-RCN, or with another cell; `stacked` layers also see the states of the layer below at the same time."""
    if cell not in CELLS:
        raise UnknownNameError("cell of recurrent_cnn", str(cell), CELLS, f"choose {', '.join(CELLS)}")
    model = RecurrentCNN(clip, num_classes, cell=cell, stacked=stacked)
    departures = []
    if cell != "gru":
        departures.append(f"convolutional {cell.upper()} cells, the paper's are GRUs")
    if clip.frames != FRAMES:
        departures.append(f"{clip.frames} frames, the paper's clips have {FRAMES}")
    if (clip.height, clip.width) != (224, 224):
        departures.append(f"frames of {clip.height}×{clip.width}, the paper's are resized to 224×224")
    return SizedNetwork(model, tuple(departures))
