import pytest

from flopcount import Clip, InputError, Protocol, Views
from flopcount.core.protocol import describe_clip, layout_of


@pytest.mark.parametrize("text", ["16x112x112", "16×112×112", "16X112X112", " 16 x 112 x 112 ", (16, 112, 112)])
def test_clips(text):
    clip = Clip.parse(text)
    assert clip == Clip(16, 112, 112)
    assert (str(clip), clip.code, clip.sizes) == ("16×112×112", "16x112x112", (16, 112, 112))
    assert Clip.parse(clip) is clip


@pytest.mark.parametrize(
    "text", ["", "16", "16x112", "16x112x112x3", "16x112x", "axbxc", "16,112,112", "-1x2x3", (1, 2)]
)
def test_malformed_clips(text):
    with pytest.raises(InputError, match="is not frames x height x width\n  fix     write three whole numbers"):
        Clip.parse(text)


def test_empty_clips():
    with pytest.raises(InputError, match="clip 0×2×2 is empty"):
        Clip.parse("0x2x2")


@pytest.mark.parametrize(
    ("given", "views"),
    [(None, (1, 1)), ("10x3", (10, 3)), ("10×3", (10, 3)), (10, (10, 1)), ("4", (4, 1)), ((2, 3), (2, 3))],
)
def test_views(given, views):
    assert Views.parse(given) == Views(*views)
    assert Views.parse(given).count == views[0] * views[1]


@pytest.mark.parametrize("given", ["10y3", "", "1x2x3", (1, 2, 3), (1.5, 2)])
def test_malformed_views(given):
    with pytest.raises(InputError, match="are not CLIPSxCROPS"):
        Views.parse(given)


def test_no_views():
    with pytest.raises(InputError, match="not at least 1x1"):
        Views.parse("0x3")


def test_the_lectures_numbers():
    # 3·16·112·112 bytes; 16 frames at 5 fps; 3·640·480·30·60 and 3·1920·1080·30·60 bytes
    assert describe_clip(Clip(16, 112, 112)) == (
        "clip: 3×16×112×112 = 602,112 bytes as uint8; 3.2 s at 5 fps\n"
        "a minute of raw video at 30 fps: 1.66 GB at 640×480, 11.2 GB at 1920×1080"
    )


@pytest.mark.parametrize(("stride", "ordinal"), [(2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (21, "21st")])
def test_sampling(stride, ordinal):
    text = describe_clip(Clip(10, 8, 8), fps=25, stride=stride)
    assert f"{10 * stride / 25:.3g} s at 25 fps, every {ordinal} frame" in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 0}, "batch is 0"),
        ({"batch": 1.5}, "batch is 1.5"),
        ({"stride": -1}, "stride is -1"),
        ({"fps": 0}, "fps is 0"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"fps": float("inf")}, "fps is inf"),
        ({"fps": "25"}, "fps is '25'"),
    ],
)
def test_a_protocol_that_is_none(wrong, message):
    with pytest.raises(InputError, match=message):
        Protocol(**wrong)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((2, 3, 16, 112, 112), "BCTHW"),
        ((2, 16, 3, 112, 112), "BTCHW"),
        ((2, 3, 4, 112, 112), "BCTHW"),
        ((2, 20, 16, 7, 7), "BCTHW"),
        ((2, 3, 7, 7), "BCHW"),
        ((2, 196, 768), "???"),
        ((), ""),
    ],
)
def test_layouts(shape, layout):
    assert layout_of(shape) == layout
