"""Counting what others wrote: the survey itself on made-up libraries, and real ones where they are installed."""

import csv
import importlib.util
import os
import re
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from modules import flops_by_torch
from typer.testing import CliRunner

from flopcount import InputError, UnknownNameError, count_flops
from flopcount.analysis.survey import Survey, SurveyRow, named_models, renewed, survey, survey_of_csv
from flopcount.cli import app
from flopcount.core.model_spec import ModelSpec
from flopcount.models.libraries.transformers import transformers_library
from flopcount.models.loading import find_model
from flopcount.tracing import weightless

run = CliRunner().invoke
ALL = os.environ.get("FLOPCOUNT_ALL_LIBRARIES") == "1"


def installed(*libraries):
    """Whether these are installed; where all must be, a missing one is a failure and not a skip."""
    return ALL or all(importlib.util.find_spec(library) for library in libraries)


def needs(*libraries):
    return pytest.mark.skipif(not installed(*libraries), reason=f"needs {', '.join(libraries)}")


# Made-up libraries

TIMM = """
import types
from torch import nn

class Odd(nn.Module):
    def forward(self, x):
        raise {"Stop": SystemExit, "Deep": RecursionError, "Full": MemoryError}[self.why](f"no {self.why}")

models = types.SimpleNamespace(get_pretrained_cfg=lambda name: types.SimpleNamespace(input_size=(3, 8, 8)))
list_models = lambda: ["net_a", "net_b", "net_stop", "net_deep", "net_full", "other"]

def create_model(name, pretrained, **options):
    print("noise of the library")
    if name == "other":
        raise ValueError("line one 17\\nline two")
    if name in ("net_stop", "net_deep", "net_full"):
        module = Odd()
        module.why = name[4:].title()
        return module
    if "width" in options:
        raise ValueError("no such option")
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
"""


@pytest.fixture
def timm(package):
    """A package of that name for the length of a test."""
    package("timm", TIMM)


def test_it_goes_on_whatever_happens(timm):
    heard = []
    result = survey(named_models("timm"), "timm", heard.append)
    assert heard == [f"timm:{n}" for n in ("net_a", "net_b", "net_deep", "net_full", "net_stop", "other")]
    rows = {row.name: row for row in result.rows}
    assert rows["timm:net_a"].macs == 1920
    assert rows["timm:net_a"].params == 1930
    assert [row.name for row in result.rows if row.counted] == ["timm:net_a", "timm:net_b"]
    assert "no Full" in rows["timm:net_full"].problem
    assert rows["timm:other"].problem == "raised ValueError: line one 17"
    assert rows["timm:other"].macs is None
    assert not result.complete
    assert result.table().notes[0] == "attempted 6, counted 2, failed 4"


def test_options_are_tried_in_turn_and_the_row_says_which_served(timm):
    """net_a has no option `width`: without it the model is counted."""
    wide = {"options": {"width": [2, 2]}}
    tries = [
        (ModelSpec("timm:net_a", **wide), ModelSpec("timm:net_a")),
        (ModelSpec("timm:other"), ModelSpec("timm:other", **wide)),
    ]
    first, second = survey(tries, "timm").rows
    assert (first.macs, first.input) == (1920, "1×3×8×8")
    assert second.problem == "raised ValueError: line one 17"  # the reason with the fewest options
    (given,) = survey([(ModelSpec("timm:net_b", options={"bias": [1, 1]}), ModelSpec("timm:net_b"))], "timm").rows
    assert given.input == "1×3×8×8, bias=2 × 1"


def test_the_command_writes_all_rows_and_fails_where_one_did(timm, tmp_path):
    out = tmp_path / "out.csv"
    result = run(app, ["survey", "timm:net_?", "timm:other", "--format", "csv", "--write", str(out)])
    assert result.exit_code == 1
    assert "noise" not in result.stdout
    assert "attempted 3, counted 2, failed 1" in result.stderr
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [(row["model"], row["MACs"]) for row in rows] == [
        ("timm:net_a", "1920"),
        ("timm:net_b", "1920"),
        ("timm:other", ""),  # a model without a count has no number
    ]
    assert run(app, ["survey", "timm:net_a"]).exit_code == 0


def test_reasons_are_grouped():
    rows = (
        SurveyRow("a", macs=1),
        SurveyRow("b", problem="Sizes 3 and 4 of 'x'"),
        SurveyRow("c", problem="Sizes 5 and 61 of 'y'"),
        SurveyRow("d", macs=1, uncosted=("lib.op",)),
    )
    assert Survey("all", rows).table().notes == (
        "attempted 4, counted 1, failed 3",
        "2 × Sizes N and N of …",
        "1 × uncosted: lib.op",
    )


