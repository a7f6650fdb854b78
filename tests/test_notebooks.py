"""The notebooks of examples/ are executed, and their results are counted again."""

import json
import re
from pathlib import Path

import pytest

from flopcount import Clip, compare, count_model

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbconvert")
from generators.notebooks import notebook_page  # noqa: E402  (of docs/, which needs nbconvert)

EXAMPLES = Path(__file__).parent.parent / "examples"
VERSIONS = re.compile(r"versions: [^<\n]*")
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def executed(name, found):
    """The notebook after every cell has run, and the values of some expressions there.

    Its page in the docs is as it would be written now, versions aside.
    """
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    pairs = ", ".join(f"{key!r}: {expression}" for key, expression in found.items())
    notebook.cells.append(nbformat.v4.new_code_cell(f"import json; print('found', json.dumps({{{pairs}}}))"))
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    last = notebook.cells[-1].outputs[0].text
    del notebook.cells[-1]
    page, pictures = notebook_page(notebook, name)
    folder = EXAMPLES.parent / "docs" / "gallery"
    written = (folder / f"{name}.md").read_text()
    assert VERSIONS.sub("", written) == VERSIONS.sub("", page), "stale: python docs/write.py"
    assert {str(path.relative_to(folder)) for path in (folder / name).iterdir()} == set(pictures)
    return notebook.cells, json.loads(last.removeprefix("found "))


def shown(cells, kind):
    return "\n".join(
        output.data[kind]
        for cell in cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "data" in output and kind in output.data
    )


def printed(cells):
    return "\n".join(
        output.text
        for cell in cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream"
    )


def pictures(cells):
    return sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", ()))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs_and_its_prose_without_numbers(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
        else:
            names = re.sub(r"\w*[A-Za-z]\w*", "", cell.source)  # C3D is a name
            assert not re.search(r"\d", names), cell.source


@pytest.mark.slow
def test_what_does_c3d_cost():
    pytest.importorskip("ipykernel")
    cells, found = executed(
        "what_does_c3d_cost",
        {
            "macs": "report.macs",
            "connected": "connected",
            "total": "report.macs + (kernel.numel() - 1) * connected",
            "wrong": "[row.fact.item for row in slide if row.holds is False]",
            "form": "form.macs(T=32, H=112, W=112)",
            "agrees": "check.agrees",
        },
    )
    report = count_model("c3d", options={"pool5_padding": False})
    connected = 4608 * 4096 + 4096 * 4096 + 4096 * 487
    assert (found["macs"], found["connected"]) == (report.macs, connected)
    assert found["total"] == report.macs + 26 * connected
    assert found["wrong"] == ["FC6", "FC7", "FC8", "total", "VGG-16", "C3D / VGG-16", "heading MFLOPs"]
    assert found["form"] == count_model("c3d", clip=Clip(32, 112, 112), options={"pool5_padding": False}).macs
    assert found["agrees"]
    assert f"{report.macs:,}" in printed(cells)
    for item, macs in (("FC6", 4608 * 4096), ("FC7", 4096 * 4096), ("FC8", 4096 * 487)):
        assert f"{item}: counted {macs:,}; times 27: {27 * macs:,}; printed " in printed(cells)
    assert printed(cells).count(": True") == 3
    assert pictures(cells) == 1
    assert '<div class="flopcount"' in shown(cells, "text/html")


@pytest.mark.slow
def test_choosing_a_video_model():
    pytest.importorskip("ipykernel")
    cells, found = executed(
        "choosing_a_video_model",
        {
            "networks": "networks",
            "budget": "budget_macs",
            "best": "str(best)",
            "views": "views",
            "clips": "fit.clips",
            "counted": "counted",
            "sweep": "[[str(row.configuration['model']), row.configuration['size'], row.macs] for row in result.rows]",
        },
    )
    rows = compare(found["networks"]).rows
    assert {row.name for row in rows} == set(found["networks"])  # some have a row for each kind of pre-training
    affordable = [row for row in rows if row.macs_per_video <= found["budget"] and row.pretrain == "none"]
    assert 2 <= len(affordable) < len(rows)
    assert found["best"] == max(affordable, key=lambda row: row.score).name
    for frames, side, macs in found["clips"]:
        assert macs * found["views"] <= found["budget"]
        assert count_model(found["best"], clip=Clip(frames, side, side)).macs == macs
    assert found["counted"] == found["clips"][0][2]
    assert {name for name, _, _ in found["sweep"]} == {row.name for row in affordable}
    for name, side, macs in found["sweep"]:
        assert macs == count_model(name, clip=Clip(16, side, side)).macs
    assert pictures(cells) == 3
