"""The states of runs, of their shards, and the outcomes of attempts: all that there are, and what each means.

A new state is a line here. What others ask is what it means, never a list of names.
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
    `begins_again`: something is left to do; if the run is held nonetheless, somebody has begun again.
    """

    words: str = ""
    goes_on: bool = False
    ends_unsaid: bool = False
    is_settled: bool = False
    begins_again: bool = False


class State(str, Enum):
    """Equal to its name in files. See `Meaning` for the attributes."""

    PLANNED = "planned", Meaning("not begun", goes_on=True)
    SUBMITTED = "submitted", Meaning("submitted: no job of it has begun yet", goes_on=True)
    STARTING = "starting", Meaning(goes_on=True, ends_unsaid=True)
    RUNNING = "running", Meaning(goes_on=True, ends_unsaid=True)
    REQUEUED = "requeued", Meaning("back in the queue; it goes on when Slurm starts it again", goes_on=True)
    MERGING = "merging", Meaning("all shards have ended; the results are being verified", goes_on=True)
    STOPPING = "stopping", Meaning("stopping: its processes are ending", goes_on=True)
    SILENT = (
        "silent",
        Meaning("silent: it runs elsewhere and has not been heard of for long, so perhaps it died", goes_on=True),
    )
    DONE = "done", Meaning(is_settled=True)
    INCOMPLETE = (
        "incomplete",
        Meaning("incomplete: pictures are missing; the same command makes them", is_settled=True, begins_again=True),
    )
    FAILED = "failed", Meaning(f"failed; {_AGAIN} once the reason is mended", is_settled=True, begins_again=True)
    STOPPED = "stopped", Meaning(f"stopped; {_AGAIN}", begins_again=True)
    CANCELLED = "cancelled", Meaning(is_settled=True)
    DIED = "died", Meaning(f"died: no process holds it; {_AGAIN}")
    #: Of a shard whose run is over.
    CUT_OFF = "cut off", Meaning()
    #: Its files say nothing that can be understood.
    UNREADABLE = "unreadable", Meaning()

    words: str
    goes_on: bool
    ends_unsaid: bool
    is_settled: bool
    begins_again: bool

    def __new__(cls, name: str, meaning: Meaning) -> State:
        state = str.__new__(cls, name)
        state._value_ = name
        vars(state).update(vars(meaning) | {"words": meaning.words or name})
        return state

    def __str__(self) -> str:  # the same in all versions of Python
        return str.__str__(self)
