"""launch/experiment.py: chains in which stages only pretend, and one that is trained, painted, scored and killed."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, DataFolder, Teller, commands, in_process, wait_until, write_pairs

from ecgan.lines import append_line
from jobs.experiment import progress, tree
from jobs.experiment.chains import Chain, load
from jobs.run import lock, record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.train import resume
from jobs.train.pairs import find_pairs
from jobs.train.plan import TrainPlan
from jobs.train.standing import Standing
from launch import cancel, chains

SCRIPT = ROOT / "launch/experiment.py"
SMALL = {"size": "64x32", "ngf": 4, "ndf": 4, "num_upsampling_layers": "normal", "lambda_vgg": 0, "batch_size": 2}


class Pretended:
    """A command that makes at once what the stage would make, or fails where it is told to, after two looks at it.

    Every start is noted in `begun`, as "STAGE VARIANT seed-S OPTIONS"; `meanwhile` is done while it is at work;
    `code`: the status of one that fails.
    """

    begun: list[str] = []
    fails: dict[str, str] = {}
    meanwhile: dict[str, Callable[[], object]] = {}
    at_work = most = 0
    untold: set[str] = set()
    code = 1

    def __init__(
        self, module: str, options: Sequence[str], _: object, log: Path, __: object = (), **___: object
    ) -> None:
        self._stage = module.removeprefix("launch.")
        self._values = yaml.safe_load(Path(options[1]).read_text())
        self._chain = Path(options[1]).parent
        self._log, self._looks, self._ended, self._asked = log, 0, False, False
        flags = [word for word in options[2:] if word.startswith("--no_resume")]
        Pretended.begun.append(" ".join([self._stage, self._chain.parent.name, self._chain.name, *flags]))
        Pretended.untold |= {self._stage} if "--notify none" in " ".join(options) else set()
        Pretended.at_work += 1
        Pretended.most = max(Pretended.most, Pretended.at_work)

    @property
    def status(self) -> int | None:
        self._looks += 1
        if self._looks == 1 and (do := Pretended.meanwhile.pop(f"{self._stage} {self._chain.parent.name}", None)):
            do()
        if self._looks < 3:
            return None
        if not self._ended:
            self._ended = True
            Pretended.at_work -= 1
            reason = Pretended.fails.get(f"{self._stage} {self._chain.parent.name}")
            self._code = 75 if self._asked else self._fail(reason) if reason else self._make()
        return self._code

    def ask_to_stop(self) -> None:
        self._asked = True

    def wait(self) -> int:
        return self.status or 0

    def _fail(self, reason: str) -> int:
        with open(self._log, "a") as file:
            file.write(f"error: {reason}\n")
        return self.code

    def _make(self) -> int:
        made = json.dumps([self._values, self._read("training/states/step-00000001/checkpoint.json")])
        if self._stage == "gallery":
            (self._chain / "results.html").write_text(made)
            return 0
        file, kind, run = {
            "train": ("training/states/step-00000001/checkpoint.json", Kind.TRAINING, "training"),
            "generate": ("results/manifest.json", Kind.GENERATION, "results.run"),
            "score": ("results.score/score.json", Kind.SCORING, "results.score"),
        }[self._stage]
        (self._chain / file).parent.mkdir(parents=True, exist_ok=True)
        seed = int(self._chain.name.removeprefix("seed-"))
        score = {"style": {"rgb": 0.5 + 0.1 * seed}, "fid": {"value": 50.0}, "total": None}
        (self._chain / file).write_text(json.dumps(score) if self._stage == "score" else made)
        RunDir(self._chain / run).create()
        record.begin(RunDir(self._chain / run), kind, State.DONE, total=3, done=3, images_per_second=2.0)
        return 0

    def _read(self, name: str) -> str:
        path = self._chain / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> type[Pretended]:
    Pretended.begun, Pretended.fails, Pretended.meanwhile, Pretended.at_work, Pretended.most = [], {}, {}, 0, 0
    monkeypatch.setattr(chains, "Command", Pretended)
    monkeypatch.setattr(chains, "_TICK", 0.001)
    return Pretended


class Folder:
    """A folder with data and an experiment's file."""

    def __init__(self, path: Path, **values: Any) -> None:
        self.path, self.file = path, path / "try.yaml"
        data = DataFolder(path, 3, path)
        write_pairs(path / "set", 3)
        self.values: dict[str, Any] = {
            "train": SMALL | {"input_path": str(path / "set"), "device": "cpu"},
            "generate": {"input_path": str(data.references.parent), "img_path": str(data.photos), "device": "cpu"},
            "score": {"device": "cpu"},
            "gallery": {},
        }
        self.write(**values)

    @property
    def home(self) -> Path:
        return self.path / (self.values.get("folder") or "experiments/try")

    def write(self, **values: Any) -> None:
        self.values |= values
        self.file.write_text(yaml.safe_dump({name: value for name, value in self.values.items() if value is not None}))

    def run(self, *options: object) -> subprocess.CompletedProcess[str]:
        return in_process([sys.executable, SCRIPT, self.file, *options], self.path)

    def chains(self) -> dict[str, Chain]:
        return {f"{chain.variant} {chain.seed}": chain for chain in load(RunDir(self.home).plan)}

    def states(self, name: str) -> list[str]:
        return [str(each.state) for each in progress.states(self.chains()[name], alive=False)]

    def table(self) -> dict[str, Any]:
        return {row["variant"]: row for row in json.loads((self.home / "table.json").read_text())["variants"]}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "with 'quotes'", variants={"a": None, "b": {"train": {"lr": 0.1}}})


