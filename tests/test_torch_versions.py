"""The report on versions of torch: its page, what pyproject.toml declares, and the parts of its command by hand."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))  # as `python benchmarks/torch_versions.py` does

import torch_environment  # noqa: E402
import torch_versions  # noqa: E402
from torch_environment import Unavailable, libraries_of, pins, source_of, version_script  # noqa: E402
from torch_versions_page import differences, holds, markdown  # noqa: E402

PAGE = ROOT / "reports" / "torch_versions.md"
PUBLISHED = json.loads(PAGE.with_suffix(".json").read_text())
VERSIONS = PUBLISHED["versions"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_page_is_what_the_raw_answers_say():
    assert markdown(PUBLISHED) == PAGE.read_text()


def test_the_oldest_torch_declared_and_the_pinned_one_ran_and_all_hold():
    (newest,) = (version for version, entry in VERSIONS.items() if "newest" in entry["roles"])
    texts = [(ROOT / name).read_text() for name in ("pyproject.toml", "constraints.txt")]
    assert torch_versions.chosen(*texts, newest) == {version: entry["roles"] for version, entry in VERSIONS.items()}
    for version, entry in VERSIONS.items():
        assert holds(entry, VERSIONS[PUBLISHED["pinned"]]), version
        assert entry["torch"].partition("+")[0] == version


def test_the_pythons_declared_are_those_that_ran():
    prefix = "Programming Language :: Python :: "
    declared = {text.removeprefix(prefix) for text in PROJECT["classifiers"] if text.startswith(prefix)}
    assert declared == {entry["python"].rpartition(".")[0] for entry in VERSIONS.values()}


# Choice


def test_a_version_may_be_two_of_them():
    project = '[project]\ndependencies = ["numpy>=2", "torch>=2.9.1"]'
    assert torch_versions.chosen(project, "torch==2.13.0\ntorchinfo==1\n", "2.13.0") == {
        "2.9.1": ["oldest declared"],
        "2.13.0": ["pinned", "newest"],
    }


def test_what_belongs_to_one_torch_is_not_installed_with_another():
    assert pins("# torch==1\ntorch==2\nTorchVision==3\ntorchinfo==4\n\nnumpy==5\n") == ["torchinfo==4", "numpy==5"]


# Verdicts and page


def entry(**changes):
    tests = {"passed": 3, "skipped": [], "failed": [], "exit_code": 0, "said": "3 passed"}
    answers = {"net": {"macs": 7, "params": 2}}
    return {
        "torch": "2.1+cpu", "python": "3.11.1", "cuda": None, "answers": answers, "tests": tests, "roles": ["pinned"],
    } | changes  # fmt: skip


def outcome(**changes):
    return entry()["tests"] | changes


BAD = {"name": "tests.x::y", "why": "assert 1 | 2"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"answers": {"net": {"macs": 8, "params": 2}}}, False),
        ({"answers": {"net": {"failure": "E: x"}}}, False),
        ({"answers": {}}, False),
        ({"tests": outcome(passed=0)}, False),
        ({"tests": outcome(failed=[BAD])}, False),
        ({"tests": outcome(exit_code=3)}, False),
    ],
)
def test_a_version_holds_with_equal_numbers_and_no_failure(changes, expected):
    assert holds(entry(**changes), entry()) is expected


def test_nothing_holds_without_a_run():
    assert not holds({"failure": "pip"}, entry())
    assert not holds(entry(), {"failure": "pip"})


def test_failures_of_the_pinned_torch_are_no_agreement():
    failed = {"net": {"failure": "E: x"}}
    assert differences(entry(answers=failed), entry(answers=failed)) == ["net: `E: x`"]


def test_the_page_says_what_failed_and_what_was_skipped():
    skipped = [{"name": name, "why": "no torchvision"} for name in "ab"]
    versions = {
        "2.0": entry(torch="2.0+cu1", cuda="1", roles=["oldest declared"], answers={"net": {"macs": 8, "params": 2}},
                     tests=outcome(failed=[BAD], skipped=skipped, exit_code=1)),
        "2.1": entry(),
        "2.2": {"failure": "pip: no", "roles": ["newest"]},
    }  # fmt: skip
    page = markdown({
        "command": "python x", "date": "2026-01-01", "flopcount": "1", "tests": ["tests"], "pinned": "2.1",
        "versions": versions,
    })  # fmt: skip
    assert "| 2.0+cu1 | oldest declared | 3.11.1 | CUDA 1, on the CPU | 0 of 1 equal | 3 | 2 | 1 | FAILS |" in page
    assert "| 2.1+cpu | pinned | 3.11.1 | CPU | 1 of 1 equal | 3 | 0 | 0 | holds |" in page
    assert "| 2.2 | newest | – | – | – | – | – | – | not run |" in page
    assert (
        "- **2.0** net: macs 8, not 7\n- **2.0** `tests.x::y`: `assert 1 | 2`\n- **2.2** was not run: `pip: no`" in page
    )
    assert "- **2.0** 2: no torchvision" in page


def test_outcomes_of_tests_are_read_with_the_first_line_of_why():
    cases = ElementTree.fromstring(
        '<suite><testcase classname="a" name="b"/><testcase classname="a" name="c"><failure message="E: x&#10;y"/>'
        '</testcase><testcase classname="a" name="d"><skipped message="no z"/></testcase>'
        '<testcase classname="a" name="e"><error>boom\nmore</error></testcase></suite>'
    )
    assert torch_versions.outcomes(cases) == {
        "passed": 1,
        "skipped": [{"name": "a::d", "why": "no z"}],
        "failed": [{"name": "a::c", "why": "E: x"}, {"name": "a::e", "why": "boom"}],
    }


# The command


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command, with environments that are made up; which versions it asked for."""
    asked = []

    def ran(version, folder, options):
        asked.append((version, options.workers))
        return {"failure": "not here"} if version == "9.9" else entry(torch=version)

    monkeypatch.setattr(torch_versions, "ran", ran)
    out = tmp_path / "versions.md"
    return lambda *words: (torch_versions.main([*words, "--out", str(out)]), asked, out)


