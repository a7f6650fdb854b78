"""Write every report of this folder that comes from counts, all or nothing: `python reports/write.py`, or some by name.

With `--check` nothing is written: exit code 1 where a text or its data would be written otherwise, versions aside
(pictures are not compared: fonts differ from one machine to the next). Tests check each report by the same functions.
What is measured or surveyed for many minutes has commands of its own, which README.md names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib

matplotlib.use("agg")

from flopcount.commands.catalogue_tables import rules_table
from flopcount.core.model_spec import ModelSpec
from flopcount.core.protocol import Clip, Protocol, Views
from flopcount.output.atomic_files import write_files
from flopcount.publishing.comparison import compare
from flopcount.publishing.cost_report import cost_report
from flopcount.publishing.lecture_systems import COMMON_CLIP, count_systems
from flopcount.publishing.pages import report_pictures, report_texts
from flopcount.publishing.pages.comparison import comparison_pictures, comparison_texts
from flopcount.publishing.pages.lecture import lecture_pictures, lecture_texts
from flopcount.verification import placebo, published_report, verify_published

FOLDER = Path(__file__).parent
_VERSIONS = re.compile(r'flopcount \S+, torch \S+|^- versions: .*$|"(flopcount|torch)": "\d[^"]*"', re.MULTILINE)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Written:
    """What one report consists of: path below this folder -> text; and what draws its pictures."""

    texts: dict[str, str]
    draw: Callable[[], dict[str, bytes]] = field(default=dict)


def rules(say: Say) -> Written:
    return Written({"rules.md": rules_table().to_markdown() + "\n"})


def lecture(say: Say) -> Written:
    systems = count_systems(progress=say)
    texts = lecture_texts(systems, COMMON_CLIP, "flopcount lecture --out DIR")
    return Written(texts, lambda: lecture_pictures(systems, COMMON_CLIP))


def published(say: Say) -> Written:
    verdicts = verify_published(progress=say)
    return Written({"published.md": published_report(verdicts, placebo(verdicts, progress=say))})


def accuracy(dataset: str) -> Callable[[Say], Written]:
    """Cost against accuracy on a data set, or against error on a benchmark of optical flow."""

    def report(say: Say) -> Written:
        comparison = compare(dataset=dataset, progress=say)
        texts = comparison_texts(comparison, f"flopcount compare --dataset {dataset} --out DIR")
        return Written(texts, lambda: comparison_pictures(comparison))

    return report


def c3d(say: Say) -> Written:
    costs = [cost_report(ModelSpec("c3d", Clip(16, 112, 112)), Protocol(Views(10, 1)), progress=say)]
    texts = report_texts(costs, "flopcount report c3d --clip 16x112x112 --views 10x1 --out DIR")
    return Written(texts, lambda: report_pictures(costs))


REPORTS = {
    "rules": rules,
    "lecture": lecture,
    "published": published,
    **{dataset: accuracy(dataset) for dataset in ("kinetics400", "kinetics600", "kinetics700", "ssv2", "sintel_final")},
    "c3d": c3d,
}


def stale(written: Written) -> list[str]:
    """Texts that differ from those here, versions aside, and texts in their folders that belong to no report."""
    differing = [path for path, text in written.texts.items() if _here(path) != _VERSIONS.sub("", text)]
    folders = {FOLDER / Path(path).parent for path in written.texts} - {FOLDER}
    there = {str(path.relative_to(FOLDER)) for folder in folders for path in folder.glob("*.*")}
    left = {path for path in there if Path(path).suffix not in (".png", ".svg", ".pdf")} - set(written.texts)
    return [*differing, *sorted(left)]


def _here(path: str) -> str | None:
    file = FOLDER / path
    return _VERSIONS.sub("", file.read_text()) if file.is_file() else None


def main(words: Sequence[str]) -> int:
    check, names = "--check" in words, [word for word in words if word != "--check"]
    if not set(names) <= set(REPORTS):
        print(__doc__, f"The reports are {', '.join(REPORTS)}.", sep="\n", file=sys.stderr)
        return 2
    found = {}
    for name in names or REPORTS:
        print(name, file=sys.stderr)
        found[name] = REPORTS[name](lambda text: None)
    if check:
        wrong = [path for written in found.values() for path in stale(written)]
        print("\n".join(f"stale: {path}" for path in wrong) or "all fresh", file=sys.stderr)
        return int(bool(wrong))
    files: dict[Path, bytes] = {}
    for written in found.values():
        files |= {FOLDER / path: text.encode() for path, text in written.texts.items()}
        files |= {FOLDER / path: content for path, content in written.draw().items()}
    write_files(files, folders=True)
    print(f"wrote {len(files)} files", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
