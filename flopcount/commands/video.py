"""Video files: what is in them, and what a network makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import FlopcountError, InputError
from .application import EXIT_FAILED_CHECK, app
from .arguments import FormatOpt, ModelOptions, takes_model
from .output import progress, show, working, write
from .pictures import Picture, PlotOpt, WidthOpt, requested_picture
from .settings import Settings

if TYPE_CHECKING:
    from ..pipelines.video.lookout import Lookout
    from ..pipelines.video.video_file import VideoFile
    from ..pipelines.video.video_tables import FileRow
    from ..pipelines.video.view_request import ViewRequest

__all__ = ["video"]

_WAYS = "dense or segments: a clip of near frames, or one that spans the video."
_FLOWS = "tvl1, raft, raft_small or pwc_net, for networks that take flow."
_SIZE = "short=256, or 256x340 for height and width; by default what the crop needs."


@app.command(
    epilog="[bold]Examples[/]\n\n"
    "flopcount video clip.mp4\n\n"
    "flopcount video clip.mp4 --model slowfast_r50_8x8 --views 10x3 --resize short=256\n\n"
    "flopcount video clip.mp4 --model x3d_m --hop 8 --on rtx-4090 --dtype amp --measure-decode\n\n"
    "flopcount video clip.mp4 --model two_stream --views 25x10 --flow raft\n\n"
    "flopcount video clip.mp4 --model movinet_a0_stream --online\n\n"
    "flopcount video clip.mp4 --model tsm_r50 --plot frames.png\n\n"
    "flopcount video videos/ --model slowfast_r50_8x8 --on t4 --price 0.35 --format csv\n\n"
    "flopcount video --stream 30fps --model movinet_a2_stream --on rtx-4090"
)
@takes_model("views", "fps", "stride")
def video(
    *,
    files: Annotated[list[str] | None, typer.Argument(metavar="[FILE...]", help="Video files, or folders.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The network that looks at them.")] = None,
    options: ModelOptions,
    hop: Annotated[int | None, typer.Option(metavar="N", help="Frames from one clip to the next, without end.")] = None,
    sampling: Annotated[str | None, typer.Option(metavar="WAY", help=_WAYS)] = None,
    resize: Annotated[str | None, typer.Option(metavar="SIZE", help=_SIZE)] = None,
    flow: Annotated[str | None, typer.Option(metavar="NAME", help=_FLOWS)] = None,
    online: Annotated[bool, typer.Option("--online", help="A streaming network sees each frame once.")] = False,
    stream: Annotated[str | None, typer.Option(metavar="RATE", help="No file: a live stream, such as 30fps.")] = None,
    measure_decode: Annotated[bool, typer.Option("--measure-decode", help="Decode for real, for its time.")] = False,
    settings: Settings,
    plot: PlotOpt = None,
    width: WidthOpt = None,
    format: FormatOpt = "table",
) -> None:
    """Tell what is in video files; with --model what a network needs of them, and with --on what that takes.

    Nothing is decoded but for --measure-decode and --plot. Of several files a bad one is named and the others are
    counted (exit code 1).
    """
    from ..pipelines.video.resize import parse_resize
    from ..pipelines.video.view_request import ViewRequest

    for name in ("--video", "--input"):
        options.refuse("says what a model takes, which is here the file", name)
    of_files: dict[str, object] = {"--sampling": sampling, "--resize": resize, "--flow": flow, "--online": online}
    of_files |= {"--measure-decode": measure_decode, "--plot": plot, "--width": width}
    if model is None:
        of_model: dict[str, object] = {"--hop": hop, "--stream": stream, "--on": settings or None, **of_files}
        _refuse(of_model, "says how a network looks at a video, and none is named", "add --model, or leave {} out")
        options.refuse("says how a network looks at a video, and none is named with --model")
        _show_stored(files or [], format)
        return
    views = options.protocol.views if "--views" in dict(options.words) else None
    request = ViewRequest(views, hop, sampling, parse_resize(resize or ""), flow, online)
    if stream is not None:
        _refuse({"--views": views, **of_files}, "is for files, and --stream has none", "leave out {} or --stream")
        _show_live(stream, files or [], options, model, hop, settings, format)
        return
    if measure_decode and not settings:
        _refuse({"--measure-decode": True}, "takes a time beside that of a device", "add --on rtx-4090")
    picture = requested_picture(plot, width)
    _require_shown(files or [], settings, picture, format)
    _show_jobs(files or [], options, model, request, settings, measure_decode, picture, format)


def _refuse(given: Mapping[str, object], why: str, fix: str) -> None:
    """Refuse the first option that was given."""
    for name, value in given.items():
        if value not in (None, False):
            raise InputError(f"{name} {why}", [("fix", fix.format(name))])


def _paths(files: Sequence[str]) -> list[Path]:
    """The files to read.

    Raises:
        InputError: none is named, a folder holds none, or PyAV is not installed.
    """
    from ..pipelines.video.container import require_pyav
    from ..pipelines.video.folder import video_paths

    if not files:
        raise InputError("no video file is named", [("fix", "name files or folders, or a live stream: --stream 30fps")])
    require_pyav()
    return video_paths(files)


def _require_shown(files: Sequence[str], settings: Settings, picture: Picture | None, format: str) -> None:
    """Refuse what cannot be shown, before anything is read."""
    from ..pipelines.video.folder import is_folder

    several = len(files) > 1 or any(is_folder(Path(file)) for file in files)
    if several and picture is not None:
        raise InputError("--plot is of one video, and several are named", [("fix", "name one file")])
    if several and len(settings) > 1:
        fix = "name one device, or one file"
        seen = f"{len(settings)} devices"
        raise InputError("several files are counted on one device", [("seen", seen), ("fix", fix)])


def _show_stored(files: Sequence[str], format: str) -> None:
    from ..pipelines.video.video_tables import stored_files_table, stored_table

    paths = _paths(files)
    with progress("reading", len(paths)) as say:
        found = [(str(path), _read(path, say, alone=len(paths) == 1)) for path in paths]
    good = [video for _, video in found if not isinstance(video, str)]
    if format == "json":
        rows = [{"file": path, **({"problem": v} if isinstance(v, str) else {"video": v.data()})} for path, v in found]
        write(json.dumps({"schema": "flopcount/video/1", "model": None, "files": rows}, indent=2, ensure_ascii=False))
    elif len(paths) == 1:
        show(stored_table(good[0]), format)
    else:
        show(stored_files_table(found), format)
    _leave(len(found) - len(good))


def _read(path: Path, say: Callable[[str], None], *, alone: bool) -> VideoFile | str:
    """What is in a file, or why it cannot be read; of a single one that is an error."""
    from ..pipelines.video.reading import read_video

    say(str(path))
    try:
        return read_video(path)
    except FlopcountError as error:
        if alone:
            raise
        return _said(error)


def _said(error: FlopcountError) -> str:
    """An error in one line, for the row of its file."""
    details = (f"near: {text}" if label == "near" else text for label, text in error.details)
    return "; ".join([error.message, *details])


def _leave(problems: int) -> None:
    if problems:
        raise typer.Exit(EXIT_FAILED_CHECK)


def _show_live(
    stream: str,
    files: Sequence[str],
    options: ModelOptions,
    model: str,
    hop: int | None,
    settings: Settings,
    format: str,
) -> None:
    from ..pipelines.video.live import parse_rate

    rate = parse_rate(stream)
    if files:
        fix = f"leave out --stream, or {files[0]}"
        raise InputError(f"--stream is a live stream, and {files[0]} is a file", [("fix", fix)])
    options.refuse("says how often a file's frames come, which --stream does here", "--fps")
    spec = options.named(model)
    with working(f"counting {model}") as say:
        from ..pipelines.video.live import live, live_data, live_table
        from ..pipelines.video.video_job import Counts

        found = live(Counts(spec, options.protocol, bool(settings), say), rate, hop)
        costs = [found.pipeline.cost_under(setting) for setting in settings]
    if format == "json":
        write(json.dumps(live_data(found, costs), indent=2, ensure_ascii=False))
    elif len(costs) > 1:
        from ..hardware.device_comparison import device_comparison

        show(device_comparison(costs, exact=format == "csv"), format)
    else:
        show(live_table(found, costs[0] if costs else None), format)


def _show_jobs(
    files: Sequence[str],
    options: ModelOptions,
    model: str,
    request: ViewRequest,
    settings: Settings,
    measure: bool,
    picture: Picture | None,
    format: str,
) -> None:
    from ..pipelines.video.video_tables import FileRow

    spec, paths = options.named(model), _paths(files)
    lookout: Lookout | None = None
    rows: list[FileRow] = []
    with progress("counting", len(paths)) as say:
        for path in paths:
            video = _read(path, say, alone=len(paths) == 1)
            if isinstance(video, str):
                rows.append(FileRow(str(path), problem=video))
                continue
            if lookout is None:  # after one file was read, and before the others: what the network refuses, all do
                from ..pipelines.video.lookout import Lookout

                lookout = Lookout(spec, options.protocol, request, dataflow=bool(settings))
            rows.append(_row(str(path), video, lookout, settings, measure, alone=len(paths) == 1))
    if picture is not None and rows[0].job is not None:
        from ..pipelines.video.decoded import sheet_frames
        from ..publishing.figures.video_timeline import draw_timeline, timeline_data

        job = rows[0].job
        with working(f"decoding frames for {picture.path}"):
            frames = sheet_frames(job.plan.video, job.plan.decoding)
        picture.write(lambda: draw_timeline(job, frames, width=picture.width), timeline_data(job))
    _show_rows(rows, model, format)
    _leave(sum(bool(row.problem) for row in rows))


def _row(path: str, video: VideoFile, lookout: Lookout, settings: Settings, measure: bool, *, alone: bool) -> FileRow:
    from ..pipelines.video.video_cost import costs_of
    from ..pipelines.video.video_tables import FileRow

    try:
        job = lookout.look_at(video)
        return FileRow(path, job, costs_of(job.plan, job.pipeline, settings, measure=measure))
    except FlopcountError as error:
        if alone:
            raise
        return FileRow(path, problem=_said(error))


def _show_rows(rows: Sequence[FileRow], model: str, format: str) -> None:
    from ..pipelines.video.video_tables import files_data, files_table

    first = rows[0]
    if format == "json":
        write(json.dumps(files_data(rows, model), indent=2, ensure_ascii=False))
    elif len(rows) > 1 or first.job is None:
        show(files_table(rows, model), format)
    elif not first.costs:
        show(first.job.table(), format)
    elif len(first.costs) == 1:
        show(first.costs[0].table(), format)
    else:
        from ..pipelines.video.video_cost import video_devices_table

        show(video_devices_table(first.costs, exact=format == "csv"), format)
