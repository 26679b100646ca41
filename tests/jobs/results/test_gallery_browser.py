"""The gallery in a real browser: 1,000 rows open at once, and sorting, filtering and scrolling do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from conftest import draw_mask, draw_photo
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.palette import class_name
from jobs.results.gallery.page import Entry, gallery

pytestmark = pytest.mark.process

ROWS = 1000
#: What a person does, step by step; the page is given time to draw after each.
ACTIONS = """
<script>
window.errors = [];
window.addEventListener("error", event => window.errors.push(String(event.message)));
</script>
@PAGE@
<script>
(async () => {
  const rows = () => [...document.querySelectorAll(".row")].sort((a, b) => a.offsetTop - b.offsetTop);
  const names = () => rows().map(row => row.querySelector("b").textContent);
  const count = () => document.getElementById("count").textContent;
  const change = (id, values) => {
    const element = typeof id === "string" ? document.getElementById(id) : id;
    Object.assign(element, values);
    element.dispatchEvent(new Event("input", {bubbles: true}));
  };
  const drawn = () => new Promise(done => setTimeout(done, 60));
  const report = {begin: names(), drawn: rows().length, count: count()};
  window.scrollTo(0, document.body.scrollHeight / 2);
  window.dispatchEvent(new Event("scroll"));  // without a screen, frames and their events may not come
  report.scrolled = names();
  window.scrollTo(0, 0);
  window.dispatchEvent(new Event("scroll"));
  change("sort", {value: "0"});
  report.lowest = names().slice(0, 3);
  change("descending", {checked: true});
  report.highest = names().slice(0, 3);
  const [from, to] = document.querySelectorAll("#limits input");
  change(from, {value: "0.5"});
  report.from = count();
  change(to, {value: "0.6"});
  report.between = count();
  document.querySelector("form").reset();
  await drawn();
  report.reset = count();
  change("name", {value: "row 0099"});
  report.named = names();
  change("name", {value: ""});
  document.querySelector("#legend button").click();
  report.legend = document.querySelector("#legend button").textContent;
  report.withClass = count();
  report.image = rows()[0].querySelector("img").naturalWidth;
  report.columns = [...rows()[0].querySelectorAll("figcaption")].map(each => each.textContent);
  report.errors = window.errors;
  document.body.innerHTML = "";
  const out = document.createElement("pre");
  out.id = "report";
  out.textContent = JSON.stringify(report);
  document.body.append(out);
})();
</script>
"""


def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium is installed (Debian: apt-get install chromium): the page can't be seen in a browser")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    program, folder = browser(), tmp_path_factory.mktemp("page")
    for number in range(4):
        Image.fromarray(draw_photo(number)).save(folder / f"{number}.jpg")
        Image.fromarray(draw_mask(number, classes=29)).save(folder / f"{number}.png")
    entries = [
        Entry(
            f"row {i:04}",
            folder / f"{i % 4}.png",
            folder / f"{i % 4}.jpg",
            [folder / f"{(i + 1) % 4}.jpg", folder / ("none.jpg" if i % 2 else "0.jpg")],
            {"style": None if i == 7 else ((i * 37) % ROWS) / ROWS, "mask accuracy": 0.5},
        )
        for i in range(ROWS)
    ]
    page, _ = gallery("both", ["mine", "theirs"], entries, ModelConfig(), folder)
    path = folder / "driven.html"
    path.write_text(ACTIONS.replace("@PAGE@", page), encoding="utf-8")
    command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,900"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=10000", "--dump-dom", path.as_uri()]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    match = re.search(r'<pre id="report">(.*?)</pre>', seen, re.DOTALL)
    assert match, seen[-2000:]
    return dict(json.loads(match[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")))


def test_only_what_is_in_sight_is_drawn(report: dict[str, Any]) -> None:
    assert report["errors"] == [] and report["count"] == f"{ROWS} pictures"
    assert report["begin"][:3] == ["row 0000", "row 0001", "row 0002"] and report["drawn"] < 20
    assert report["columns"] == ["mask", "reference", "mine", "theirs"] and report["image"] > 0
    middle = [int(name.removeprefix("row ")) for name in report["scrolled"]]
    assert len(middle) < 30 and middle == list(range(middle[0], middle[0] + len(middle))) and 450 < middle[0] < 550


def test_sorting_and_filtering(report: dict[str, Any]) -> None:
    style = {f"row {i:04}": (i * 37) % ROWS for i in range(ROWS) if i != 7}
    by_style = sorted(style, key=style.__getitem__)
    assert report["lowest"] == by_style[:3] and report["highest"] == by_style[:-4:-1]
    assert report["from"] == f"{sum(value >= 500 for value in style.values())} of {ROWS} pictures"
    assert report["between"] == f"{sum(500 <= value <= 600 for value in style.values())} of {ROWS} pictures"
    assert report["reset"] == f"{ROWS} pictures" and report["named"] == ["row 0099"]


def test_a_class_of_the_legend_chooses_masks(report: dict[str, Any]) -> None:
    lowest = min(int(draw_mask(i).min()) for i in range(4))
    having = sum(lowest in draw_mask(i) for i in range(4))
    assert report["legend"] == class_name(lowest)
    wanted = ROWS * having // 4
    assert report["withClass"] == (f"{ROWS} pictures" if wanted == ROWS else f"{wanted} of {ROWS} pictures")
