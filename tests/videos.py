"""Small videos of every kind, written by PyAV for tests: 64×48 pixels, and no two frames of one alike."""

import contextlib
import io
import shutil
from fractions import Fraction
from pathlib import Path

import pytest

from flopcount.pipelines.video.video_file import Packet, VideoFile

av = pytest.importorskip("av")
np = pytest.importorskip("numpy")

av.logging.set_level(None)

__all__ = [
    "KINDS",
    "OnlyWrites",
    "audio",
    "copied",
    "decoded_in_full",
    "example",
    "listed",
    "make",
    "picture",
    "pixels_of",
    "with_cover",
    "write_video",
]

SIZE = (64, 48)
KEY_EVERY_10 = {"g": "10", "sc_threshold": "0", "bf": "0"}
FAST = {"g": "10", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
X265 = "log-level=none:pools=1:scenecut=0:min-keyint=10:keyint=10"


def _x264(**more):
    return {"g": "10", "x264-params": ":".join(["scenecut=0:b-adapt=0", *(f"{k}={v}" for k, v in more.items())])}


KINDS = {
    "plain.mp4": {"options": KEY_EVERY_10},
    "b_frames.mp4": {"options": {**_x264(), "bf": "2"}},
    "b_frames.mkv": {"options": {**_x264(), "bf": "2"}},
    "b_frames.ts": {"options": {**_x264(), "bf": "2"}},
    "b_frames.mov": {"options": {**_x264(), "bf": "2"}},
    "pyramid.mp4": {"options": {**_x264(**{"b-pyramid": "normal"}), "bf": "4"}},
    "open_gop.mp4": {"options": {**_x264(**{"open-gop": "1"}), "bf": "3"}},
    "open_gop.mkv": {"options": {**_x264(**{"open-gop": "1"}), "bf": "3"}},
    "open_gop.ts": {"options": {**_x264(**{"open-gop": "1"}), "bf": "3"}},
    "long_gop.mp4": {"options": {"g": "250", "sc_threshold": "0", "bf": "2"}},
    "odd.mp4": {"size": (63, 47), "pixels": "yuv444p", "options": KEY_EVERY_10},
    "one.mp4": {"frames": 1},
    "one.mkv": {"frames": 1},
    "rate.mp4": {"rate": Fraction(30000, 1001), "options": KEY_EVERY_10},
    "rate.mkv": {"rate": Fraction(30000, 1001), "options": KEY_EVERY_10},
    "intra.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "intra.mov": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"g": "10", "bf": "2", "sc_threshold": "1000000000"}},
    "mpeg4.mkv": {"codec": "mpeg4", "options": {"g": "10", "bf": "2", "sc_threshold": "1000000000"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "10", "bf": "2", "sc_threshold": "1000000000"}},
    "mpeg4_plain.avi": {"codec": "mpeg4", "options": KEY_EVERY_10},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"g": "10", "bf": "2", "sc_threshold": "1000000000"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"g": "10", "bf": "2", "sc_threshold": "1000000000"}},
    "vp8.webm": {"codec": "libvpx", "options": FAST},
    "vp8_hidden.webm": {
        "codec": "libvpx",
        "options": {**FAST, "deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "16"},
    },
    "vp9.webm": {"codec": "libvpx-vp9", "options": FAST},
    "vp9.mp4": {"codec": "libvpx-vp9", "options": {**FAST, "deadline": "good", "lag-in-frames": "16"}},
    "vp9_alpha.webm": {"codec": "libvpx-vp9", "pixels": "yuva420p", "options": FAST},
    # below 64×64 this build of x265 writes beyond its memory
    "hevc.mp4": {"codec": "libx265", "size": (64, 64), "options": {"x265-params": f"{X265}:open-gop=0:bframes=2"}},
    "hevc_open.mkv": {"codec": "libx265", "size": (64, 64), "options": {"x265-params": f"{X265}:open-gop=1:bframes=3"}},
    "ffv1.mkv": {"codec": "ffv1", "options": {"g": "10"}},
    "prores.mov": {"codec": "prores_ks", "pixels": "yuv422p10le"},
    "prores_alpha.mov": {"codec": "prores_ks", "pixels": "yuva444p10le", "options": {"profile": "4"}},
    "qtrle_alpha.mov": {"codec": "qtrle", "pixels": "argb", "options": {"g": "10"}},
    "png_alpha.mov": {"codec": "png", "pixels": "rgba"},
    "raw.h264": {"options": KEY_EVERY_10},
    "raw_b_frames.h264": {"options": {**_x264(), "bf": "2"}},
}
"""How each kind of video is written, by the name of its file; all have 30 frames at 25 per second unless they say."""

