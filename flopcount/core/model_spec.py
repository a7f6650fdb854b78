"""Which model, and how it is built and fed: the arguments of `flopcount model NAME` and `count_model`.

Nothing here needs torch, so the command can refuse what is malformed before loading anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .one_line import OneLine
from .protocol import Clip, layout_of, shared_batch

if TYPE_CHECKING:
    from .ops import TensorSpec

__all__ = ["NAMELESS", "ModelSpec"]


@dataclass(frozen=True, slots=True)
class ModelSpec(OneLine):
    """A model by name, and all that decides how it is built.

    The model is built for `clip` and takes it; None is the model's own clip. Its builder takes `options` and
    `num_classes`. `inputs` are (name, spec) pairs that replace the clip; an empty name makes one positional, and their
    shapes include the batch. `dtype` is the dtype of the weights. `video` replaces the clip of a generator: frames and
    pixels, which its own factors turn into latents.
    """

    name: str
    clip: Clip | None = None
    num_classes: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    inputs: tuple[tuple[str, TensorSpec], ...] = ()
    dtype: str | None = None
    video: Clip | None = None

    def __post_init__(self) -> None:
        if self.clip is not None:
            object.__setattr__(self, "clip", Clip.parse(self.clip))
        if self.video is not None:
            object.__setattr__(self, "video", Clip.parse(self.video))
            for option, other in (("--clip", self.clip), ("--input", self.inputs)):
                if other:
                    why = f"video {self.video} is given beside {option}"
                    raise InputError(why, [("fix", f"leave out --video or {option}")])
        names = [name for name, _ in self.inputs if name]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise InputError(f"input {twice[0]} is given twice", [("fix", "leave one out")])
        if len({bool(name) for name, _ in self.inputs}) > 1:
            raise InputError("inputs with and without a name do not mix", [("fix", "name them all, or none")])
        if self.num_classes is not None and "num_classes" in self.options:
            raise InputError("num_classes is given twice", [("fix", "leave one out")])

    @classmethod
    def of(
        cls,
        name: str,
        *,
        clip: str | tuple[int, ...] | Clip | None = None,
        num_classes: int | None = None,
        options: Mapping[str, Any] | Iterable[str] | None = None,
        inputs: Iterable[tuple[str, TensorSpec] | str] | None = None,
        dtype: object = None,
        video: str | tuple[int, ...] | Clip | None = None,
    ) -> ModelSpec:
        """From values or text: "TxHxW", "key=value" and "NAME:SHAPE:DTYPE" (by default, the model's dtype).

        Raises:
            InputError: a clip, an option or an input is malformed.
            UnknownNameError: a dtype that does not exist.
        """
        from .parsing import parse_dtype, parse_input, parse_settings  # here, since --help does not need it

        kind = None if dtype is None else parse_dtype(str(dtype).removeprefix("torch."))
        return cls(
            name,
            None if clip is None else Clip.parse(clip),
            num_classes,
            dict(options) if isinstance(options, Mapping) else parse_settings(options or ()),
            tuple(parse_input(x, kind or "float32") if isinstance(x, str) else x for x in inputs or ()),
            kind,
            None if video is None else Clip.parse(video),
        )

    @property
    def layouts(self) -> tuple[str, ...]:
        """The names of the axes of each input."""
        return tuple(layout_of(tensor.shape) for _, tensor in self.inputs)

    def batch_of_inputs(self, batch: int | None) -> int | None:
        """The batch that the inputs have: the caller's, or that which their shapes share."""
        return shared_batch(tensor.shape for _, tensor in self.inputs) if batch is None else batch

    def require_batch(self, batch: int | None) -> None:
        """Refuse a batch that the inputs, whose shapes include it, cannot have.

        Raises:
            InputError: what the inputs share along their first axis is no multiple of it, and they are no sequences
                with the time first.
        """
        shared = self.batch_of_inputs(None)
        time_first = all(len(tensor.shape) == _SEQUENCE and tensor.shape[1] == batch for _, tensor in self.inputs)
        if batch is not None and shared is not None and shared % batch and not time_first:
            why = f"batch {batch} is given beside inputs, whose shapes include the batch"
            fix = "write the batch into the shapes, or give --clip instead of --input"
            raise InputError(why, [("seen", f"a batch of {shared}"), ("fix", fix)])

    def _headline(self) -> str:
        at = self.clip or self.video
        taken = [str(at)] if at else [f"{name} {spec}".strip() for name, spec in self.inputs]
        more = [f"{name}={value!r}" for name, value in (("num_classes", self.num_classes), *self.options.items())]
        how = [*(text for text in more if not text.endswith("=None")), *([self.dtype] if self.dtype else [])]
        return f"{self.name}" + f" on {', '.join(taken)}" * bool(taken) + f": {', '.join(how)}" * bool(how)


_SEQUENCE = 3
"""Axes of a sequence: time, batch and features."""

NAMELESS = ModelSpec("")
"""The default options without a model; `dataclasses.replace` adds the name."""
