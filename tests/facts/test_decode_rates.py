"""Rates of decoding: every row has its source and a physical rate, and a codec has its range."""

import re
from itertools import pairwise

import pytest

from flopcount.core.errors import InputError
from flopcount.facts import (
    CODECS,
    DECODERS,
    DecodeRate,
    decode_rate_row,
    decode_rates,
    decode_share_row,
    decode_shares,
    published_rates,
)
from flopcount.facts.rows import read

RATE = next(row for _, row in read("decode_rates.csv"))
SHARE = next(row for _, row in read("decode_shares.csv"))
PRINTED_MS = re.compile(r"printed as ([\d.]+) ms per frame")
PRINTED_S = re.compile(r"printed as (\d+) frames in ([\d.]+) s")


@pytest.mark.parametrize("row", [*decode_rates(), *decode_shares()], ids=lambda row: f"{row.device}, {row.locator}")
def test_every_row_is_sourced(row):
    assert re.fullmatch(r"https://[^\s/]+\.[^\s]+", row.url)
    if "/blob/" in row.url:
        assert re.search("/blob/[0-9a-f]{40}/", row.url), "a file of a repository is cited at a commit"
    assert row.locator
    assert not row.secondary


@pytest.mark.parametrize("rate", decode_rates(), ids=lambda rate: f"{rate.device}, {rate.locator}")
def test_every_rate_is_physical(rate):
    assert rate.decoder in DECODERS
    assert rate.codec in CODECS
    assert 1e6 < rate.pixels_per_s < 1e11
    assert rate.pixels_per_s == pytest.approx(rate.frames_per_s * rate.height * rate.width, rel=1e-15)
    assert 144 <= rate.height <= rate.width <= 3840
    assert rate.bit_depth in (None, 8, 10)
    assert rate.threads is None or (1 <= rate.threads <= 256 and rate.decoder == "software")


def test_a_rate_printed_as_a_time_is_its_inverse():
    derived = 0
    for rate in decode_rates():
        if found := PRINTED_MS.search(rate.notes):
            expected = 1000 / float(found[1])
        elif found := PRINTED_S.search(rate.notes):
            expected = int(found[1]) / float(found[2])
        else:
            continue
        derived += 1
        assert rate.frames_per_s == pytest.approx(expected, rel=1e-5)
    assert derived == 12


def test_each_place_of_a_source_is_one_row():
    places = [(row.url, row.locator) for row in (*decode_rates(), *decode_shares())]
    assert len(places) == len(set(places))


def test_more_threads_decode_faster():
    """Each device that was measured with several numbers of threads, by one source and of one video."""
    of_device: dict[tuple[str, ...], list[DecodeRate]] = {}
    for rate in decode_rates():
        if rate.threads is not None:
            of_device.setdefault((rate.url, rate.device, rate.codec), []).append(rate)
    several = [rates for rates in of_device.values() if len(rates) > 1]
    assert len(several) == 5
    for rates in several:
        rates.sort(key=lambda rate: rate.threads)
        speeds = [rate.frames_per_s for rate in rates]
        assert speeds == sorted(speeds)
        for slow, fast in pairwise(rates):  # a little more than linear is the clock's noise
            assert fast.frames_per_s / slow.frames_per_s < 1.1 * fast.threads / slow.threads


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("codec", CODECS)
def test_rates_of_a_codec_are_a_range(codec, decoder):
    rates = published_rates(codec, decoder)
    assert {rate.codec for rate in rates} <= {codec}
    assert {rate.decoder for rate in rates} <= {decoder}
    assert sorted(rates, key=lambda rate: rate.pixels_per_s) == list(rates)
    assert bool(rates) == (codec != "mpeg4")  # no source was found for it


def test_published_rates_are_all_of_them():
    parts = [rate for codec in CODECS for decoder in DECODERS for rate in published_rates(codec, decoder)]
    assert len(parts) == len(decode_rates()) == 86
    assert set(parts) == set(decode_rates())


def test_the_range_of_h264_in_software_by_hand():
    low, *_, high = published_rates("h264")
    assert (low.program, low.frames_per_s, low.height, low.width) == ("PyAV", 131.28890020387848, 360, 640)
    assert low.pixels_per_s == pytest.approx(131.28890020387848 * 360 * 640)
    assert (high.device, high.frames_per_s, high.pixels_per_s) == ("M4 Pro", 1839, 1839 * 1080 * 1920)


