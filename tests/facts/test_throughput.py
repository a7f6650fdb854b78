"""Measured throughput: types, and what every row must hold."""

import pytest

from flopcount.core.errors import InputError
from flopcount.facts import MeasuredThroughput, devices, throughput_row, throughput_rows
from flopcount.facts.rows import read

ROW = next(row for _, row in read("measured_throughput.csv.gz"))


def test_the_first_row_by_hand():
    assert throughput_rows()[0] == MeasuredThroughput(
        device="rtx-3090",
        dtype="amp",
        mode="infer",
        compile=False,
        layout="nchw",
        torch="pt113",
        model="mobilenetv3_small_050",
        family="mobilenetv3",
        img_size=224,
        batch=1024,
        params_m=1.59,
        samples_per_s=45562.8,
        source="huggingface/pytorch-image-models@aa4b585 results/benchmark-infer-amp-nchw-pt113-cu117-rtx3090.csv",
    )


def test_every_row_is_plausible():
    rows = throughput_rows()
    assert len(rows) == 12_958
    assert {row.device for row in rows} <= {device.name for device in devices()}
    assert {row.mode for row in rows} == {"infer", "train"}
    assert {row.layout for row in rows} == {"nchw", "nhwc"}
    assert {row.dtype for row in rows} == {"fp32", "bf16", "amp", "amp_bf16"}
    assert len({row.family for row in rows}) == 48
    for row in rows:
        assert 32 <= row.img_size <= 1024
        assert 1 <= row.batch <= 2048
        assert 0.1 < row.params_m < 10_000
        assert 0.01 < row.samples_per_s < 2e6


def test_source_and_columns_agree():
    """The table's name says mode, dtype, layout and whether it was compiled, independently of the columns."""
    for row in throughput_rows():
        repository, _, table = row.source.partition(" ")
        assert repository == "huggingface/pytorch-image-models@aa4b585"
        words = table.removeprefix("results/").removesuffix(".csv").split("-")
        assert words[:3] == ["benchmark", row.mode, row.dtype]
        assert row.layout in words
        assert row.torch in words
        assert row.compile == ("dynamo" in words)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": ""}, "a fact without source\n  in      here, line 7"),
        ({"compile": "jit"}, "compile is 'jit'\n  in      here, line 7\n  fix     choose eager, dynamo"),
        ({"batch": "1.5"}, "batch is '1.5', not a whole number above 0\n  in      here, line 7"),
        ({"samples_per_s": "fast"}, "samples_per_s is 'fast', not a number above 0\n  in      here, line 7"),
    ],
)
def test_a_row_that_cannot_be_trusted_is_refused(change, message):
    with pytest.raises(InputError) as error:
        throughput_row("here, line 7", {**ROW, **change})
    assert str(error.value).startswith(message)