def test_a_dry_run_says_all_and_does_nothing(folder: Folder, pretended: type[Pretended]) -> None:
    done = folder.run("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "2 chains of train, generate, score, gallery" in done.stdout and "train.lr 0.1" in done.stdout
    assert str(folder.home / "variants/b/seed-0/training") in done.stdout
    assert not folder.home.exists() and not pretended.begun


def test_faults_of_all_variants_are_one_message_before_anything_is_done(folder: Folder) -> None:
    wrong = {"c": {"train": {"batch_size": 50}}, "d": {"train": {"init_checkpoint": "nowhere"}}}
    folder.write(variants={"a": None, **wrong}, score={"aesthetic": "none.py"})
    (folder.path / "data/train/imgs/photo1.jpg").unlink()
    done = folder.run()
    assert done.returncode == 2 and "4 fault(s)" in done.stderr
    for words in ("c: train: --batch_size 50", "d: train: checkpoint nowhere", "photo1.jpg", "none.py"):
        assert words in done.stderr, words
    assert not folder.home.exists()


def test_every_chain_is_done_one_after_the_other(folder: Folder, pretended: type[Pretended]) -> None:
    done = folder.run()
    assert done.returncode == 0, done.stderr
    stages = ("train", "generate", "score", "gallery")
    assert pretended.begun == [f"{stage} {name} seed-0" for name in ("a", "b") for stage in stages]
    assert pretended.most == 1
    told = record.read(RunDir(folder.home))
    assert (told.kind, told.state, told.done, told.total) == (Kind.EXPERIMENT, State.DONE, 8, 8)
    assert (folder.home / "code/launch/train.py").is_file() and (folder.home / "config.yaml").is_file()
    for chain in folder.chains().values():
        train = yaml.safe_load((chain.folder / "train.yaml").read_text())
        assert train["run_dir"] == str(chain.training) and train["ngf"] == 4


def test_so_many_chains_at_once_as_asked_for(folder: Folder, pretended: type[Pretended]) -> None:
    folder.write(seeds=[0, 1, 2], at_once=3)
    assert folder.run().returncode == 0
    assert pretended.most == 3 and len(pretended.begun) == 24


def test_the_same_command_does_what_is_new_changed_or_gone_and_says_which(
    folder: Folder, pretended: type[Pretended]
) -> None:
    folder.run()
    pretended.begun.clear()
    assert folder.run().returncode == 0 and not pretended.begun

    folder.write(seeds=[0, 1])
    folder.run()
    assert {line.split()[2] for line in pretended.begun} == {"seed-1"} and len(pretended.begun) == 8

    pretended.begun.clear()
    folder.write(variants={"a": None, "b": {"train": {"lr": 0.2}}})
    done = folder.run()
    assert {line.split()[1] for line in pretended.begun} == {"b"} and len(pretended.begun) == 8
    assert "lr 0.1 -> 0.2" in done.stdout

    pretended.begun.clear()
    folder.write(generate=folder.values["generate"] | {"noise": 0.0, "shards": 3})
    done = folder.run()
    assert {line.split()[0] for line in pretended.begun} == {"generate", "score", "gallery"}
    assert "noise 1.0 -> 0.0" in done.stdout and "shards" not in done.stdout

    pretended.begun.clear()
    (folder.chains()["a 1"].folder / "results.score/score.json").unlink()
    done = folder.run()
    assert pretended.begun == ["score a seed-1"]  # it came out as it was, so the page is of it still
    told = record.read(RunDir(folder.home))
    assert (done.returncode, told.state, told.done, told.total) == (0, State.DONE, 16, 16)

    pretended.begun.clear()
    folder.write(variants={"a": None})
    done = folder.run()
    assert not pretended.begun and "variants/b/seed-0" in done.stdout  # which is no longer of it, and is left alone


def test_a_chain_that_fails_stops_no_other_and_what_depends_on_it_says_so(
    folder: Folder, pretended: type[Pretended]
) -> None:
    pretended.fails = {"generate a": "no room left"}
    done = folder.run()
    assert done.returncode == 1 and "no room left" in done.stderr and "not done: score, gallery" in done.stderr
    assert folder.states("a 0") == ["done", "failed", "blocked", "blocked"]
    assert folder.states("b 0") == ["done"] * 4
    told = record.read(RunDir(folder.home))
    assert (told.state, told.done, told.failed) == (State.INCOMPLETE, 5, 1)
    assert folder.table()["a"]["state"] == "generate failed" and not folder.table()["a"]["means"].get("style")

    pretended.begun.clear()
    pretended.fails = {}
    done = folder.run()
    assert done.returncode == 0 and "failed: no room left" in done.stdout
    assert pretended.begun == [f"{stage} a seed-0" for stage in ("generate", "score", "gallery")]


def test_a_page_that_can_not_be_made_anew_is_a_failure(folder: Folder, pretended: type[Pretended]) -> None:
    """Though there is one, of the pictures of before."""
    folder.run()
    pretended.fails = {"gallery a": "no room left"}
    folder.write(generate=folder.values["generate"] | {"noise": 0.0})
    done = folder.run()
    assert done.returncode == 1 and "gallery failed: no room left" in done.stderr
    assert folder.states("a 0") == ["done"] * 3 + ["failed"]


def test_what_is_done_needs_its_data_no_more(folder: Folder, pretended: type[Pretended]) -> None:
    folder.run()
    shutil.rmtree(folder.path / "set")
    pretended.begun.clear()
    folder.write(variants={"a": None, "b": {"train": {"lr": 0.1}, "generate": {"noise": 0.0}}})
    done = folder.run()
    assert done.returncode == 0, done.stderr
    assert pretended.begun == [f"{stage} b seed-0" for stage in ("generate", "score", "gallery")]
    folder.write(seeds=[0, 1])
    done = folder.run()
    assert done.returncode == 2 and "a, b: train:" in done.stderr and str(folder.path / "set") in done.stderr


def test_every_stage_may_save_though_how_it_ended_can_not_be_noted(
    folder: Folder, pretended: type[Pretended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is not waited for is told to end a second time when we end, and saves nothing."""
    folder.write(at_once=2)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def interrupt() -> None:
        monkeypatch.setattr(progress, "end", full)
        raise KeyboardInterrupt

    pretended.meanwhile = {"train a": interrupt}
    done = folder.run()
    assert done.returncode == 1 and "No space left" in done.stderr and pretended.at_work == 0


def test_an_option_that_a_record_of_before_does_not_have_is_a_change_if_it_is_used(
    folder: Folder, pretended: type[Pretended]
) -> None:
    folder.run()
    file = folder.chains()["b 0"].record
    noted = json.loads(file.read_text())
    del noted["train"]["settings"]["lambda_lecam"]
    file.write_text(json.dumps(noted))
    pretended.begun.clear()
    assert folder.run().returncode == 0 and not pretended.begun
    folder.write(variants={"a": None, "b": {"train": {"lr": 0.1, "lambda_lecam": 0.5}}})
    assert "changed: lambda_lecam 0.0 -> 0.5" in folder.run().stdout
    assert pretended.begun[0] == "train b seed-0"


def test_an_experiment_that_was_moved_is_the_same(folder: Folder, pretended: type[Pretended]) -> None:
    """With the data that it has drawn."""
    data = {"train": SMALL | {"device": "cpu"}, "generate": {"device": "cpu"}}
    folder.write(**data, drawn={"pairs": 2, "masks": 1, "size": "64x32"}, variants={"a": None})
    pretended.fails = {"score a": "x"}
    folder.run()
    before = folder.home
    folder.write(folder="elsewhere")
    now = before.rename(folder.home)
    shown = other(folder, "status", "elsewhere").stdout
    assert "2 of 4 stages done" in shown and "score     failed" in shown
    pretended.begun.clear()
    pretended.fails = {}
    assert folder.run().returncode == 0 and pretended.begun == ["score a seed-0", "gallery a seed-0"]
    assert not before.exists()
    [chain] = load(RunDir(now).plan)
    assert chain.home == now and str(before) not in json.dumps(chain.settings)


def test_a_folder_whose_name_is_no_utf_8(tmp_path: Path, pretended: type[Pretended]) -> None:
    folder = Folder(tmp_path / os.fsdecode(b"M\xc3\xbcller \xff"), variants={"a": None})
    folder.write(train={**SMALL, "input_path": "set", "device": "cpu"})
    data = {"input_path": "data/test", "img_path": "data/train/imgs", "device": "cpu"}
    folder.write(generate=data, folder=".")  # the page is called as the folder is
    done = folder.run()
    assert done.returncode == 0, done.stderr
    (folder.path / "set").rename(folder.path / "other")
    folder.write(train=folder.values["train"] | {"input_path": "other"})  # a reason with that name in it
    done = folder.run()
    assert done.returncode == 0 and len(pretended.begun) == 8, done.stderr
    assert "a, seed 0: 4 of 4" in other(folder, "status", ".").stdout
    assert "table.html" in done.stdout and "\\udcff" in (folder.home / "table.html").read_text()


def test_a_moved_training_that_was_ended_at_once_still_goes_on(
    folder: Folder, pretended: type[Pretended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it had written its plan anew, which has the data that was drawn where that was."""
    data = {"train": SMALL | {"device": "cpu"}, "generate": None, "score": None, "gallery": None}
    folder.write(**data, drawn={"pairs": 2, "masks": 1, "size": "64x32"}, variants={"a": None})
    folder.run()
    [chain] = folder.chains().values()
    pretend_state(chain, monkeypatch)
    before = folder.home
    folder.write(folder="elsewhere", train=folder.values["train"] | {"max_steps": 5})
    before.rename(folder.home)
    pretended.begun.clear()
    record.update(RunDir(folder.chains()["a 0"].training), State.STOPPED)
    pretended.fails = {"train a": "ended at once"}
    for _ in range(2):
        assert folder.run().returncode == 1
    assert pretended.begun == ["train a seed-0"] * 2


def test_a_training_on_a_set_that_has_other_photos_now_begins_anew(
    folder: Folder, pretended: type[Pretended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own command would refuse to go on."""
    folder.write(variants={"a": None}, generate=None, score=None, gallery=None)
    folder.run()
    [chain] = folder.chains().values()
    pretend_state(chain, monkeypatch)
    pretended.begun.clear()
    folder.write(train=folder.values["train"] | {"max_steps": 5})
    folder.run()
    for name in ("imgs/p0.jpg", "labels/p0.png"):
        path = folder.path / "set" / name
        shutil.copy(path, path.with_stem("another"))
    folder.write(train=folder.values["train"] | {"max_steps": 6})
    folder.run()
    assert pretended.begun == ["train a seed-0", "train a seed-0 --no_resume"]


def pretend_state(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the training has one, of what its set is now."""
    settings = chain.typed("train")
    plan = TrainPlan(settings, find_pairs(settings, chain.training / "none").pairs, "cpu", 1)
    plan.save(RunDir(chain.training).plan)
    saved = Standing(1, 1, 1.0, None, None, resume.identity(plan))
    monkeypatch.setattr(resume, "_newest", lambda run: (run.states, saved, ()))


def test_the_table_has_means_and_spreads_over_seeds(folder: Folder, pretended: type[Pretended]) -> None:
    folder.write(seeds=[0, 1], variants={"a": None, "b": {"train": {"lr": 0.1}}})
    folder.run()
    row = folder.table()["a"]
    assert row["means"]["style"] == pytest.approx(0.55) and row["spreads"]["style"] == pytest.approx(0.0707, abs=1e-4)
    assert row["means"]["images_per_second"] == 2 and row["state"] == "done" and row["means"]["steps"] == 3
    assert [seed["scores"]["fid"] for seed in row["seeds"]] == [50, 50]
    assert folder.table()["b"]["differs"] == {"train.lr": 0.1}
    head, first, _ = (folder.home / "table.csv").read_text().splitlines()
    assert head.startswith("variant,state,seeds,style,style_spread,fid,") and first.startswith("a,done,2,0.55,0.0707")
    again = folder.run("--table")
    assert again.returncode == 0 and re.search(r"a +0.5500 ±0.0707", again.stdout)


def test_a_table_whose_files_can_not_be_written_is_shown_and_says_so(
    folder: Folder, pretended: type[Pretended]
) -> None:
    folder.run()
    (folder.home / "table.csv").unlink()
    (folder.home / "table.csv").mkdir()
    done = folder.run("--table")
    assert done.returncode == 0 and "a      " in done.stdout and "table.html" not in done.stdout
    assert "table.csv" in done.stderr


def test_the_table_works_before_while_and_after(folder: Folder, pretended: type[Pretended]) -> None:
    before = folder.run("--table")
    assert before.returncode == 0 and before.stdout.count("train planned") == 2 and not folder.home.exists()
    folder.write(folder="data")  # where there is something else
    assert folder.run("--table").returncode == 0 and not (folder.path / "data/table.json").exists()
    folder.write(folder=None)
    pretended.fails = {"score b": "x"}
    folder.run()
    with lock.held(RunDir(folder.home)):  # somebody is at work
        record.update(RunDir(folder.home), State.RUNNING)
        during = folder.run("--table")
    assert during.returncode == 0 and "score failed" in during.stdout


def test_the_best_comes_first(folder: Folder, pretended: type[Pretended]) -> None:
    folder.write(variants={"worse": None, "better": {"train": {"lr": 0.1}}, "unknown": {"train": {"lr": 0.2}}})
    pretended.fails = {"score unknown": "x"}
    folder.run()
    score = folder.chains()["better 0"].folder / "results.score/score.json"
    score.write_text(json.dumps({"style": {"rgb": 0.9}, "fid": {"value": 20.0}}))
    noted = json.loads(folder.chains()["better 0"].record.read_text())
    noted["score"]["made"] = progress.sha256_of(score)
    folder.chains()["better 0"].record.write_text(json.dumps(noted))
    folder.run("--table")
    assert list(folder.table()) == ["better", "worse", "unknown"]


def test_the_page_has_numbers_differences_curves_and_the_same_pictures_of_all(
    folder: Folder, pretended: type[Pretended]
) -> None:
    folder.write(seeds=[0, 1])
    folder.run()
    for number, chain in enumerate(folder.chains().values()):
        shutil.copy(folder.path / "data/train/imgs/photo0.jpg", chain.results / "m000.jpg")
        if number != 2:  # one of them lacks it
            shutil.copy(folder.path / "data/train/imgs/photo1.jpg", chain.results / "m001.jpg")
        for step in (1, 2, 3):
            append_line(RunDir(chain.training).metrics, {"step": step, "epoch": 1, "GAN": number + step, "lr": 1})
    folder.run("--table")
    text = (folder.home / "table.html").read_text()
    assert "<script" not in text and "http" not in text.replace('xmlns="http', "")  # needs nothing else
    assert text.count("<img") == 2 * 4 - 1 and "missing" in text
    assert '<td class="other">0.1</td>' in text and "<th>train.lr</th>" in text and "train.run_dir" not in text
    assert text.count('class="smooth"') == 4 and "GAN over steps" in text
    assert "<th>a</th><td>0.5500 ±0.0707</td>" in text

    folder.write(variants={"a": None, "b": {"train": {"lr": 0.2}}})  # nothing of which has been trained
    folder.run("--table")
    assert (folder.home / "table.html").read_text().count('class="smooth"') == 2


def test_two_launchers_are_kept_apart(folder: Folder, pretended: type[Pretended]) -> None:
    RunDir(folder.home).create()
    with lock.held(RunDir(folder.home)):
        done = folder.run()
    assert done.returncode == 2 and "in use" in done.stderr and not pretended.begun


def test_a_folder_of_another_run_is_refused(folder: Folder) -> None:
    RunDir(folder.home).create()
    record.begin(RunDir(folder.home), Kind.TRAINING, State.DONE)
    done = folder.run()
    assert done.returncode == 2 and "training" in done.stderr


def test_a_broken_plan_of_settings_is_no_traceback(folder: Folder) -> None:
    folder.file.write_text("train: {")
    done = folder.run()
    assert done.returncode == 2 and str(folder.file) in done.stderr


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"folder": "a\0b"}, "folder: "),
        ({"folder": ""}, "folder: "),
        ({"folder": "x" * 300}, "folder: "),
        ({"folder": "try.yaml"}, "folder: "),
        ({"train": {"config": "~nobody-here/a.yaml"}}, "train: --config "),
        ({"resources": {"step": {"cluster_config": "no.yaml"}}}, "resources.step: --cluster_config no.yaml"),
        ({"resources": {"train": {"cluster_config": "~nobody-here/a.yaml"}}}, "resources.train.cluster_config: "),
    ],
)
def test_names_that_lead_nowhere_are_told_with_the_file(
    folder: Folder, pretended: type[Pretended], wrong: Any, named: str
) -> None:
    folder.write(**wrong)
    done = folder.run()
    assert done.returncode == 2 and named in done.stderr and str(folder.file) in done.stderr, done.stderr
    assert not pretended.begun


def test_a_broken_record_of_stages_is_named_with_what_to_do(folder: Folder, pretended: type[Pretended]) -> None:
    assert folder.run().returncode == 0
    broken = folder.chains()["b 0"].record
    broken.write_text("{")
    done = folder.run()
    assert done.returncode == 2 and str(broken) in done.stderr and "without the file" in done.stderr, done.stderr
    broken.unlink()
    assert folder.run().returncode == 0 and folder.states("b 0") == ["done"] * 4


def test_the_user_is_told_of_stages_that_fail_and_once_of_the_whole(folder: Folder, pretended: type[Pretended]) -> None:
    teller, site = Teller(folder.path), folder.path / "site.yaml"
    site.write_text(yaml.safe_dump({"notify": teller.command}))
    folder.write(resources={"step": {"cluster_config": str(site)}})
    pretended.fails = {"generate a": "no room left"}
    folder.run()
    [[_, where, text], whole] = teller.told
    assert where == str(folder.home / "variants/a/seed-0/results.run")
    assert text == "experiment try: generate of a, seed 0 failed: no room left"
    assert whole == ["incomplete", str(folder.home), "experiment try incomplete: 5 of 8 stages"]
    assert pretended.untold == {"train", "generate", "score"}  # the stages' own commands tell nobody
    pretended.fails = {}
    folder.run()
    assert teller.told[2:] == [["done", str(folder.home), "experiment try done: 8 of 8 stages"]]
    folder.run()
    assert len(teller.told) == 3  # there was nothing to do


def other(folder: Folder, command: str, *options: object) -> subprocess.CompletedProcess[str]:
    return in_process([sys.executable, ROOT / f"launch/{command}.py", *options], folder.path)


def test_status_shows_a_line_for_each_variant_and_stage(folder: Folder, pretended: type[Pretended]) -> None:
    pretended.fails = {"generate b": "no room left"}
    shown: list[str] = []
    pretended.meanwhile = {"score a": lambda: shown.extend(tree.lines(tree.standing(read_status(folder.home))))}
    folder.run()
    assert shown[:5] == [
        "  a, seed 0: 2 of 4 stages done",
        "    train     done        3 of 3 (100 %) steps",
        "    generate  done        3 of 3 (100 %) pictures",
        "    score     starting",
        "    gallery   planned     not made yet",
    ]
    done = other(folder, "status", "experiments/try")
    assert done.returncode == 0 and "experiment, incomplete" in done.stdout
    for words in ("a, seed 0: 4 of 4", "generate  failed      no room left", "score     blocked"):
        assert words in done.stdout, words
    assert "experiments/try" in other(folder, "status").stdout  # also where nothing is named
    [told] = json.loads(other(folder, "status", "--json", "experiments/try").stdout)
    assert (told["kind"], told["done"], told["total"]) == ("experiment", 5, 8)
    b = told["chains"][1]
    assert (b["variant"], [each["state"] for each in b["stages"]]) == ("b", ["done", "failed", "blocked", "blocked"])
    assert b["stages"][0]["run"]["done"] == 3
    RunDir(folder.home).plan.write_text("{}")
    assert "plan.json" in other(folder, "status", "experiments/try").stdout


def test_what_a_killed_launcher_leaves_is_not_at_work(folder: Folder, pretended: type[Pretended]) -> None:
    folder.run()
    chain = folder.chains()["a 0"]
    chain.page.unlink()
    progress.begin(chain, "gallery", chain.folder / "log")
    record.update(RunDir(folder.home), State.RUNNING)
    done = other(folder, "status", "experiments/try")
    assert "experiment, died" in done.stdout and "gallery   died" in done.stdout
    assert "interrupted" in folder.run("--dry-run").stdout


def test_one_variant_is_cancelled_and_the_others_go_on(folder: Folder, pretended: type[Pretended]) -> None:
    folder.write(seeds=[0, 1])
    said: list[str] = []
    pretended.meanwhile = {"generate a": lambda: said.append(cancel.cancel_variant(RunDir(folder.home), "a"))}
    done = folder.run()
    assert done.returncode == 1 and said[0].startswith("2 chain(s)")
    assert [line for line in pretended.begun if " a " in line] == ["train a seed-0", "generate a seed-0"]
    assert folder.states("a 0") == ["done", "stopped", "cancelled", "cancelled"]
    assert folder.states("a 1") == ["cancelled"] * 4 and folder.states("b 1") == ["done"] * 4
    pretended.begun.clear()
    assert folder.run().returncode == 0 and len(pretended.begun) == 7
    assert "nothing of b runs" in other(folder, "cancel", "experiments/try", "--variant", "b").stdout
    wrong = other(folder, "cancel", "experiments/try", "--variant", "c")
    assert wrong.returncode == 2 and "there are a, b" in wrong.stderr
    other_kind = other(folder, "cancel", folder.chains()["a 0"].training, "--variant", "a")
    assert other_kind.returncode == 2 and "training" in other_kind.stderr


@pytest.mark.process
def test_a_whole_experiment_that_is_killed_and_stopped_on_the_way(tmp_path: Path) -> None:
    """Trained, painted, scored and shown for real. Both ends of the launcher end all that it has started; what a
    training had saved is not lost."""
    folder = Folder(tmp_path / "real", variants={"a": None})
    folder.write(drawn={"pairs": 3, "masks": 3, "size": "64x32"}, generate={"device": "cpu"})
    steps = {"max_steps": 400, "save_every_steps": 1, "display_every_steps": 0}
    folder.write(train=SMALL | {"device": "cpu"} | steps)
    training = RunDir(folder.home / "variants/a/seed-0/training")

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPT), str(folder.file)]
        return subprocess.Popen(command, cwd=folder.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ours() -> list[int]:
        return [pid for pid, command in commands() if str(folder.home) in command or str(folder.file) in command]

    def taken() -> int:
        return record.read(training).done or 0

    job = start()
    wait_until(lambda: taken() >= 2, 300)
    os.kill(job.pid, signal.SIGKILL)
    job.communicate()
    wait_until(lambda: not ours(), 60)
    saved = record.read(training).done
    assert saved and progress.read(folder.chains()["a 0"])["train"].outcome.ends_unsaid

    job = start()
    wait_until(lambda: taken() > saved, 300)
    os.kill(job.pid, signal.SIGTERM)
    _, errors = job.communicate(timeout=120)
    assert job.returncode == 75, errors
    wait_until(lambda: not ours(), 30)
    assert record.read(RunDir(folder.home)).state is State.STOPPED and folder.states("a 0")[:2] == [
        "stopped",
        "planned",
    ]
    stopped_at = record.read(training).done
    assert stopped_at and stopped_at > saved

    before = folder.home
    folder.write(train=folder.values["train"] | {"max_steps": stopped_at + 1}, folder="moved")
    before.rename(folder.home)  # with the data that it goes on with
    training = RunDir(folder.home / "variants/a/seed-0/training")
    done = subprocess.run([sys.executable, SCRIPT, folder.file], cwd=folder.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    row = folder.table()["a"]
    assert row["state"] == "done" and row["means"]["steps"] == stopped_at + 1 and "style" in row["means"]
    chain = folder.chains()["a 0"]
    assert len(list(chain.results.glob("*.jpg"))) == 3 and chain.page.is_file()
    assert (folder.home / "table.html").read_text().count("<img") == 9  # masks, references, pictures
    assert not list(training.path.glob("before-*"))  # it went on

    folder.write(train=folder.values["train"] | {"lr": 0.01, "max_steps": 1})
    done = subprocess.run([sys.executable, SCRIPT, folder.file], cwd=folder.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert folder.table()["a"]["means"]["steps"] == 1 and list(training.path.glob("before-*"))  # it began anew
