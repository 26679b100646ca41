"""Where everything of a cluster lies inside its folder, and which folders will do."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from ecgan.errors import UserError

#: Slurm makes Unix sockets under such names; a socket's whole path has at most 107 bytes.
_LONGEST_SOCKET = "/var/spool.n99/stepd.slurm.pmix.9999999.99999"
_SOCKET_LIMIT = 107


def default_folder() -> Path:
    return Path(tempfile.gettempdir()) / "ecgan-devcluster"


class Layout:
    """Paths of the cluster in `folder`.

    `log/` and the configuration stay after `down`; `var/`, the daemons' own files, does not.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self.lock = self.folder / "lock"
        self.state = self.folder / "state.json"
        self.slurm_conf = self.folder / "slurm.conf"
        self.gres_conf = self.folder / "gres.conf"
        self.cgroup_conf = self.folder / "cgroup.conf"
        self.task_prolog = self.folder / "task_prolog.sh"
        self.slurmdbd_conf = self.folder / "slurmdbd.conf"
        self.log = self.folder / "log"
        self.var = self.folder / "var"
        self.munge = self.var / "munge"
        self.munge_socket = self.munge / "socket"
        self.database = self.var / "database"
        self.database_socket = self.var / "database.socket"
        self.controller_state = self.var / "controller"

    @property
    def cluster_name(self) -> str:
        """Differs between folders, so that two clusters can't be taken for each other."""
        return "dev" + hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]

    def spool(self, node: str) -> Path:
        return self.var / f"spool.{node}"

    def scratch(self, node: str) -> Path:
        return self.var / f"tmp.{node}"

    def log_of(self, daemon: str) -> Path:
        """What the daemon wrote to its terminal: everything it has to say, steps left out."""
        return self.log / f"{daemon}.log"

    def step_log(self, node: str) -> Path:
        """What slurmd and the steps of a node wrote, with the time."""
        return self.log / f"steps.{node}.log"

    def check(self) -> None:
        """Insists that a cluster can live here; UserError says what is wrong with the folder."""
        text = str(self.folder)
        if not re.fullmatch(r"[A-Za-z0-9._/+=@-]+", text):
            raise UserError(f"--folder {text}: Slurm's files can't hold this name; use letters, digits and ._+=@- only")
        room = _SOCKET_LIMIT - len(_LONGEST_SOCKET)
        if len(text) > room:
            raise UserError(f"--folder {text}: too long for Unix sockets in it, at most {room} characters will do")
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise UserError(f"--folder {text}: not a folder")
        if self.folder.stat().st_uid != os.geteuid():
            raise UserError(f"--folder {text}: belongs to another user; choose one of your own")
        if not self.state.is_file() and any(path != self.lock for path in self.folder.iterdir()):
            raise UserError(f"--folder {text}: holds other files; choose an empty or a new one")
