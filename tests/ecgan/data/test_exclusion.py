"""The list of photos that are left out: what is written is read, whatever the names."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ecgan.data.exclusion import leave_out, list_of, no_effect, read_exclude_list
from ecgan.errors import UserError

ODD = [
    "p1.jpg", "p1.jpg.jpg", "p1", "#1.jpg", " p.jpg", "p .jpg", "p.jpg ", "\tp.jpg", "a\nb.jpg", "a\rb.jpg",
    "a\r\n", "a\u2028b.png", "\u00a0p.png", '"p".png', '"', '"p.jpg"', "a\\b.jpg", "b.jpg", "C:\\p.JPG", "\ufeffp.jpg",
    "ü.jpeg", "日本.png", "p.jpg # grey", "# p.jpg", "..jpg", "...", "a.b.c.png", "p.txt", "'q'.jpg", "\x1b[1m.png",
]  # fmt: skip


def excluded(tmp_path: Path, content: str | bytes, files: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Pairs that the list leaves out of those files, and lines that fit none."""
    (tmp_path / "list.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    found = leave_out(read_exclude_list(tmp_path / "list.txt"), [Path("imgs") / name for name in files])
    return sorted(found.names), found.unknown


@pytest.mark.parametrize("name", ODD)
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    content = list_of([], {name: ["grey: p.jpg\nb.jpg", "twice"]})
    assert excluded(tmp_path, content, ODD) == ([Path(name).stem], ())


def test_what_is_written_is_read_whatever_it_is(tmp_path: Path) -> None:
    draw = random.Random(3)
    alphabet = "ab.jpgPNG #\"'\\ \t\r\n\x0b\x0c\x1c\x85\u2028\ufeffü日\x7f"
    names = {
        "".join(draw.choices(alphabet, k=draw.randint(1, 8))) + draw.choice(["", ".jpg", ".PNG"]) for _ in range(2000)
    }
    names -= {".", ".."}
    listed = draw.sample(sorted(names), 500)
    content = list_of([], {name: [f"grey: {name}"] for name in listed})
    assert excluded(tmp_path, content, sorted(names)) == (sorted({Path(name).stem for name in listed}), ())


@pytest.mark.parametrize(
    ("line", "left_out"),
    [
        ("p1.jpg", "p1"),
        ("p1", "p1"),
        ("  p1.jpg \t", "p1"),
        ("p1.png", "p1"),  # its mask, or a photo that is called otherwise here
        ("p2.jpg", "p2"),  # which is p2.PNG
        ("p3.jpg.jpg", "p3.jpg"),
        ("p3.jpg", "p3"),
        ("imgs/p1.jpg", "p1"),
        ("/data/train/imgs/p1.jpg", "p1"),
        ("imgs\\p1.jpg", "p1"),
        ("C:\\data\\train/imgs\\p1.jpg", "p1"),
        ('"p1.jpg"', "p1"),
        ("# p1.jpg", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lists_that_people_write(tmp_path: Path, line: str, left_out: str | None, end: str, mark: str) -> None:
    files = ["p1.jpg", "p2.PNG", "p3.jpg", "p3.jpg.jpg", "p4.jpg"]
    assert excluded(tmp_path, mark + line + end, files) == ([left_out] if left_out else [], ())


@pytest.mark.parametrize("line", ["p9.jpg", "P1.jpg", "p1.gif", '"C:\\imgs\\p1.jpg"', "p1.jpg # grey", "p1.jpg,grey"])
def test_lines_that_fit_nothing_are_told(tmp_path: Path, line: str) -> None:
    assert excluded(tmp_path, f"{line}\np1.jpg\n", ["p1.jpg"]) == (["p1"], (line,))


def test_a_person_is_told_of_lines_of_no_effect() -> None:
    assert no_effect(["a", "b\x1b", "c", "d"]).endswith(
        "4 line(s) of the exclusion list fit nothing in the set: a, b\\x1b, c, …"
    )


def test_lines_of_another_list_hold_on(tmp_path: Path) -> None:
    content = list_of(['" p.jpg"', "imgs\\b.jpg"], {"c.jpg": ["grey"]})
    assert excluded(tmp_path, content, [" p.jpg", "b.jpg", "c.jpg", "d.jpg"])[0] == [" p", "b", "c"]


@pytest.mark.parametrize("content", [b"\xff\xfep\x001\x00", b"\xe9.jpg\n"])
def test_other_encodings_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UserError, match=r"list\.txt"):
        excluded(tmp_path, content, [])


def test_a_list_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing.txt"):
        read_exclude_list(tmp_path / "nothing.txt")
    with pytest.raises(UserError, match="a folder"):
        read_exclude_list(tmp_path)
