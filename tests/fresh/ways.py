"""How this machine reaches packages, for a root to reach them the same way: looked up when needed, kept nowhere."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_VARIABLES = re.compile(r"PIP_\w+|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|(?:https?|no|all)_proxy", re.IGNORECASE)
#: A local path, by itself or as a URL; no part of another URL.
_PATH = re.compile(r"(?<![\w:/.])(file://)?(/[^\s'\",]+)")
#: Of apt's configuration: proxies, and whether lists of packages may be old, as a mirror's that stands still are.
_APT = re.compile(r"Acquire::(?:https?::|Check-).*")


@dataclass(frozen=True)
class Ways:
    """`mirror`: of Debian's packages, debootstrap's own choice if None. `apt`: lines of its configuration. `files` lie
    in the root where they lie here, and so do `folders`, unwritable; `pip` is the configuration of the user's own, one
    of pip's files."""

    mirror: str | None
    apt: str
    variables: Mapping[str, str]
    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    pip: Path | None


def ways_of_this_machine(mirror: str | None) -> Ways:
    home, systems = Path.home(), (Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"))
    own = next((path for path in (home / ".config/pip/pip.conf", home / ".pip/pip.conf") if path.is_file()), None)
    settings = [path for path in (*systems, own) if path is not None and path.is_file()]
    variables = {name: value for name, value in os.environ.items() if _VARIABLES.fullmatch(name)}
    named = list(local_paths([*variables.values(), *(path.read_text() for path in settings)]))
    files = [path for path in named if path.is_file()]
    reached = [Path("/etc/resolv.conf"), Path("/etc/hosts"), CERTIFICATES, *systems, *files]
    return Ways(
        mirror=mirror or _mirror(),
        apt="".join(f"{line}\n" for line in _ask("apt-config", "dump").splitlines() if _APT.fullmatch(line)),
        variables=variables,
        files=tuple(dict.fromkeys(path for path in reached if path.is_file())),
        folders=tuple(dict.fromkeys(path for path in named if path.is_dir())),
        pip=own,
    )


def local_paths(texts: Iterable[str]) -> Iterable[Path]:
    """The paths that variables or configuration name. Of a package index in a folder, what lies beside it as well: its
    pages lead to files there."""
    for text in texts:
        for url, name in _PATH.findall(text):
            path = Path(name)
            yield path.parent if url and path.parent != Path("/") else path


def _mirror() -> str | None:
    """Where this machine, if it is a Debian, has its own packages from."""
    only = ("Created-By: Packages", "Origin: Debian", "Label: Debian", "Component: main")
    return next(iter(_ask("apt-get", "indextargets", "--format", "$(REPO_URI)", *only).splitlines()), None)


def _ask(*command: str) -> str:
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    except FileNotFoundError:
        return ""