def test_page_and_raw_answers_are_written_and_a_failure_is_the_exit_code(run):
    code, asked, out = run("--newest", "9.9", "--workers", "1")
    assert code == 1
    assert asked == [(version, 1) for version in json.loads(out.with_suffix(".json").read_text())["versions"]]
    assert out.read_text() == markdown(json.loads(out.with_suffix(".json").read_text()))
    assert "**9.9** was not run: `not here`" in out.read_text()


def test_the_page_names_what_decides_its_numbers_and_no_folder_of_this_machine(monkeypatch):
    options = torch_versions.parse(["--keep", "--wheels", "/w", "--tests", "a", "b", "--out", "x.md"])
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    assert torch_versions.command_of(options) == f"{torch_versions.SELF} --tests a b --out x.md"
    monkeypatch.setenv("PIP_CONSTRAINT", "/dev/null")
    plain = torch_versions.parse(["--out", "x.md"])
    assert torch_versions.command_of(plain) == f"PIP_CONSTRAINT=/dev/null {torch_versions.SELF} --out x.md"


def test_what_is_kept_is_not_run_again_and_what_failed_is(run):
    assert run("--newest", "9.8", "--keep")[0] == 0
    _, asked, _ = run("--newest", "9.9", "--keep")
    assert [version for version, _ in asked].count("9.8") == 1
    _, asked, _ = run("--newest", "9.9", "--keep")
    assert [version for version, _ in asked].count("9.9") == 2
    assert len(asked) == len({version for version, _ in asked}) + 1


def test_kept_answers_of_other_sources_are_dropped(run, monkeypatch):
    run("--newest", "9.8", "--keep")
    monkeypatch.setattr(torch_versions, "digest", lambda: "other")
    _, asked, _ = run("--newest", "9.8", "--keep")
    assert [version for version, _ in asked].count("9.8") == 2


