"""The states of runs, of their shards, and the outcomes of attempts: all that there are, and what each means.

A new state is a line here. Who writes one names it; who asks, asks what it means, never for a list of names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_AGAIN = "run the same command again to go on"


@dataclass(frozen=True)
class Meaning:
    """`words`: for a person, where the name does not say it.

    `goes_on`: it may change by itself; what does not is over until somebody runs it again.
    `ends_unsaid`: a kill ends it without a word, so whether it still holds must be seen from elsewhere.
    `is_settled`: a run that has written this has come to its end, and no scheduler can add to it.
    `is_own`: while a job lives, the run's own word for this stands before what follows from its having begun.
    `begins_again`: something is left to do; if the run is held nonetheless, somebody has begun again.

    `prepares`: what takes time is not yet the work, so rates and times to go leave it out.
    `is_at_work`: counts and steps rise, and the speed is worth telling.
    `is_ending`: its processes are about to end.
    `is_success`: all that was asked for is there.
    `is_stop`: it ended because it was asked to, and whoever asked, the scheduler perhaps, may start it again.
    `is_failure`: an error ended it, whose words and log are worth telling.
    `is_presumed`: nobody has said so; it follows from silence, and one look may be wrong.
    `is_told`: it is an end that nobody has asked for, of which the user may want to be told.
    """

    words: str = ""
    goes_on: bool = False
    ends_unsaid: bool = False
    is_settled: bool = False
    is_own: bool = False
    begins_again: bool = False
    prepares: bool = False
    is_at_work: bool = False
    is_ending: bool = False
    is_success: bool = False
    is_stop: bool = False
    is_failure: bool = False
    is_presumed: bool = False
    is_told: bool = False


class State(str, Enum):
    """Equal to its name in files. See `Meaning` for the attributes."""

    PLANNED = "planned", Meaning("not begun", goes_on=True)
    SUBMITTED = "submitted", Meaning("submitted: no job of it has begun yet", goes_on=True)
    STARTING = "starting", Meaning(goes_on=True, ends_unsaid=True, prepares=True)
    RUNNING = "running", Meaning(goes_on=True, ends_unsaid=True, is_own=True, is_at_work=True)
    REQUEUED = "requeued", Meaning("back in the queue; it goes on when the scheduler starts it again", goes_on=True)
    MERGING = "merging", Meaning("all shards have ended; the results are being verified", goes_on=True)
    STOPPING = "stopping", Meaning("stopping: its processes are ending", goes_on=True, is_ending=True)
    SILENT = (
        "silent",
        Meaning(
            "silent: it runs elsewhere and has not been heard of for long, so perhaps it died",
            goes_on=True,
            is_presumed=True,
        ),
    )
    DONE = "done", Meaning(is_settled=True, is_success=True, is_told=True)
    INCOMPLETE = (
        "incomplete",
        Meaning(
            "incomplete: some are missing; the same command makes them",
            is_settled=True,
            begins_again=True,
            is_told=True,
        ),
    )
    FAILED = (
        "failed",
        Meaning(
            f"failed; {_AGAIN} once the reason is mended",
            is_settled=True,
            begins_again=True,
            is_failure=True,
            is_told=True,
        ),
    )
    STOPPED = "stopped", Meaning(f"stopped; {_AGAIN}", begins_again=True, is_stop=True)
    CANCELLED = "cancelled", Meaning(is_settled=True)
    DIED = "died", Meaning(f"died: no process holds it; {_AGAIN}", is_presumed=True, is_told=True)
    #: Of an experiment's stage, and of a run that was to begin after another.
    BLOCKED = "blocked", Meaning("blocked: what it waited for did not end well", is_settled=True, is_told=True)
    #: Of a shard whose run is over.
    CUT_OFF = "cut off", Meaning()
    #: Its files say nothing that can be understood.
    UNREADABLE = "unreadable", Meaning()

    words: str
    goes_on: bool
    ends_unsaid: bool
    is_settled: bool
    is_own: bool
    begins_again: bool
    prepares: bool
    is_at_work: bool
    is_ending: bool
    is_success: bool
    is_stop: bool
    is_failure: bool
    is_presumed: bool
    is_told: bool

    def __new__(cls, name: str, meaning: Meaning) -> State:
        state = str.__new__(cls, name)
        state._value_ = name
        vars(state).update(vars(meaning) | {"words": meaning.words or name})
        return state

    def __str__(self) -> str:  # the same in all versions of Python
        return str.__str__(self)