# Written once as the others are, by libsvtav1 with g=10: run by root, it gives its process real-time priority.
STORED = {"av1.mp4": Path(__file__).parent / "golden" / "av1.mp4"}


def picture(k, size=SIZE):
    """Frame `k` as (height, width, 3) bytes: ramps that move, on a colour that changes."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    blue = np.full((height, width), 31 * k)
    return (np.stack([4 * x + 9 * k, 5 * y + 13 * k, blue], -1) % 256).astype(np.uint8)


def write_video(
    target,
    frames=30,
    *,
    codec="libx264",
    rate=25,
    size=SIZE,
    pixels="yuv420p",
    options=None,
    rotation=0,
    times=None,
    unit=None,
    form=None,
    container_options=None,
):
    """Write a video to a path or a file object; `times` are those of its frames, in units of `unit` seconds."""
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV has no {codec}")
    where = str(target) if isinstance(target, Path) else target
    with av.open(where, "w", format=form, container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.thread_count = 1
        if unit is not None:
            stream.codec_context.time_base = unit
        if rotation:
            stream.set_display_rotation(rotation)
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(k, size), format="rgb24")
            frame.pts = k if times is None else times[k]
            if unit is not None:
                frame.time_base = unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target


def make(folder, kind, **more):
    """The video of a kind, as `folder`/`kind`."""
    if kind in STORED:
        return Path(shutil.copy(STORED[kind], folder / kind))
    return write_video(folder / kind, **{**KINDS[kind], **more})


def example(path, frames, *, rate=25, size=SIZE):
    """A plain video of so many frames, with a key frame every ten."""
    return write_video(path, frames, rate=rate, size=size, options=KEY_EVERY_10)


def listed(times, *, keys=(0,), stored=None, unit=Fraction(1, 25), size=SIZE, lasting=1, codec="h264"):
    """A video that no file holds: times of its frames, in units of `unit` seconds, in the order of `stored`.

    Packet k of frame k takes 100 + k bytes.
    """
    order = range(len(times)) if stored is None else stored
    packets = tuple(Packet(times[frame], frame in keys, 100 + frame) for frame in order)
    told = {"width": size[0], "height": size[1], "rotation": 0, "pixel_format": "yuv420p", "alpha": False}
    return VideoFile("made up", "mp4", codec, **told, time_base=unit, packets=packets, lasting=lasting, nbytes=10**6)


def audio(path, codec="aac"):
    """A file of half a second of sound."""
    with av.open(str(path), "w") as container:
        _tone(container, container.add_stream(codec, rate=16000, layout="mono"))
    return path


def copied(source, target, *, skip=0, earlier=0, change=None, options=None):
    """The frames of a video in another file: without the first `skip` stored ones, shown so many `earlier`.

    `change` gets the number and the bytes of each stored frame, and gives those to store.
    """
    with av.open(str(source)) as whole, av.open(str(target), "w", options=options or {}) as other:
        stream = whole.streams.video[0]
        copy = other.add_stream_from_template(stream)
        for number, packet in enumerate(whole.demux(stream)):
            if number < skip or not packet.size:
                continue
            stored = packet if change is None else av.Packet(change(number, bytes(packet)))
            moved = round(earlier / (25 * packet.time_base))
            stored.time_base, stored.is_keyframe, stored.stream = packet.time_base, packet.is_keyframe, copy
            stored.pts, stored.dts = packet.pts - moved, packet.dts - moved
            other.mux(stored)
    return target


def with_cover(path):
    """A file of sound with a picture of its cover, as shops of music sell them."""
    png = io.BytesIO()
    write_video(png, 1, codec="png", pixels="rgb24", form="image2pipe")
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=16000, layout="mono")
        cover = container.add_stream("png", rate=25)
        cover.width, cover.height, cover.pix_fmt = *SIZE, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(png.getvalue())
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        container.mux(packet)
        _tone(container, sound)
    return path


def _tone(container, stream):
    for k in range(8):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 1000 * k
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


class OnlyWrites:
    """A file that cannot be sought in, such as a pipe: a container's length cannot be written into its beginning."""

    def __init__(self, path):
        self.path = path
        self.path.write_bytes(b"")

    def write(self, data):
        with self.path.open("ab") as file:
            return file.write(data)


def pixels_of(frame):
    """The numbers of a decoded frame, its alpha included."""
    return frame.reformat(format="rgba64le").to_ndarray().tobytes()


def decoded_in_full(path):
    """Every frame that a plain decode of a file shows, in order; a packet that is broken shows none."""
    frames = []
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            with contextlib.suppress(av.error.InvalidDataError):
                frames += packet.decode()
    return frames
