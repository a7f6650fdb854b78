"""Whole jobs of today's models: a video that is generated, a question about a video."""

from __future__ import annotations

from typing import Annotated

import typer

from .application import app
from .arguments import DepthOpt, StrictOpt, format_option, takes_device
from .output import working
from .pipeline import ByOpt, FormulaOpt, HtmlOpt, JobBy, require_costed, require_showable, show_job
from .settings import Settings

__all__ = ["generate"]

_PIXELS = "Frames, height and width in pixels; by default the model's own."


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount generate wan2.1-t2v-1.3b\n\n"
    "flopcount generate wan2.1-t2v-14b --video 81x720x1280 --steps 50 --on h100-sxm --dtype bf16\n\n"
    "flopcount generate cogvideox-5b --no-guidance --reuse 0.3\n\n"
    "flopcount generate ./HunyuanVideo --video 61x544x960\n\n"
    "flopcount generate qwen2.5-vl-7b --video 32x448x448 --prompt 64 --new-tokens 256\n\n"
    "flopcount generate qwen3-vl-30b-a3b --video 32x448x448 --fps 2 --prompt 64 --new-tokens 256 --batch 8 "
    "--kv-dtype fp8\n\n"
    "flopcount generate qwen2.5-vl-7b --video 32x448x448 --prompt 64 --new-tokens 256 --format json"
)
@takes_device()
def generate(
    *,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FOLDER", help="As in [cyan]flopcount list --task generation[/], or a local folder."
        ),
    ],
    video: Annotated[str | None, typer.Option(metavar="TxHxW", help=_PIXELS)] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Denoising steps of a generator.")] = None,
    guidance: Annotated[
        bool | None,
        typer.Option("--guidance/--no-guidance", help="Two passes a step, with the prompt and without, or one."),
    ] = None,
    text_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="Tokens of a generator's prompt, padding included.")
    ] = None,
    reuse: Annotated[str | None, typer.Option(metavar="SHARE", help="Share of the steps that a cache skips.")] = None,
    fps: Annotated[float | None, typer.Option(metavar="F", help="Frames per second of the video asked about.")] = None,
    prompt: Annotated[
        int | None, typer.Option(metavar="N", help="Tokens of a question, without the visual ones.")
    ] = None,
    new_tokens: Annotated[int | None, typer.Option(metavar="N", help="Tokens of the answer.")] = None,
    batch: Annotated[int, typer.Option(metavar="N", help="Videos or questions at once.")] = 1,
    kv_dtype: Annotated[
        str | None, typer.Option(metavar="NAME", help="Dtype of the cache of keys and values, such as fp8.")
    ] = None,
    all_logits: Annotated[
        bool, typer.Option("--all-logits", help="Logits of every token of the prompt, not only of the last.")
    ] = False,
    density: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Share of pairs that sparse attention computes, shown beside.")
    ] = None,
    by: ByOpt = JobBy.stage,
    depth: DepthOpt = 2,
    formula: FormulaOpt = False,
    html: HtmlOpt = None,
    strict: StrictOpt = False,
    settings: Settings,
    typed: str,
    counted: str | None,
    format: Annotated[str, format_option("json", help="Format of the output; json is the whole job.")] = "table",
) -> None:
    """Count a whole generation: a video from a prompt, or an answer about a video; nothing is downloaded or run.

    What is not given is the model's own default, and the result says so.
    """
    from ..pipelines.jobs_of_models import ModelJob

    job = ModelJob.of(
        name,
        video=video,
        steps=steps,
        guidance=guidance,
        text_tokens=text_tokens,
        reuse=reuse,
        fps=fps,
        prompt=prompt,
        new_tokens=new_tokens,
        batch=batch,
        dtype=counted,
        kv_dtype=kv_dtype,
        all_logits=all_logits,
        density=density,
    )
    if settings:
        job = job.running_in(settings[0].dtype)
    require_showable(html, formula=formula, settings=settings)
    with working(f"counting {name}") as say:
        pipeline = job.count(dataflow=bool(settings), progress=lambda what: say(f"counting {name}: {what}"))
        require_costed(pipeline, strict=strict)
        costs = [pipeline.cost_under(setting) for setting in settings]
    show_job(pipeline, costs, by=by, depth=depth, formula=formula, html=html, format=format, typed=typed)
