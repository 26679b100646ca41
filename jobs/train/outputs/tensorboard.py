"""A log for TensorBoard, written where and when it is asked to be.

tensorboardX's own SummaryWriter writes from a thread that a full disk ends; with its queue full, the
training would wait for it for ever. So only its records are used here, and an OSError comes to the caller.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class EventFile:
    """A new file of events in `folder`; what other files there have from step `purge_step` on is hidden by it."""

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files in the order of their names, and this way that of their times.
        name = f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}.{secrets.token_hex(4)}"
        self._records = RecordWriter(str(folder / name))
        self._write(step=purge_step, file_version="brain.Event:2")
        if purge_step is not None:
            self._write(step=purge_step, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        found = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(step=step, summary=Summary(value=found))

    def picture(self, step: int, tag: str, encoded: bytes, width: int, height: int) -> None:
        """`encoded`: the bytes of a JPEG or PNG file, RGB."""
        from tensorboardX.proto.summary_pb2 import Summary

        image = Summary.Image(encoded_image_string=encoded, width=width, height=height, colorspace=3)
        self._write(step=step, summary=Summary(value=[Summary.Value(tag=tag, image=image)]))

    def close(self) -> None:
        self._records.close()

    def _write(self, **fields: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        try:
            self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())
            self._records.flush()
        except OSError:
            # What it has not written it would try again when it is forgotten, and Python would show that this failed.
            with contextlib.suppress(OSError):
                self._records.close()
            raise