def test_the_engines_of_a_generation_decode_more_of_it_than_the_last():
    """NVIDIA's own table: from Pascal to Blackwell each codec but H.264 (Turing before Ampere) gets faster."""
    generations = ("Pascal", "Turing", "Ampere", "Ada", "Blackwell")
    table = {(r.codec, r.bit_depth, r.device): r.frames_per_s for r in decode_rates() if r.program == "NVDECODE API"}
    assert len(table) == 33
    assert table["h264", None, "Turing"] == 771
    assert table["h264", None, "Ampere"] == 748
    for codec, depth in {key[:2] for key in table} - {("h264", None)}:
        speeds = [table[codec, depth, name] for name in generations if (codec, depth, name) in table]
        assert speeds == sorted(speeds)


def test_an_unknown_codec_has_no_rate_and_an_unknown_decoder_is_refused():
    assert published_rates("prores") == ()
    with pytest.raises(InputError, match="decoder is 'gpu'") as error:
        published_rates("h264", "gpu")
    assert "choose software or NVDEC" in str(error.value)


def test_decoding_and_resizing_take_most_of_a_small_networks_time():
    on_gpu = [share for share in decode_shares() if share.device == "Tesla V100 16G"]
    assert len(on_gpu) == len(decode_shares()) - len(on_gpu) == 14
    for share in decode_shares():
        assert share.preprocess_ms + share.inference_ms == pytest.approx(share.total_ms, abs=0.02)  # printed digits
        assert 0 < share.share < 1
        assert share.device in ("Tesla V100 16G", share.cpu)
    small = [share.share for share in on_gpu if "TSM" in share.network or share.network == "SlowFast"]
    assert min(small) == pytest.approx(0.744, abs=0.001)  # PP-TSM with ResNet-101
    assert max(small) == pytest.approx(0.940, abs=0.001)  # PP-TSM with MobileNetV2
    (slowfast,) = (share for share in on_gpu if share.network == "SlowFast")
    assert slowfast.share == pytest.approx(99.27 / 126.67)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": ""}, "a fact without url\n  in      here, line 7"),
        ({"locator": ""}, "a fact without locator\n  in      here, line 7"),
        ({"url": "a paper"}, "'a paper' is not the url of a source\n  in      here, line 7"),
        ({"device": ""}, "a fact without device\n  in      here, line 7"),
        ({"frames_per_s": ""}, "a fact without frames_per_s\n  in      here, line 7"),
        ({"frames_per_s": "-1"}, "frames_per_s is '-1', not a number above 0\n  in      here, line 7"),
        ({"frames_per_s": "fast"}, "frames_per_s is 'fast', not a number above 0\n  in      here, line 7"),
        ({"height": "1080p"}, "height is '1080p', not a whole number above 0\n  in      here, line 7"),
        ({"width": "0"}, "width is '0', not a whole number above 0\n  in      here, line 7"),
        ({"threads": "all"}, "threads is 'all', not a whole number above 0\n  in      here, line 7"),
        ({"bit_depth": "8.5"}, "bit_depth is '8.5', not a whole number above 0\n  in      here, line 7"),
        ({"codec": "H.264"}, "codec is 'H.264'\n  in      here, line 7\n  fix     choose h264, hevc, vp9, av1, mpeg4"),
        ({"decoder": "gpu"}, "decoder is 'gpu'\n  in      here, line 7\n  fix     choose software, NVDEC"),
        ({"secondary": "maybe"}, "secondary is 'maybe'\n  in      here, line 7\n  fix     choose yes, no"),
    ],
)
def test_a_rate_that_cannot_be_trusted_is_refused(change, message):
    with pytest.raises(InputError) as error:
        decode_rate_row("here, line 7", {**RATE, **change})
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": ""}, "a fact without url\n  in      here, line 7"),
        ({"total_ms": ""}, "a fact without total_ms\n  in      here, line 7"),
        ({"preprocess_ms": "0"}, "preprocess_ms is '0', not a number above 0\n  in      here, line 7"),
        ({"secondary": "?"}, "secondary is '?'\n  in      here, line 7\n  fix     choose yes, no"),
    ],
)
def test_a_share_that_cannot_be_trusted_is_refused(change, message):
    with pytest.raises(InputError) as error:
        decode_share_row("here, line 7", {**SHARE, **change})
    assert str(error.value).startswith(message)
