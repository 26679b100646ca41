"""What all commands do alike with options, messages and errors, with commands that do nothing else."""

from __future__ import annotations

import itertools
import logging
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT

from ecgan.errors import UserError
from jobs.generate.settings import GenerateSettings
from jobs.options import option
from jobs.run.submission import JobKind
from jobs.train.settings import TrainSettings
from launch.cluster_options import ClusterOptions, SubmitOptions, cluster_for
from launch.command import DONE, INTERRUPTED, SOME_FAILED, STOPPED, WRONG_USAGE, Terminated, parse, parse_both, run
from launch.status import StatusSettings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """`run` owns its process; this one goes on."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    logger = logging.getLogger("ecgan")
    before = logger.handlers[:], logger.level, logger.propagate
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONSAFEPATH", "1")
        yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logger.handlers, logger.level, logger.propagate = before


def outcome(main: Callable[[], int]) -> object:
    with pytest.raises(SystemExit) as caught:
        run(main)
    return caught.value.code


def raising(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (
            UserError("no such file", field="vgg_weights", value="x"),
            WRONG_USAGE,
            "error: --vgg_weights x: no such file",
        ),
        (FileNotFoundError(2, "No such file", "x"), SOME_FAILED, "error: x: No such file"),
        (OSError(28, "No space left"), SOME_FAILED, "error: system: No space left"),
        (OSError("cannot load library"), SOME_FAILED, "error: system: cannot load library"),
        (TimeoutError(), SOME_FAILED, "error: system: TimeoutError"),
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
        (Terminated(), STOPPED, "stopped by SIGTERM; the same command goes on from here"),
    ],
    ids=repr,
)
def test_an_error_is_a_status_and_a_line(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(raising(error)) == status
    assert capsys.readouterr().err == f"{line}\n"


def test_what_ecgan_tells_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        logging.getLogger("ecgan.runtime").info("compiling")
        return DONE

    for _ in range(2):
        assert outcome(main) == DONE
        assert capsys.readouterr().err == "ecgan: compiling\n"


@dataclass(frozen=True)
class Settings:
    size: str | None = option(None, "")
    rate: float = option(1.0, "")
    cluster: str = option("auto", "")
    workers: int | None = option(None, "", here=True)
    dry_run: bool = option(False, "")


def parsed(*words: object) -> tuple[Settings, SubmitOptions]:
    return parse_both(Settings, SubmitOptions, "", [str(word) for word in words])


@pytest.mark.parametrize("time", ["12:00:00", "1-12:00:00", "90"])
def test_a_time_is_the_same_wherever_it_stands(tmp_path: Path, time: str) -> None:
    file, site = tmp_path / "config.yaml", tmp_path / "site.yaml"
    file.write_text(f"time: {time}\nrate: 2e-4\nsize: 007\n")
    site.write_text(f"time: {time}\n")
    here = ("--cluster", "slurm", "--dry_run")
    settings, options = parsed("--config", file, *here)
    assert (settings.rate, settings.size) == (2e-4, "007")
    _, typed = parsed("--time", time)
    _, named = parsed("--cluster-config", site)
    clusters = [cluster_for(settings, each, "training")[0] for each in (options, typed, named)]
    assert [str(each.settings.time) for each in clusters if each] == [time] * 3


def refused(kind: JobKind, *words: object) -> str:
    with pytest.raises(UserError) as caught:
        cluster_for(*parsed(*words), kind)
    return str(caught.value)


def test_options_of_slurm_are_refused_where_the_work_is_done_here(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("partition: gpu\n")
    said = refused("training", "--cluster=local", "--config", file, "--nodes=4", "--time", 60, "--wait")
    assert said.startswith("--nodes, --time, --wait: for Slurm alone")


@pytest.mark.parametrize("cluster", ["local", "slurm", "auto"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("shards", name) for name in ("nodes", "tasks_per_node")),
        ("training", "array_parallelism"),
        *(("warm", name) for name in ("nodes", "tasks_per_node", "array_parallelism")),
    ],
)
def test_what_a_command_has_no_use_for_is_refused(cluster: str, kind: JobKind, name: str, tmp_path: Path) -> None:
    assert refused(kind, f"--{name}=2", f"--cluster={cluster}", "--dry_run").startswith(f"--{name}: ")
    file = tmp_path / "config.yaml"
    file.write_text(f"{name}: 2\n")
    settings, options = parsed("--config", file, f"--cluster={cluster}", "--dry_run")
    assert cluster_for(settings, options, kind)[1].endswith(f"; without effect here: --{name}")


def test_options_of_this_machine_are_refused_where_the_work_is_done_elsewhere(tmp_path: Path) -> None:
    assert refused("shards", "--cluster=slurm", "--dry_run", "--workers=2").startswith("--workers: for this machine")
    file = tmp_path / "config.yaml"
    file.write_text("workers: 2\n")
    settings, options = parsed("--config", file, "--cluster=slurm", "--dry_run")
    assert cluster_for(settings, options, "shards")[1].endswith("; without effect here: --workers")


def test_the_doctor_waits_without_being_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_both(Settings, ClusterOptions, "", ["--wait"])
    assert caught.value.code == WRONG_USAGE and "--wait" in capsys.readouterr().err
    assert refused("warm", "--cluster=local", "--no_snapshot").startswith("--no_snapshot: ")


def test_a_cluster_is_one_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed("--cluster", "pbs")
    assert caught.value.code == WRONG_USAGE and "--cluster" in capsys.readouterr().err


@pytest.mark.parametrize("order", list(itertools.permutations(["--config=A", "--config B", "--rate 3"])))
def test_the_command_line_wins_wherever_the_file_is_named(order: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rate: 1.5\nsize: a\n")
    (tmp_path / "b.yaml").write_text("rate: 2.5\n")
    words = " ".join(order).replace("A", str(tmp_path / "a.yaml")).replace("B", str(tmp_path / "b.yaml"))
    settings, options = parsed(*words.split())
    assert (settings.rate, settings.size) == (3.0, "a") and {"config", "rate"} == options.typed


def test_words_without_a_name_win_too(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("run_dirs: [file]\njson: true\n")
    for words in (["--config", "a.yaml", "word"], ["word", "--config", "a.yaml"]):
        settings = parse(StatusSettings, "", [word.replace("a.yaml", str(tmp_path / "a.yaml")) for word in words])
        assert (list(settings.run_dirs), settings.json) == (["word"], True)


def test_what_a_file_switches_on_can_be_switched_off(tmp_path: Path) -> None:
    file = str(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("json: true\n")
    for words in (["--config", file, "--no_json"], ["--no-json", "--config", file]):
        assert parse(StatusSettings, "", ["run", *words]).json is False
    assert parse(StatusSettings, "", ["run", "--config", file]).json is True


def test_what_is_called_no_can_be_switched_off_too(tmp_path: Path) -> None:
    file = str(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("no_TTUR: true\n")
    for words, off in ((["--with_TTUR"], True), (["--with-TTUR"], True), (["--no_TTUR"], False), ([], False)):
        assert parse(TrainSettings, "", ["--config", file, *words]).no_TTUR is not off
        assert parse(TrainSettings, "", [*words, "--config", file]).no_TTUR is not off
    assert parse(TrainSettings, "", []).no_TTUR is False and parse(TrainSettings, "", ["--no_TTUR"]).no_TTUR is True


def test_a_file_may_hold_options_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("partition: gpu\n")
    settings, options = parsed("--config", file, "--cluster=local")
    why = "--cluster local; without effect here: --partition"
    assert cluster_for(settings, options, "training") == (None, why)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    settings, options = parsed("--nodes", 4)
    why = "inside a Slurm job already; without effect here: --nodes"
    assert cluster_for(settings, options, "training") == (None, why)


def test_the_projects_own_files_are_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless the user has something of that name there, be it a link that leads nowhere."""
    monkeypatch.chdir(tmp_path)
    words = ["--config", "configs/generate.yaml"]
    assert parse(GenerateSettings, "", words) == GenerateSettings()
    assert str(ROOT / "configs/generate.yaml") in capsys.readouterr().err
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/generate.yaml").symlink_to("nowhere")
    with pytest.raises(UserError, match="No such file"):
        parse(GenerateSettings, "", words)