def test_the_summary_has_a_row_per_library(timm, tmp_path):
    page = tmp_path / "summary.md"
    assert run(app, ["survey", "timm:net_*", "zoo:x3d_xs", "--summary", str(page)]).exit_code == 1
    text = page.read_text()
    assert "| timm | 5 | 2 | 3 |" in text
    assert "| zoo | 1 | 1 |  |" in text
    assert "- 1 × Odd raised MemoryError: no Full" in text


def test_what_is_not_there_is_said(timm):
    with pytest.raises(UnknownNameError, match="no library named 'timn'\n  near    timm"):
        named_models("timn")
    with pytest.raises(InputError, match="no model of timm matches 'vit\\*'\n  fix     timm has 6 models"):
        named_models("timm:vit*")


def test_the_zoo_can_be_surveyed():
    result = run(app, ["survey", "zoo:x3d_*", "--format", "csv"])
    assert result.exit_code == 0
    assert [line.partition(",")[0] for line in result.stdout.splitlines()[1:]] == [
        *("x3d_xs", "x3d_s", "x3d_m", "x3d_l", "x3d_xl"),
    ]


# Real ones


def check_model(name):
    """Counted strictly; whether torch's counter could run too, and then equal to it."""
    module = weightless(find_model(ModelSpec(name)))
    inputs = [(1, *shape) for shape in module.recipe.inputs]
    report = count_flops(module, tuple(inputs), strict=True)
    assert report.macs > 0, name
    try:
        theirs = flops_by_torch(module, inputs) // 2
    except Exception:  # torch's counter runs the module on meta tensors, which not every module survives
        theirs = None
    assert theirs in (None, report.macs), name
    return theirs is not None


def timm_families():
    """The module of timm that models are defined in -> one of them with a small model's name."""
    if importlib.util.find_spec("timm") is None:
        return {}
    models = named_models("timm")  # which makes torchvision importable first
    from timm.models._registry import _model_to_module

    families = defaultdict(list)
    for name in (spec.name for spec, *_ in models):
        families[_model_to_module[name.removeprefix("timm:")]].append(name)
    large = re.compile("huge|giant|large|so400m|_xl|xxl|_big")
    return {family: min(names, key=lambda n: (bool(large.search(n)), len(n), n)) for family, names in families.items()}


@pytest.mark.slow
@needs("timm")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.audit)])
def test_families_of_timm(compared, every):
    """Each counted strictly, every shape of ours beside torch's, and the whole beside torch's counter."""
    families = timm_families()
    assert len(families) > 80
    names = list(families.values())[::every]
    by_torch = sum(map(check_model, names))
    assert len(compared) > 10 * len(names)
    assert by_torch > 0.8 * len(names)


WHOLE = ["pytorchvideo:[!s]*", "torchvision:*3d*", "torchvision:mvit*", "torchvision:*_mobilenet_*"]


@needs("torchvision", "pytorchvideo")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", WHOLE)
def test_whole_libraries(what, compared):
    result = survey(named_models(what), what)
    assert [row for row in result.rows if not row.counted] == []
    assert len(result.rows) > 1


@needs("pytorchvideo")
@pytest.mark.filterwarnings("ignore")
def test_detectors_of_pytorchvideo_want_boxes_and_fail_with_a_reason():
    result = survey(named_models("pytorchvideo:slow*"), "slow*")
    assert {row.name: row.problem for row in result.rows if not row.counted} == {
        f"pytorchvideo:slow{fast}_r50_detection": "takes boxes besides its clip" for fast in ("", "fast")
    }


KINDS = [
    "ViTForImageClassification",  # encoder of images
    "ConvNextForImageClassification",  # convolutional
    "BertForMaskedLM",  # encoder
    "GPT2LMHeadModel",  # decoder
    "LlamaForCausalLM",  # decoder whose mask is computed
    "T5ForConditionalGeneration",  # encoder and decoder
    "MixtralForCausalLM",  # mixture of experts
    "MambaForCausalLM",  # state space
    "Wav2Vec2ForCTC",  # sound
    "WhisperForConditionalGeneration",  # spectrograms, encoder and decoder
    "VivitForVideoClassification",
]
ODD_KINDS = [
    "T5ForSequenceClassification",  # searches for the end of the text
    "ConvNextBackbone",  # whose default has tuples where it adds lists
    "FunnelForMaskedLM",  # whose depth follows from its blocks
    "EsmForMaskedLM",  # whose default has no vocabulary
    "BambaForCausalLM",  # whose cache has no attention layer
    "Siglip2ForImageClassification",  # patches with their extents
    "GraniteSpeech5ForCTC",  # spectra stacked before they enter
    "LayoutLMv3ForSequenceClassification",  # text on a picture
    "GotOcr2ForConditionalGeneration",  # a picture in the text
    "VoxtralForConditionalGeneration",  # sound in the text, for which its default has no token
    "XmodForMaskedLM",  # a language must be set
    "SpeechT5ForSpeechToText",  # sound, although it knows mel bins
    "Wav2Vec2BertForSequenceClassification",  # spectrograms of its own width
    "Wav2Vec2ConformerForCTC",  # a vocabulary is left open
    "MinistralForCausalLM",  # the width of a head is left open
]


