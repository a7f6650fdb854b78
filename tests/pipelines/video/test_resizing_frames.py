"""How large frames become, by hand, and what that costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from videos import listed

from flopcount import count_flops
from flopcount.core.errors import InputError
from flopcount.pipelines.video.needs import Needs
from flopcount.pipelines.video.plan import plan
from flopcount.pipelines.video.preprocessing import Preprocess
from flopcount.pipelines.video.resize import Resize, parse_resize
from flopcount.pipelines.video.sampling import Sampling

CROP = (224, 224)


@pytest.mark.parametrize(
    ("text", "frame", "size"),
    [
        ("short=256", (720, 1280), (256, 455)),  # 1280 · 256 / 720 = 455.1
        ("short=256", (1280, 720), (455, 256)),  # held upright
        ("short=256", (480, 480), (256, 256)),
        ("short=256", (240, 320), (256, 341)),  # small ones grow
        ("256x340", (720, 1280), (256, 340)),
        ("256×340", (720, 1280), (256, 340)),
        (" 256 X340".replace(" ", ""), (720, 1280), (256, 340)),
        ("224*224", (720, 1280), (224, 224)),
        ("", (720, 1280), (224, 398)),  # what the crop fits in: 1280 · 224 / 720 = 398.2
        ("", (1280, 720), (398, 224)),
        ("", (224, 224), (224, 224)),
    ],
)
def test_sizes_by_hand(text, frame, size):
    assert parse_resize(text).size(frame, CROP, "a.mp4") == size


def test_a_crop_that_is_no_square_is_covered_by_the_side_that_is_scarcer():
    """A crop of 100×300 in frames of 720×1280: as wide as it, and 168 high."""
    assert Resize().size((720, 1280), (100, 300), "a.mp4") == (168, 300)
    assert Resize().size((720, 1280), (300, 100), "a.mp4") == (300, 533)


@given(
    height=st.integers(1, 4000), width=st.integers(1, 4000), crop=st.tuples(st.integers(1, 400), st.integers(1, 400))
)
def test_by_default_frames_become_the_smallest_that_a_crop_fits_in(height, width, crop):
    high, wide = Resize().size((height, width), crop, "a.mp4")
    assert high >= crop[0]
    assert wide >= crop[1]
    assert (high == crop[0]) or (wide == crop[1])


@pytest.mark.parametrize(("text", "frame"), [("short=200", (720, 1280)), ("224x200", (720, 1280)), ("1x1", (9, 9))])
def test_a_crop_that_does_not_fit_is_refused(text, frame):
    with pytest.raises(InputError, match=r"a\.mp4 is resized to too little") as caught:
        parse_resize(text).size(frame, CROP, "a.mp4")
    assert dict(caught.value.details)["fix"] == "give --resize short=224 or more, or --resize 224x224"


@pytest.mark.parametrize("text", ["256", "short=", "short=-1", "1x2x3", "axb", "short=0", "0x5"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InputError, match=r"is no size|a frame of 0 pixels"):
        parse_resize(text)


def test_a_size_is_written_as_it_is_read():
    for text in ("short=256", "256x340"):
        assert str(parse_resize(text)) == text


def test_a_frame_that_is_resized_costs_its_bilinear_pixels():
    """Divided by 255 where it is large, and less the mean and by the deviation where it is small."""
    large, small = 3 * 48 * 64, 3 * 24 * 32
    whole = count_flops(Preprocess((24, 32)), (1, 3, 48, 64))
    alone = count_flops(lambda x: functional.interpolate(x, (24, 32), mode="bilinear"), (1, 3, 48, 64))
    assert whole.macs == alone.macs
    assert whole.other_flops - alone.other_flops == large + 2 * small
    assert whole.macs + whole.other_flops > large + 2 * small


def test_a_frame_that_keeps_its_size_is_only_normalised():
    report = count_flops(Preprocess(None), (1, 3, 48, 64))
    assert (report.macs, report.other_flops) == (0, 3 * 3 * 48 * 64)


def test_bytes_of_a_clip_before_and_after():
    made = plan(listed(range(20)), Needs(8, 24, 24), Sampling(8), 3, Resize())
    assert made.size == (24, 32)
    assert made.clip_bytes == 8 * 3 * 48 * 64
    assert made.input_bytes == 4 * 8 * 3 * 24 * 24
    assert str(made.views) == "1×3"
