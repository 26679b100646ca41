"""Slurm's controller: whether it answers, what it offers and knows of jobs, and what it is asked to do with them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime

from ecgan.runtime import programs
from ecgan.runtime.requirements import Finding
from jobs.run.state import State
from slurm.scheduler import JobState

_FIELDS = "%i|%T|%r|%N"
#: Among Slurm's words, and those of `programs.ask`, where a controller that is there gives no answer.
_SILENCE = ("Unable to contact slurm controller", "did not answer within")


_GOING_ON = (
    *("PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "RESIZING"),
    *("STOPPED", "SIGNALING", "STAGE_OUT", "REQUEUE_FED", "SPECIAL_EXIT"),
)


def standing(state: str) -> State:
    """What Slurm's word for a job's state means; DIED for all that are ends, and not the job's own."""
    if state in _GOING_ON:
        return State.RUNNING
    ends = {"COMPLETING": State.STOPPING, "COMPLETED": State.DONE, "CANCELLED": State.CANCELLED}
    return ends.get(state, State.DIED)


def is_silence(words: str) -> bool:
    """Whether they are of a command that reached no controller, or got nothing out of it: nothing has been done.

    (Where something may have been, as after "Socket timed out", doing it once more might double it.)
    """
    return any(each in words for each in _SILENCE)


def controller_answers() -> tuple[bool, str]:
    """Whether `sinfo` gets an answer, and what to tell the user about it."""
    done, answer = _ask(["sinfo", "--noheader"])
    if not done:
        return False, answer
    return True, f"a Slurm controller answers, {len(answer.splitlines())} partition line(s)"


def mpi_plugins() -> list[str]:
    """The kinds of MPI that srun can start, as `srun --mpi=list` names them; empty without Slurm."""
    done, answer = _ask(["srun", "--mpi=list"], with_errors=True)
    return [line.strip() for line in answer.splitlines()[1:] if line.strip()] if done else []


def job_states(ids: Sequence[str]) -> dict[str, JobState] | None:
    """What the controller knows of jobs and of the elements of arrays; of those that it has forgotten what the
    accounting knows, where there is one. None if nobody answers."""
    if not ids:
        return {}
    answers, _ = controller_answers()
    if not answers:
        return None
    done, answer = _ask(
        ["squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(ids)}", f"--format={_FIELDS}"]
    )
    found = _parse(answer) if done else {}  # it calls a single job that it has forgotten an invalid one
    forgotten = [job for job in ids if not any(id.split("_")[0] == job for id in found)]
    if forgotten:
        fields = "JobID,State,Reason,NodeList"
        options = ["--allocations", "--noheader", "--parsable2", f"--format={fields}"]
        done, answer = _ask(["sacct", *options, f"--jobs={','.join(forgotten)}"])
        found |= _parse(answer) if done else {}
    return found


def requeue(job: str) -> tuple[bool, str]:
    """Puts a running job back into the queue, which ends its processes. Whether that was accepted, else why not."""
    return _ask(["scontrol", "requeue", job])


def cancel(ids: Sequence[str]) -> tuple[bool, str]:
    """Ends jobs, running or not; those that have ended already are no error."""
    return _ask(["scancel", *ids])


def is_being_preempted(job: str) -> bool | None:
    """Whether a running job is in its grace time, after which Slurm ends it and queues it again by itself; None if
    that is not known."""
    words = _properties(job)
    if words is None:
        return None
    return words.get("JobState") == "RUNNING" and words.get("PreemptTime", "None") not in ("None", "Unknown")


def end_of(job: str) -> float | None:
    """When the time limit will end a running job, in seconds since 1970; None if nobody knows, or it has none."""
    try:
        return datetime.fromisoformat((_properties(job) or {}).get("EndTime", "Unknown")).timestamp()
    except ValueError:
        return None


def would_accept(script: str) -> tuple[bool, str]:
    """Whether sbatch would accept `script`, and its own words on when and where it would run."""
    return _ask(["sbatch", "--test-only"], script, with_errors=True)


def check_accounting() -> Finding:
    works, answer = _ask(["sacct", "--noheader", "--allocations"])
    return Finding("answers") if works else Finding(answer, "optional: nothing here needs it")


def _properties(job: str) -> dict[str, str] | None:
    done, answer = _ask(["scontrol", "--oneliner", "show", "job", job])
    return dict(word.partition("=")[::2] for word in answer.split()) if done else None


def _parse(lines: str) -> dict[str, JobState]:
    found = {}
    for line in lines.splitlines():
        id, state, reason, nodes = [*line.split("|"), "", "", ""][:4]
        # sacct says "CANCELLED by 0", and "None assigned" for nodes.
        nodes = "" if nodes == "None assigned" else nodes
        state = state.split(" ")[0].rstrip("+")
        found[id] = JobState(id, state, standing(state), "" if reason == "None" else reason, nodes)
    return found


def _ask(command: list[str], given: str = "", with_errors: bool = False) -> tuple[bool, str]:
    """As `programs.ask` does, of a command of Slurm's, which need not be there."""
    program = shutil.which(command[0])
    if program is None:
        return False, "no Slurm commands on the PATH"
    return programs.ask([program, *command[1:]], given, with_errors)
