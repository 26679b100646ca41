"""What all commands do alike with options, messages and errors, with commands that do nothing else."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecgan.errors import UserError
from jobs.options import option
from launch.command import DONE, INTERRUPTED, SOME_FAILED, STOPPED, WRONG_USAGE, Terminated, parse_both, run
from launch.slurm_options import SlurmOptions, site_for


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


def parsed(*words: object) -> tuple[Settings, SlurmOptions]:
    return parse_both(Settings, SlurmOptions, "", [str(word) for word in words])


@pytest.mark.parametrize("time", ["12:00:00", "1-12:00:00", "90"])
def test_a_time_is_the_same_wherever_it_stands(tmp_path: Path, time: str) -> None:
    file, site = tmp_path / "config.yaml", tmp_path / "site.yaml"
    file.write_text(f"time: {time}\nrate: 2e-4\nsize: 007\n")
    site.write_text(f"time: {time}\n")
    settings, options = parsed("--config", file)
    assert (settings.rate, settings.size) == (2e-4, "007")
    _, typed = parsed("--time", time)
    _, named = parsed("--cluster-config", site)
    sites = [site_for("slurm", each, dry_run=True)[0] for each in (options, typed, named)]
    assert [str(each.time) for each in sites if each] == [time] * 3


def test_options_of_slurm_are_refused_where_the_work_is_done_here(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("partition: gpu\n")
    _, options = parsed("--config", file, "--nodes=4", "--time", 60)
    with pytest.raises(UserError, match=r"^--nodes, --time: for Slurm alone"):
        site_for("local", options, dry_run=False)


def test_a_file_may_hold_options_for_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("partition: gpu\n")
    _, options = parsed("--config", file)
    assert site_for("local", options, dry_run=False) == (None, "--cluster local; without effect here: --partition")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    _, options = parsed("--nodes", 4)
    assert site_for("auto", options, dry_run=False) == (
        None,
        "inside a Slurm job already; without effect here: --nodes",
    )
