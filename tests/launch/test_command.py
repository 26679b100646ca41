"""What all commands do alike with messages and errors, with commands that do nothing else."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator

import pytest

from ecgan.errors import UserError
from launch.command import DONE, INTERRUPTED, SOME_FAILED, STOPPED, WRONG_USAGE, Terminated, run


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
