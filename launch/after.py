"""--after RUN_DIR: a command begins its run once another has ended well.

Where both are a cluster's, a step (`launch.steps`) is submitted for that, and nothing stays here: it runs when the jobs
of the other have ended, looks how, and begins the same command there, which checks, plans and submits as it would here.
Elsewhere the command itself stays until the other run has ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.errors import UserError
from ecgan.files import write_atomically
from jobs import stop
from jobs.commands import last_error, named
from jobs.options import resolved
from jobs.run import attempts, record
from jobs.run.find import is_run, run_of
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.notify import tell_end
from jobs.run.state import State
from jobs.run.status import Status, read_status
from jobs.run.submission import read_submission
from jobs.run.words import pace
from jobs.yaml_files import to_yaml
from launch import awaited, on_cluster, snapshot, steps, taking
from launch.cluster_options import RunOptions
from launch.command import DONE, NO_ANSWER, SOME_FAILED
from launch.steps import Step
from slurm.scheduler import Cluster


@dataclass(frozen=True, kw_only=True)
class AfterStep(Step):
    """Begins `kind`'s command, with the options in the file `RunDir.waiting`, once the run in the folder `other` has
    ended well. If it has ended otherwise, that is noted, and is the end of this one."""

    kind: Kind
    other: Path

    @property
    def unit(self) -> str:
        return attempts.AFTER

    def __call__(self) -> None:
        if self._is_over():
            return
        try:
            status = self._other_ended()
        except UserError as error:
            self._end(State.BLOCKED, str(error))
            return
        if status is None:
            self._wait_for(*awaited.jobs_left(self.other))
        elif status.state.is_success:
            self._begin()
        else:
            self._end(State.BLOCKED, in_words(status))

    def _other_ended(self) -> Status | None:
        """How the other run has; None if it has jobs that are to be waited for."""
        while True:
            status = awaited.ended(self.other)
            if status is None and awaited.jobs_left(self.other):
                return None
            if self.was_away():  # and alone knows whether what looks stopped is in its queue again
                continue
            if status is not None:
                return status
            if stop.requested():
                raise stop.Stopped
            # It goes on without jobs: by a command on some machine, or somebody is about to submit.
            time.sleep(steps.AGAIN)

    def _is_over(self) -> bool:
        """Whether an earlier attempt has done what is this one's to do, or the user has ended it."""
        submission = read_submission(RunDir(self.home).submission)
        if submission is None or self._job in submission.ids:
            return submission is not None and submission.cancelled is not None
        return self._is_submitted()

    def _is_submitted(self) -> bool:
        """Whether what comes after this has been; what of it was submitted without the rest is withdrawn."""
        submission = read_submission(RunDir(self.home).submission)
        if submission is None or self._job in submission.ids:
            return False
        if steps.is_whole(submission):
            return True
        steps.withdraw(submission)
        return False

    @property
    def _job(self) -> str:
        """Our own."""
        attempt = attempts.current()
        return (attempt and attempt.details.job) or ""

    def _wait_for(self, *jobs: str) -> None:
        submission = self.submit(jobs)
        submission.save(RunDir(self.home).submission)
        if stop.requested():  # and whoever asked may have known our own job alone
            self.its_scheduler.cancel(submission.ids)
            raise stop.Stopped

    def _begin(self) -> None:
        run = RunDir(self.home)
        assert self.kind.command is not None
        log = run.logs / f"{self.unit}.log"
        while True:
            attempts.insist_on_newest()
            log.unlink(missing_ok=True)
            options = ["--config", str(run.waiting)]
            status = self.run(self.kind.command, options, log, {steps.BEGUN_BY: self._job})
            if self._is_submitted():
                return
            if status == DONE or not self.was_unheard(status == NO_ANSWER):
                break
        said = record.read(run)
        if said.state.goes_on:
            why = last_error(log.read_text(errors="replace")) or f"{named(self.kind.command)} ended with {status}"
            self._end(State.FAILED, why, log=str(log))
        else:  # all was there already, or the command has told why it is not
            tell_end(self.cluster.notify, self.home, said.state)

    def _end(self, state: State, why: str, **more: Any) -> None:
        record.update(RunDir(self.home), state, error=why, **more)
        tell_end(self.cluster.notify, self.home, state)