@needs("transformers")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*KINDS, *(pytest.param(name, marks=pytest.mark.slow) for name in ODD_KINDS)])
def test_kinds_of_transformers(name, compared):
    result = survey(named_models(f"transformers:{name}"), name)
    (row,) = result.rows
    assert row.counted, row
    assert row.macs > 0
    assert row.engine == "meta"


@needs("transformers")
@pytest.mark.filterwarnings("ignore")
def test_attention_costs_the_same_in_either_implementation():
    transformers_library()
    from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

    small = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 50,
    }
    tokens = {"input_ids": torch.zeros(2, 9, dtype=torch.int64)}
    for build, config in ((BertModel, BertConfig), (LlamaForCausalLM, LlamaConfig)):
        costs = set()
        for implementation in ("eager", "sdpa"):
            module = build(config(**small, attn_implementation=implementation)).eval()
            costs.add(count_flops(module, tokens, strict=True).macs)
        assert len(costs) == 1


@needs("transformers")
@pytest.mark.filterwarnings("ignore")
def test_with_past_keys_a_token_costs_a_token():
    """One more token: every linear layer once, attention over all tokens so far."""
    transformers_library()
    from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, vocab_size=50
    )
    module = LlamaForCausalLM(config).eval()
    past = DynamicCache()
    for layer in range(2):
        past.update(torch.zeros(1, 4, 9, 16), torch.zeros(1, 4, 9, 16), layer)
    one = {"input_ids": torch.zeros(1, 1, dtype=torch.int64), "past_key_values": past}
    linear = 2 * (4 * 64 * 64 + 3 * 64 * 96) + 64 * 50
    assert count_flops(module, one, strict=True).macs == linear + 2 * 2 * (9 + 1) * 64


def test_a_library_is_renewed_in_a_file_and_the_others_stay(tmp_path):
    file, page = tmp_path / "survey.csv", tmp_path / "survey.md"
    heading = "model,input,params,MACs,other,engine,problem,assumed"
    file.write_text(
        f"{heading}\nc3d,old,1,2,3,meta,,\ngone,old,1,2,3,meta,,\ntimm:net_a,old,4,5,6,meta,,a guess\ntimm:b,,,,,,no,\n"
    )
    rows = survey_of_csv(file.read_text(), "it")
    assert [row.name for row in rows] == ["c3d", "gone", "timm:net_a", "timm:b"]
    assert (rows[3].macs, rows[3].counted, rows[2].macs) == (None, False, 5)
    whole = renewed(rows, Survey("zoo", (SurveyRow("x3d_s", "new", 7, 8, 9, "meta"),)))
    assert [(row.name, row.macs) for row in whole.rows] == [("x3d_s", 8), ("timm:net_a", 5), ("timm:b", None)]
    assert whole.what == "zoo, timm"
    assert survey_of_csv(whole.table().to_csv() + "\n", "it") == whole.rows
    before = file.read_text()
    for words, message in (
        (["zoo", "--into", str(file), "--write", str(page)], "--into and --write both name the file"),
        (["zoo:c3d", "--into", str(file)], "zoo:c3d is part of a library"),
        (["zoo", "--into", str(tmp_path / "none.csv")], "cannot be read"),
    ):
        result = run(app, ["survey", *words])
        assert result.exit_code == 2
        assert message in result.stderr
    for text in ("a,b\n1,2\n", f"{heading}\nc3d,in,many,2,3,meta,,\n"):
        with pytest.raises(InputError, match=r"it (is no survey|has a malformed row)"):
            survey_of_csv(text, "it")
    assert file.read_text() == before


COMMITTED = Path(__file__).parent.parent.parent / "reports" / "survey.csv"


def committed_rows():
    """A model of every third of each library, as the committed survey has it."""
    libraries = defaultdict(list)
    for row in csv.DictReader(COMMITTED.read_text().splitlines()):
        if not row["problem"]:
            libraries[row["model"].rpartition(":")[0]].append(row)
    return [rows[len(rows) * part // 3] for rows in libraries.values() for part in range(3)]


@needs("torchvision", "pytorchvideo", "timm", "transformers")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", committed_rows(), ids=lambda row: row["model"])
def test_the_committed_survey_is_what_is_counted_today(row):
    (fresh,) = survey(named_models(row["model"] if ":" in row["model"] else f"zoo:{row['model']}"), "one").rows
    assert [str(value) for value in (fresh.params, fresh.macs, fresh.other_flops, fresh.engine)] == [
        row["params"],
        row["MACs"],
        row["other"],
        row["engine"],
    ]
