"""A fresh machine: the root of a distribution, what is written over it, and commands that see nothing else.

Everything that a command mounts is in a mount namespace of its own, and everything that it starts in a PID namespace:
both end with it, or with this process, however that ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote
from typing import IO

from tests.fresh.ways import Ways

USER, UID, HOME = "newcomer", 1000, Path("/home/newcomer")
#: Linux ends it with its parent, and unshare's child with unshare, which ends all others in there.
ALONE = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: As a container has it: these devices, its own terminals, and Docker's size of shared memory.
_DEVICES = """\
mount -t proc proc root/proc
mount --rbind /sys root/sys
mount -t tmpfs -o mode=755 tmpfs root/dev
for each in null zero full random urandom tty; do : > root/dev/$each; mount --bind /dev/$each root/dev/$each; done
mkdir root/dev/pts root/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts root/dev/pts
mount -t tmpfs -o mode=1777,size=64m tmpfs root/dev/shm
ln -s pts/ptmx root/dev/ptmx
ln -s /proc/self/fd root/dev/fd
for each in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/${each%:*} root/dev/${each#*:}; done
"""


@dataclass(frozen=True)
class Machine:
    """What is written on it lies in `folder`, and the root, `base`, stays as it is. Without a base `folder` has all."""

    folder: Path
    base: Path | None
    ways: Ways

    def clear(self) -> None:
        """Takes it back to its base. Nothing is mounted there but in namespaces of commands that run."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def run(self, command: str, log: IO[str], *, as_root: bool = False, stdin: IO[bytes] | None = None) -> int:
        """Runs a shell's command in the user's home, and returns its exit status."""
        whole = self._command(command, as_root)
        source = subprocess.DEVNULL if stdin is None else stdin
        return subprocess.run(whole, cwd=self.folder, stdin=source, stdout=log, stderr=log).returncode

    def ask(self, command: str) -> str:
        """What the user's command prints."""
        done = subprocess.run(self._command(command, False), cwd=self.folder, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def _command(self, command: str, as_root: bool) -> Sequence[str]:
        base = None if self.base is None else os.path.relpath(self.base, self.folder)
        return (*ALONE, "sh", "-c", script(command, base, self.ways, as_root))


def script(command: str, base: str | None, ways: Ways, as_root: bool) -> str:
    """For a shell in the machine's folder and in namespaces of its own: mounts everything and runs the command."""
    return "\n".join(["set -e", _files(base), _DEVICES, *_reach(ways, as_root), *_enter(command, ways, as_root)])


def _files(base: str | None) -> str:
    if base is None:
        return "mkdir -p system root && mount --bind system root"
    # A path with a comma or a colon can't stand among an overlay's options; a relative one has none.
    return f"mkdir -p upper work root && mount -t overlay -o lowerdir={base},upperdir=upper,workdir=work overlay root"


def _reach(ways: Ways, as_root: bool) -> Iterator[str]:
    for file in ways.files:
        yield f"mkdir -p root{quote(str(file.parent))} && cp {quote(str(file))} root{quote(str(file))}"
    for folder in ways.folders:
        inside = f"root{quote(str(folder))}"
        yield f"mkdir -p {inside} && mount -o bind,ro {quote(str(folder))} {inside}"
    if ways.pip is not None and not as_root:
        yield f"mkdir -p root{HOME}/.config/pip && cp {quote(str(ways.pip))} root{HOME}/.config/pip/pip.conf"
        yield f"chown -R {UID}:{UID} root{HOME}/.config"


def _enter(command: str, ways: Ways, as_root: bool) -> Iterator[str]:
    user, uid, home = ("root", 0, Path("/root")) if as_root else (USER, UID, HOME)
    variables = {"PATH": _PATH, "HOME": str(home), "USER": user, "LOGNAME": user, **ways.variables}
    environment = [f"{name}={value}" for name, value in variables.items()]
    entering = ["chroot", f"--userspec={uid}:{uid}", f"--groups={uid}", "root", "env", "-i", *environment, "sh", "-c"]
    yield f"{join(entering)} {quote(f'cd && {command}')}"
    # Not the shell's last command, which it would become: as the first process here it waits for orphans.
    yield "exit $?"