def test_what_cannot_be_installed_is_an_answer(tmp_path, monkeypatch):
    def refused(*_):
        raise Unavailable("pip: no such torch")

    monkeypatch.setattr(torch_versions, "environment_with", refused)
    assert torch_versions.ran("0", tmp_path, torch_versions.parse(["--out", "x.md"])) == {
        "failure": "pip: no such torch"
    }
    assert list(tmp_path.iterdir()) == []


# Stand-ins

LISTING = """
 0x01 (NEEDED)             Shared library: [libcudart.so.12]
 0x01 (NEEDED)             Shared library: [libnccl.so.2]
 0x01 (NEEDED)             Shared library: [libc.so.6]
   Num:    Value          Size Type    Bind   Vis      Ndx Name
     1: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND cudaMalloc@libcudart.so.12 (2)
     2: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND cudaGetErrorString@libcudart.so.12 (2)
     3: 0000000000000000     0 OBJECT  GLOBAL DEFAULT  UND cudaTable@libcudart.so.12 (2)
     4: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND malloc@GLIBC_2.2.5 (3)
     5: 0000000000000000     0 NOTYPE  GLOBAL DEFAULT  UND ncclSend
     6: 0000000000000000     0 FUNC    GLOBAL DEFAULT   12 ncclOurs
     7: 0000000000000000     0 NOTYPE  GLOBAL DEFAULT  UND PyLong_Type
Version needs section '.gnu.version_r' contains 2 entries:
  000000: Version: 1  File: libcudart.so.12  Cnt: 1
  0x0010:   Name: libcudart.so.12  Flags: none  Version: 2
  0x0020: Version: 1  File: libc.so.6  Cnt: 1
  0x0030:   Name: GLIBC_2.2.5  Flags: none  Version: 3
"""


def test_stand_ins_have_the_symbols_and_versions_that_torch_asks_for():
    found = libraries_of([LISTING])
    assert set(found) == {"libcudart.so.12", "libnccl.so.2"}
    runtime, nccl = found["libcudart.so.12"], found["libnccl.so.2"]
    assert set(nccl.symbols) == {"ncclSend"}
    assert source_of(runtime).splitlines() == [
        'const char *cudaGetErrorString(void) { return "no CUDA here"; }',
        "int cudaMalloc(void) { return 100; }",
        "long cudaTable[64];",
    ]
    assert version_script(runtime) == "libcudart.so.12 { global: cudaGetErrorString; cudaMalloc; cudaTable; };\n"
    assert version_script(nccl) == ""


def test_a_cpu_build_needs_none():
    assert libraries_of([re.sub("lib(cudart|nccl)", "libz", LISTING)]) == {}


@pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("readelf")), reason="gcc and readelf are not installed")
def test_a_library_loads_with_its_stand_in(tmp_path):
    """A library asks another for the number of devices; the other goes, and the stand-in takes its place."""
    (tmp_path / "a.c").write_text("int cudaCount(void) { return 1; }\n")
    (tmp_path / "a.map").write_text("V1 { global: cudaCount; };\n")
    (tmp_path / "b.c").write_text("int cudaCount(void); int ask(void) { return cudaCount(); }\n")
    real, asking = tmp_path / "libcudart.so.1", tmp_path / "libasks.so"
    build = ["gcc", "-shared", "-fPIC", f"-L{tmp_path}", "-Wl,-rpath,$ORIGIN", "-o"]
    script, name = f"-Wl,--version-script={tmp_path / 'a.map'}", f"-Wl,-soname,{real.name}"
    subprocess.run([*build, real, tmp_path / "a.c", script, name], check=True)
    subprocess.run([*build, asking, tmp_path / "b.c", real], check=True)
    real.unlink()
    assert torch_environment._put_stand_ins(tmp_path) == [real.name]
    program = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).ask())"
    done = subprocess.run([sys.executable, "-c", program, asking], capture_output=True, text=True, check=True)
    assert done.stdout == "100\n"