@dataclass(frozen=True)
class Command:
    """One that is to begin later. `settings`: its own, a dataclass; `cluster`: where its run goes, None for this
    machine, `why`. `check_ahead`: of the other run's folder, says where this one will lie, and raises UserError if it
    is known already that it can't be; `outcome`: what is told at the end of a run that was waited for, as a status."""

    kind: Kind
    settings: Any
    options: RunOptions
    cluster: Cluster | None
    why: str
    check_ahead: Callable[[Path], RunDir]
    outcome: Callable[[], int]


def hold_back(command: Command) -> int | None:
    """Returns None once the run that --after names has ended well; else this process's exit status, where that run has
    ended otherwise, or a step waits for it. Raises UserError if there is no such run."""
    given = command.options.after
    assert given is not None
    other = resolved(run_of(Path(given).expanduser()))
    if not is_run(other):
        raise UserError(f"--after {given}: neither the folder of a run nor results that a run makes")
    status = awaited.ended(other)
    if status is None:
        with contextlib.redirect_stderr(io.StringIO()):  # notes, which the command says again
            run = command.check_ahead(other)
        if run.path == other:
            raise UserError(f"--after {given} is this command's own run: name another, or leave it out")
        if command.cluster and _is_of(other, command.cluster):
            return _submit(command, run, other, command.cluster)
        place = f"in {command.cluster.scheduler.title}" if command.cluster else "on this machine"
        _show(other, f"here, until that has ended; then it begins {place}; {command.why}", run)
        if command.settings.dry_run:
            return DONE
        status = awaited.watch(other, f"waiting for {other.name}")
    if status.state.is_success:
        return None
    print(f"error: --after {given}: {in_words(status)}", file=sys.stderr)
    return SOME_FAILED


def in_words(status: Status) -> str:
    """That a run has not ended well, how, and what to do."""
    where = f" (logs in {status.log})" if status.log else ""
    why = f": {status.error}" if status.error else ""
    return (
        f"{status.kind} {status.path} did not end well: {status.state}{why}{where}; run its command again, and then "
        "this one"
    )


def _is_of(other: Path, cluster: Cluster) -> bool:
    """Whether a job of that cluster can wait for the run."""
    submission = read_submission(RunDir(other).submission)
    return submission is not None and submission.scheduler == cluster.scheduler.name and bool(awaited.jobs_left(other))


def _submit(command: Command, run: RunDir, other: Path, cluster: Cluster) -> int:
    options, settings = command.options, command.settings
    cluster.insist_on_usable(run.path)
    _show(other, f"{cluster.scheduler.title}: in a small job (step), which then submits this; {command.why}", run)
    step = AfterStep(
        home=run.path,
        scheduler=cluster.scheduler.name,
        environment=snapshot.environment(run, options),
        given=steps.given(),
        kind=command.kind,
        other=other,
    )
    batch = step.batch(after=awaited.jobs_left(other))
    if settings.dry_run:
        on_cluster.dry_run(run, settings, cluster, [batch])
        return DONE
    with taking.taken(run):
        write_atomically(run.waiting, to_yaml(_options(settings, options, cluster, run)))
        submission = on_cluster.submit(run, cluster, options, [batch], command.kind, waits_for=str(other))
    on_cluster.tell(run, submission)
    if not options.wait:
        return DONE
    status = on_cluster.wait(run, submission, command.kind.doing)
    return command.outcome() if status == DONE else status


def _options(settings: Any, options: RunOptions, cluster: Cluster, run: RunDir) -> dict[str, Any]:
    """All that decides what the command does, as it is now, whatever is edited later."""
    given = {
        each.name: value
        for each in dataclasses.fields(settings)
        if (value := getattr(settings, each.name)) != each.default
    }
    where: dict[str, Any] = {"cluster": cluster.scheduler.name, "cluster_config": str(run.cluster)}
    return given | where | ({} if options.snapshot else {"snapshot": False})


def _show(other: Path, where: str, run: RunDir) -> None:
    status = read_status(other)
    how_far = f", {words}" if (words := pace(status)) else ""
    for title, text in (
        ("waits for", f"{other}: {status.kind}, {status.state}{how_far}"),
        ("where", where),
        ("run", str(run.path)),
    ):
        print(f"{title:<14}{text}", flush=True)
