"""A document in another language says what the English one says: what can be held to be equal, is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest
from conftest import ROOT

#: What has to be there in every language that a README is in.
PAGES = ("training.md", "experiments.md", "slurm.md", "migration.md")
LANGUAGES = [path.name.split(".")[1] for path in sorted(ROOT.glob("README.*.md"))]


def english(path: Path) -> Path:
    """The English original of a document: of README.LANG.md and of docs/LANG/NAME.md; itself, if it is that."""
    for language in LANGUAGES:
        if path.name == f"README.{language}.md":
            return path.with_name("README.md")
        if path.parent == ROOT / "docs" / language:
            return ROOT / "docs" / path.name
    return path


def translated(path: Path, language: str) -> Path:
    """Where the translation of an English document would lie."""
    if path == ROOT / "README.md":
        return ROOT / f"README.{language}.md"
    return ROOT / "docs" / language / path.name if path.parent == ROOT / "docs" and path.suffix == ".md" else path


TRANSLATIONS = [
    path
    for language in LANGUAGES
    for path in [ROOT / f"README.{language}.md", *sorted((ROOT / "docs" / language).glob("*.md"))]
]

LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
SPAN = re.compile(r"`([^`]+)`")
OPTION = re.compile(r"(?<![\w-])--[A-Za-z][\w-]*")
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
#: What is remarked beside a line of code: after #, or in a second and last column.
REMARK = re.compile(r"\s+#.*$|(?<=\S)\s{2,}(?!.*\S\s{2,}\S).*$")


@dataclass
class Section:
    """What of a section doesn't depend on its language. Numbers may be more than the other's, which writes words."""

    level: int
    title: str = field(compare=False)
    code: list[str] = field(default_factory=list)
    rows: list[list[list[str]]] = field(default_factory=list)
    paragraphs: int = 0
    items: int = 0
    spans: set[str] = field(default_factory=set)
    options: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)


def sections(text: str, folder: Path) -> Iterator[Section]:
    """What `text`, a document in `folder`, has, section by section; the line with the languages is left out."""
    section, fence, prose = Section(0, ""), None, list[str]()
    for line in [*text.splitlines()[1:], "# "]:
        if line.startswith("```"):
            fence = line.strip("`") if fence is None else None
            section.code.append(line)
        elif fence == "":  # What a program prints, in its own language.
            section.code.append(line)
        elif fence is not None or line.startswith("    "):
            section.code.append(REMARK.sub("", line))
        elif line.startswith("#"):
            _read_prose("\n".join(prose), section, folder)
            yield section
            section, prose = Section(line.index(" "), line), []
        else:
            section.paragraphs += bool(line) and not (prose and prose[-1])
            prose.append(line)
            section.items += line.startswith("- ")
            if line.startswith("|"):
                section.rows.append([sorted(SPAN.findall(cell)) for cell in re.split(r"(?<!\\)\|", line)[1:-1]])


def _read_prose(prose: str, section: Section, folder: Path) -> None:
    section.links = {_place(target, folder) for target in LINK.findall(prose)}
    prose = LINK.sub("", prose)
    section.options = set(OPTION.findall(prose))
    section.spans = {" ".join(span.split()) for span in SPAN.findall(prose)}
    section.numbers = set(NUMBER.findall(SPAN.sub("", prose)))


def _place(target: str, folder: Path) -> str:
    return target if ":" in target else str(english((folder / target).resolve()))


def differences(original: str, translation: str, folder: Path, translated_folder: Path) -> list[str]:
    """What one of them has and the other lacks, in words."""
    ours, theirs = list(sections(original, folder)), list(sections(translation, translated_folder))
    if [each.level for each in ours] != [each.level for each in theirs]:
        return [f"headings: {[each.title for each in ours]} and {[each.title for each in theirs]}"]
    found = []
    for one, other in zip(ours, theirs, strict=True):
        if one.numbers <= other.numbers:
            other.numbers = one.numbers
        for name in (each.name for each in fields(Section) if each.compare):
            left, right = getattr(one, name), getattr(other, name)
            if left != right:
                if isinstance(left, set):
                    left, right = sorted(left - right), sorted(right - left)
                elif isinstance(left, list):
                    left, right = (
                        [each for each in left if each not in right],
                        [each for each in right if each not in left],
                    )
                found.append(f"{one.title} | {other.title}: {name}: {left} against {right}")
    return found


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_both_languages_say_the_same(path: Path) -> None:
    original = english(path)
    found = differences(original.read_text(), path.read_text(), original.parent, path.parent)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_first_lines_lead_to_the_other_language(path: Path) -> None:
    for one, other in ((path, english(path)), (english(path), path)):
        first = one.read_text().splitlines()[0]
        assert other.resolve() in [(one.parent / target).resolve() for target in LINK.findall(first)], one


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_stay_in_the_language_where_there_is_a_translation(path: Path) -> None:
    language = path.name.split(".")[1] if path.parent == ROOT else path.parent.name
    for target in LINK.findall(path.read_text().split("\n", 1)[1]):
        place = (path.parent / target).resolve()
        assert place == translated(place, language) or not translated(place, language).exists(), target


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_what_a_user_needs(language: str) -> None:
    assert "zh-CN" in LANGUAGES
    assert not [page for page in PAGES if not (ROOT / "docs" / language / page).is_file()]


ORIGINAL = """English
# Heading

Take `--shards 8`, or see [a page](page.md); Python 3.12.

    python launch/generate.py --shards 8    # in parts

    label_to_img.json    a list
    step 60  2.5 pictures/s  lr 0.0002

| option | what |
| --- | --- |
| `--seed S` | the seed |
| `--noise X` | how much |

- one

A second paragraph.
"""


@pytest.mark.parametrize(
    ("gone", "instead", "named"),
    [
        ("# Heading\n", "", "headings"),
        ("`--shards 8`", "`--shards`", "spans"),
        ("`--shards 8`", "--shards", "spans"),
        ("`--shards 8`", "", "options"),
        ("(page.md)", "(other.md)", "links"),
        ("3.12", "3.13", "numbers"),
        ("    python launch/generate.py --shards 8    # in parts\n", "", "code"),
        ("generate.py --shards 8  ", "generate.py  ", "code"),
        ("label_to_img.json ", "", "code"),
        ("  2.5 pictures/s", "  2.5 images/s", "code"),
        ("| `--noise X` | how much |\n", "", "rows"),
        ("`--noise X`", "`--noise Y`", "rows"),
        ("| `--seed S` | the seed |", "| the seed | `--seed S` |", "rows"),
        ("- one\n", "", "items"),
        ("\nA second paragraph.\n", "", "paragraphs"),
    ],
)
def test_what_one_language_lacks_is_found(gone: str, instead: str, named: str) -> None:
    assert gone in ORIGINAL
    lacking = ORIGINAL.replace(gone, instead)
    for pair in ((ORIGINAL, lacking), (lacking, ORIGINAL)):
        assert any(named in found for found in differences(*pair, ROOT, ROOT)), pair


def test_words_may_differ() -> None:
    words = {
        "Heading": "标题",
        "Take": "用",
        "or see": "或者看",
        "a page": "一页",
        "in parts": "分片",
        "the seed": "种子",
    }
    other = ORIGINAL
    for word, instead in words.items():
        other = other.replace(word, instead)
    assert not differences(ORIGINAL, other, ROOT, ROOT)
