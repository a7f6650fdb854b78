"""What a generator or a video-language model does for one request, as a pipeline: by name or by folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, UnknownNameError
from ..core.one_line import OneLine
from ..core.parsing import parse_dtype
from ..core.protocol import Clip
from ..facts.model_sizes import ModelSizes, find_sizes, model_sizes
from ..hardware.precision import PRECISIONS
from .expression import parse_value
from .requests import AnswerRequest, VideoRequest

if TYPE_CHECKING:
    from .pipeline import Pipeline

__all__ = ["ModelJob", "count_generation"]

_OF_VIDEO = ("steps", "guidance", "text_tokens", "reuse")
_OF_ANSWER = ("fps", "prompt", "new_tokens", "kv_dtype", "all_logits")
_KINDS = {"generation": "a generator", "language": "a video-language model"}


@dataclass(frozen=True, slots=True)
class ModelJob(OneLine):
    """A model and what is asked of it, checked before anything is counted."""

    sizes: ModelSizes
    request: VideoRequest | AnswerRequest

    @classmethod
    def of(cls, name: str, **options: Any) -> ModelJob:
        """From the arguments of `count_generation`.

        Raises:
            InputError, UnknownNameError: as `count_generation`, for all that can be refused before counting.
        """
        sizes = _sizes(name)
        if sizes.task not in _KINDS:
            prefix = "" if sizes.hub_id or ":" in name else f"{next(iter(sizes.parts.values())).library}:"
            fix = f"count it: flopcount model {prefix}{name}"
            raise InputError(
                f"{name} generates neither video nor text", [("seen", f"a model for {sizes.task}"), ("fix", fix)]
            )
        others = _OF_ANSWER if sizes.task == "generation" else _OF_VIDEO
        for option in others:
            given = options.get(option)
            if given is not None and (option, given) != ("all_logits", False):
                other = next(kind for task, kind in _KINDS.items() if task != sizes.task)
                flag = f"--{option.replace('_', '-')}"
                why = f"{flag} is for {other}, and {sizes.name} is {_KINDS[sizes.task]}"
                raise InputError(why, [("fix", f"leave {flag} out")])
        return cls(sizes, _request(sizes, {k: v for k, v in options.items() if k not in others and v is not None}))

    def running_in(self, precision: str | None) -> ModelJob:
        """The same on a device in this precision, in which an answer keeps its cache if nothing else was asked for."""
        if not isinstance(self.request, AnswerRequest) or self.request.kv_dtype is not None or precision is None:
            return self
        of_attention = PRECISIONS[precision].attention
        kept = "fp32" if of_attention == "tf32" else of_attention  # TF32 is a way to multiply float32
        return replace(self, request=replace(self.request, kv_dtype=kept))

    def count(self, *, dataflow: bool = False, progress: Callable[[str], None] = lambda what: None) -> Pipeline:
        """Its pipeline; with `dataflow` as a time on a device needs it.

        Raises:
            FlopcountError: the model does not take what is asked for, or cannot be counted.
        """
        from ..models.folder import any_values

        with any_values(self.sizes.name, known=bool(self.sizes.hub_id)):
            if isinstance(self.request, VideoRequest):
                from .generation import generated_video  # each loads a library of its own

                return generated_video(self.sizes, self.request, dataflow=dataflow, progress=progress)
            from .answering import answered

            return answered(self.sizes, self.request, dataflow=dataflow, progress=progress)


def count_generation(
    name: str,
    *,
    video: str | tuple[int, int, int] | Clip | None = None,
    steps: int | None = None,
    guidance: bool | None = None,
    text_tokens: int | None = None,
    reuse: float | str | None = None,
    fps: float | None = None,
    prompt: int | None = None,
    new_tokens: int | None = None,
    batch: int = 1,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    all_logits: bool = False,
    density: float | str | None = None,
    dataflow: bool = False,
    progress: Callable[[str], None] = lambda what: None,
) -> Pipeline:
    """What it costs to generate a video, or to answer a question about one: what `flopcount generate` calls.

    Nothing is downloaded, and no weights are allocated.

    Arguments:
        name: as in `flopcount list --task generation` or `--task language`, a public identifier, or a local folder
            with its model_index.json or config.json.
        video: frames, height and width in pixels, of what is generated or asked about; by default the model's own.
        steps: denoising steps of a generator.
        guidance: whether each step of a generator has a second pass without the prompt.
        text_tokens: tokens of a generator's prompt, padding included.
        reuse: the share of steps that a cache skips, such as 0.3.
        fps: frames per second at which the video of a question was sampled.
        prompt: tokens of the question, without the visual ones and their delimiters.
        new_tokens: tokens of the answer.
        batch: videos, or questions with a video each, at once.
        dtype: of weights and tensors, such as "bfloat16"; MACs do not depend on it.
        kv_dtype: of the cache of keys and values, such as "fp8".
        all_logits: whether the prompt's every token gets logits, not only the last.
        density: the share of the pairs of tokens that sparse attention computes, for the number beside the dense one.
        dataflow: follow the data of every stage, as `Pipeline.cost` needs it.
        progress: called with what is being counted.

    Raises:
        UnknownNameError: no such model; the message offers near names.
        InputError: a value is malformed or does not fit the model, or its library is not installed.
    """
    values = {name: value for name, value in locals().items() if name not in ("name", "dataflow", "progress")}
    return ModelJob.of(name, **values).count(dataflow=dataflow, progress=progress)


def _sizes(name: str) -> ModelSizes:
    prefix, colon, path = name.partition(":")
    bare = path if colon and prefix in ("diffusers", "transformers") else name
    try:
        return find_sizes(name)  # a known name is that model, whatever lies in this folder; ./NAME is what lies there
    except UnknownNameError:
        if Path(bare).expanduser().exists() or bare.startswith((".", "/", "~")):
            from ..models.folder import sizes_of_folder  # a name does not need it

            return sizes_of_folder(bare)
        known = [sizes.name for sizes in model_sizes().values() if sizes.task in _KINDS]
        fix = "see `flopcount list --task generation`, or name a folder with its model_index.json or config.json"
        raise UnknownNameError("generator or video-language model", name, known, fix) from None


def _request(sizes: ModelSizes, values: Mapping[str, Any]) -> VideoRequest | AnswerRequest:
    values = dict(values)
    if "video" in values:
        values["video"] = Clip.parse(values["video"])
    for share in ("reuse", "density"):
        if share in values:
            values[share] = Fraction(parse_value(share, values[share]))
    if "dtype" in values:
        values["dtype"] = parse_dtype(str(values["dtype"]).removeprefix("torch."))
    return VideoRequest(**values) if sizes.task == "generation" else AnswerRequest(**values)
