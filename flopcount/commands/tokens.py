"""Visual tokens of a video-language model."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..core.errors import InputError
from .application import app
from .arguments import FormatOpt
from .output import show, working, write

__all__ = ["tokens"]


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount tokens qwen2.5-vl-7b --video 32x448x448\n\n"
    "flopcount tokens qwen3-vl-8b --video 64x720x1280 --fps 2\n\n"
    "flopcount tokens llava-onevision-7b --video 32x448x448 --prompt 64 --format json\n\n"
    "flopcount tokens ./Qwen2.5-VL-7B-Instruct --video 32x448x448"
)
def tokens(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|FOLDER", help="As in [cyan]flopcount list --task language[/], or a local folder."),
    ],
    video: Annotated[str, typer.Option(metavar="TxHxW", help="Frames, height and width in pixels.")],
    fps: Annotated[float | None, typer.Option(metavar="F", help="Frames per second, for tokens per second.")] = None,
    prompt: Annotated[int | None, typer.Option(metavar="N", help="Tokens of a question, to be added.")] = None,
    format: FormatOpt = "table",
) -> None:
    """Show how many tokens a video becomes, by the model's own rule: frames, patches, merging, separators."""
    from ..pipelines.jobs_of_models import ModelJob
    from ..pipelines.requests import AnswerRequest

    job = ModelJob.of(name, video=video, fps=fps, prompt=prompt)
    if not isinstance(job.request, AnswerRequest) or job.request.video is None:
        fix = "choose one of `flopcount list --task language`, or the folder of one"
        raise InputError(f"{name} is no video-language model", [("fix", fix)])
    with working(f"reading {name}"):
        from ..models.folder import any_values
        from ..models.visual_tokens import visual_tokens

        with any_values(job.sizes.name, known=bool(job.sizes.hub_id)):
            visual = visual_tokens(job.sizes, job.request.video)
    more, data = [], {"model": job.sizes.name, **visual.data()}
    if fps is not None:
        more.append(visual.pace(fps))
        data["fps"] = fps
    if prompt is not None:
        whole, how = visual.with_prompt(prompt)
        more.append(("input tokens", how))
        data |= {"prompt": prompt, "prefill": whole}
    if format == "json":
        write(json.dumps(data, indent=2, ensure_ascii=False))
        return
    show(visual.table(f"{job.sizes.name}, visual tokens of {job.request.video}", tuple(more)), format)
