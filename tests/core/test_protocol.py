import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopcount import Clip, InputError, Protocol, Views
from flopcount.core.protocol import clip_among, describe_clip, layout_of, shared_batch


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
    ("text", "views"),
    [(None, (1, 1)), ("10x3", (10, 3)), ("10×3", (10, 3)), (10, (10, 1)), ("4", (4, 1)), ((2, 3), (2, 3))],
)
def test_views(text, views):
    assert Views.parse(text) == Views(*views)
    assert Views.parse(text).count == views[0] * views[1]


@pytest.mark.parametrize("text", ["10y3", "", "1x2x3", (1, 2, 3), (1.5, 2)])
def test_malformed_views(text):
    with pytest.raises(InputError, match="are not CLIPSxCROPS"):
        Views.parse(text)


def test_no_views():
    with pytest.raises(InputError, match="not at least 1x1"):
        Views.parse("0x3")


def test_a_clip_has_no_duration_without_a_frame_rate():
    assert describe_clip(Clip(16, 112, 112)) == "16×112×112"
    assert describe_clip(Clip(16, 112, 112), stride=2) == "16×112×112, every 2nd frame"
    assert describe_clip(Clip(16, 112, 112), fps=5) == "16×112×112; 3.2 s at 5 fps"  # 16 / 5


@pytest.mark.parametrize(("stride", "ordinal"), [(2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (21, "21st")])
def test_sampling(stride, ordinal):
    text = describe_clip(Clip(10, 8, 8), fps=25, stride=stride)
    assert text == f"10×8×8, every {ordinal} frame; {10 * stride / 25:.3g} s at 25 fps"


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
        ((2, 4, 3, 112, 112), "BTCHW"),  # 4 frames of 3 colours, not 3 frames of RGBA
        ((2, 2, 4, 112, 112), "BCTHW"),
        ((2, 20, 16, 7, 7), "BCTHW"),
        ((2, 3, 7, 7), "BCHW"),
        ((2, 196, 768), "???"),
        ((), ""),
    ],
)
def test_layouts(shape, layout):
    assert layout_of(shape) == layout


@pytest.mark.parametrize(
    ("shapes", "clip"),
    [
        ([(1, 3, 16, 112, 112)], Clip(16, 112, 112)),
        ([(1, 16, 3, 112, 112)], Clip(16, 112, 112)),
        ([(1, 4, 3, 112, 112)], Clip(4, 112, 112)),
        ([(1, 2, 10, 64, 64)], Clip(10, 64, 64)),  # flow
        ([(1, 10, 1, 64, 64)], Clip(10, 64, 64)),  # grey
        ([(1, 4, 16, 32, 32)], None),  # latents of an image autoencoder
        ([(1, 16, 4, 32, 32)], None),
        ([(1, 16, 21, 60, 104)], None),  # latents
        ([(1, 256, 8, 14, 14)], None),  # feature maps
        ([(1, 3, 224, 224)], None),
        ([(1, 1, 80, 3000)], None),  # a spectrogram
        ([(4, 8, 98, 768)], None),
        ([(3, 16, 112, 112)], None),
        ([(1, 3, 0, 112, 112)], None),
        ([], None),
        ([(1, 3, 8, 64, 64), (1, 3, 32, 64, 64)], Clip(32, 64, 64)),  # the fast pathway's
        ([(1, 3, 32, 64, 64), (1, 3, 8, 64, 64)], Clip(32, 64, 64)),
        ([(1, 2, 40, 64, 64), (1, 3, 8, 64, 64)], Clip(8, 64, 64)),  # colours before flow
        ([(1, 16, 21, 60, 104), (1, 512, 4096)], None),
        ([(7,), (1, 3, 8, 64, 64)], Clip(8, 64, 64)),
        ([(1, 64, 16, 16), (1, 1, 48, 16, 16)], None),  # a cost volume beside feature maps
        ([(1, 1, 48, 16, 16), (1, 1, 24, 8, 8)], None),  # a pyramid of them
        ([(1, 64, 16, 16), (1, 3, 48, 16, 16)], Clip(48, 16, 16)),
        ([(1, 1, 8, 64, 64), (1, 1, 32, 64, 64)], Clip(32, 64, 64)),  # pathways in grey
        ([(1, 2, 10, 64, 64), (1, 7, 32)], Clip(10, 64, 64)),  # flow beside text
    ],
)
def test_what_is_a_clip(shapes, clip):
    assert clip_among(shapes) == clip


@pytest.mark.parametrize(
    ("shapes", "batch"),
    [
        ([(2, 3, 16, 8, 8)], 2),
        ([(2, 3, 16, 8, 8), (2, 7), (2,)], 2),
        ([(0, 4), (1, 3, 8, 8)], 1),  # no boxes were found
        ([(), (4, 8)], 4),
        ([(64, 48), (1, 3)], None),  # patches of one picture, and their grid
        ([(7, 2, 4), (1, 2, 5)], None),  # time first
        ([(7, 2, 4)], 7),  # which only the caller can tell from a batch
        ([(1,), (1, 4)], 1),
        ([(0, 3, 8, 8)], None),
        ([(2, 0)], None),
        ([()], None),
        ([], None),
    ],
)
def test_the_batch_is_what_all_inputs_share(shapes, batch):
    assert shared_batch(shapes) == batch


_SHAPES = st.lists(st.lists(st.integers(0, 4), max_size=5).map(tuple), max_size=5)


@given(_SHAPES, st.randoms())
def test_the_order_of_inputs_and_what_is_empty_say_nothing_of_the_batch(shapes, random):
    batch = shared_batch(shapes)
    assert shared_batch(random.sample(shapes, len(shapes))) == batch
    assert shared_batch([*shapes, (), (0,), (5, 0)]) == batch
    assert batch is None or shared_batch([*shapes, (batch + 1, 2)]) is None


@given(_SHAPES)
def test_a_clip_is_an_input_of_five_axes(shapes):
    clip = clip_among(shapes)
    told = [shape for shape in shapes if len(shape) == 5 and 0 not in shape and min(shape[1:3]) <= 3]
    assert clip is None or told
    assert clip is not None or not any(3 in shape[1:3] for shape in told)
    if clip is not None:
        where = {"BCTHW": lambda s: (s[2], *s[3:]), "BTCHW": lambda s: (s[1], *s[3:])}
        assert clip.sizes in [where[layout_of(shape)](shape) for shape in told]
