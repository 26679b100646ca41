"""What every command line shares: options from a dataclass, exit status, errors without tracebacks."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import os
import re
import signal
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonargparse import ActionConfigFile, ActionYesNo, ArgumentParser, set_loader  # type: ignore[attr-defined]

from ecgan import logs
from ecgan.errors import Unavailable, UserError, told
from jobs.given import insist_on_path, insist_on_usable
from jobs.options import in_words
from jobs.yaml_files import LONGEST, read_options, read_yaml
from launch import early
from launch.own_files import found
from slurm.processes import ends, inherited, resources

set_loader("yaml", read_yaml, (yaml.YAMLError,))  # --config as all our files

DONE, SOME_FAILED, WRONG_USAGE, STOPPED, INTERRUPTED = 0, 1, 2, ends.STOPPED, early.INTERRUPTED
#: As a service that is unavailable has it in sysexits.h.
NO_ANSWER = os.EX_UNAVAILABLE

Settings = TypeVar("Settings")
Others = TypeVar("Others")


class Terminated(Exception):
    """SIGTERM or SIGUSR2 came."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(early.stopped_by(number))


def parse(cls: type[Settings], description: str, arguments: Sequence[str] | None = None) -> Settings:
    """Options and defaults of the dataclass `cls`, from the command line and a YAML file (--config).

    Unknown options, unknown keys and wrong types end the process with status 2 and a message naming them.
    """
    return parse_both(cls, _None, description, arguments)[0]


def parse_both(
    cls: type[Settings], other: type[Others], description: str, arguments: Sequence[str] | None = None
) -> tuple[Settings, Others]:
    """The same for the options of two dataclasses together.

    What `other` may have beside options: a field `typed`, which gets the names of all options that stand on the command
    line itself; `along`, dataclasses with more options, and a field `given`, which gets those of them that have a
    value; `choices`, the words that an option may be, by its name. An option that several of `along` have is one, of
    the type that the first says.
    """
    parser = _Parser(description=description, allow_abbrev=False)
    parser.add_argument("--config", action=_ConfigFile, help="YAML file with any of the options below")
    along: Sequence[type] = getattr(other, "along", ())
    for each in (cls, other):
        _add_options(parser, each, getattr(other, "choices", {}))
    shared: dict[str, Any] = {}
    for each in along:
        _add_options(parser, each, {}, shared)
    words = files_first(normalise(sys.argv[1:] if arguments is None else arguments))
    if long := [word for word in words if len(word) > LONGEST]:
        raise UserError(f"{long[0][:50]}… has more than {LONGEST} characters")
    namespace = parser.parse_args(words)
    _insist_on_one(cls)
    namespace["typed"] = frozenset(word[2:].partition("=")[0] for word in words if word.startswith("--"))
    every = {name: value for each in along for name, value in vars(_take(each, namespace)).items()}
    namespace["given"] = {name: value for name, value in every.items() if value is not None}
    return _take(cls, namespace), _take(other, namespace)


def _insist_on_one(cls: type) -> None:
    """Raises UserError if this command, which starts its processes itself, was started several times together."""
    together = inherited.siblings()
    option = next((field.name for field in dataclasses.fields(cls) if field.name in ("ranks", "workers")), None)
    if together and option:
        starter, count = together
        raise UserError(f"this is one of {count} processes", hint=f"use <{option}={count}> instead of {starter}")


@dataclasses.dataclass(frozen=True)
class _None:
    """No options."""


class _Parser(ArgumentParser):
    """`flags` and `lists`: options that are switched on or off, and that are words. `file`: the one whose options are
    being taken, if one is."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.flags: set[str] = set()
        self.lists: set[str] = set()
        self.file: str | None = None

    def error(self, message: str, ex: Exception | None = None) -> typing.NoReturn:
        """Ends the process with a line that calls options as the command line does, and names the file."""
        words = re.sub(r'^Parser key "(\w+)"', r"--\1", " ".join(message.split()))
        super().error(words if self.file is None else f"--config {self.file}: {words}", ex)


class _ConfigFile(ActionConfigFile):
    """Takes a file's options, after it has been looked at as strictly as all our files are."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        insist_on_path(values, "config")
        options = {action.dest for action in parser._actions} - {"config", "print_config", "help"}
        path = found(Path(values).expanduser(), "config")
        given = read_options(path, "config", options)
        if not given:
            raise UserError("no options in it", field="config", value=values)
        for name, value in given.items():  # what the library does not look at
            if name in parser.flags and not isinstance(value, bool | None):
                raise UserError(f"{name} is {value!r}; it must be true or false", field="config", value=values)
            if name in parser.lists and (value == [] or not isinstance(value, list | None)):
                raise UserError(
                    f"{name} is {value!r}; it must be a list with something in it", field="config", value=values
                )
        parser.file = values
        super().__call__(parser, cfg, str(path), option_string)  # type: ignore[no-untyped-call]
        parser.file = None


def _take(cls: type[Settings], namespace: Any) -> Settings:
    given = {field.name: namespace[field.name] for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    insist_on_usable(cls, given)
    return cls(**given)


def _add_options(
    parser: _Parser, cls: type, choices: Mapping[str, Sequence[str]], shared: dict[str, Any] | None = None
) -> None:
    """`shared`: options by name that another class may have, too; those of this one join them."""
    hints, own = typing.get_type_hints(cls), inspect.get_annotations(cls)
    # What all work has comes after what this one is about.
    for field in sorted(dataclasses.fields(cls), key=lambda field: field.name not in own):
        if not field.metadata:
            continue
        if shared and field.name in shared:
            shared[field.name].help += f"; {field.metadata['help']}"
            continue
        how: dict[str, Any] = {"default": field.default, "help": field.metadata["help"]}
        if field.metadata["positional"]:
            parser.lists.add(field.name)
            words = parser.add_argument(field.name, nargs="+", type=str, help=field.metadata["help"])
            if how["default"]:  # with nargs="*" no words would mean none, whatever the file has
                words.required = False
                parser.set_defaults({field.name: list(how["default"])})
            continue
        if hints[field.name] is bool:
            parser.flags.add(field.name)
            # What is on, by default or by a file, is switched off with --no_NAME; what is called so, with --with_NAME.
            prefixes = ("no_", "with_") if field.name.startswith("no_") else ("", "no_")
            how |= {"action": ActionYesNo(*prefixes)}
        elif field.name in choices:
            how |= {"type": typing.Literal[tuple(choices[field.name])]}
        else:
            how |= {"type": hints[field.name]}
        action = parser.add_argument(f"--{field.name}", **how)
        if shared is not None:
            shared[field.name] = action


def normalise(arguments: Sequence[str]) -> list[str]:
    """Options may be written with hyphens for underscores, and `color` for `colour`."""
    result = []
    for argument in arguments:
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            name = "--" + name[2:].replace("-", "_").replace("color", "colour")
            argument = name + equals + value
        result.append(argument)
    return result


def files_first(words: Sequence[str]) -> list[str]:
    """What the command line says goes before what its files do, wherever these are named on it."""
    files: list[str] = []
    others: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            others += [word, *left]
        elif word == "--config":
            files += [word, *itertools.islice(left, 1)]
        else:
            (files if word.startswith("--config=") else others).append(word)
    return files + others


def use_cache(folder: str | None) -> None:
    """Keeps compiled code in `folder`, also for every process that is started from here, in whatever folder."""
    if folder is not None:
        os.environ["ECGAN_CACHE"] = str(Path(folder).expanduser().absolute())


def use_threads(count: int | None) -> None:
    """Bounds the CPU threads of every process that computes and is started from here; None: as the user's
    environment has it."""
    if count is not None:
        os.environ[resources.THREADS] = str(count)


def run(main: Callable[[], int]) -> typing.NoReturn:
    """Runs a command and exits with its status; the user's mistakes are one line on standard error."""

    def terminate(number: int, _: Any) -> None:
        raise Terminated(number)

    is_command = early.hand_over()

    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, terminate)
    logs.show()
    os.environ["PYTHONSAFEPATH"] = "1"  # no file in the user's folder stands in for a module of our children
    try:
        status = main()
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = SOME_FAILED
    except UserError as error:
        print(f"error: {in_words(error)}", file=sys.stderr)
        status = NO_ANSWER if isinstance(error, Unavailable) else WRONG_USAGE
    except OSError as error:
        print(f"error: {told(error)}", file=sys.stderr)
        status = SOME_FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = INTERRUPTED
    except Terminated as terminated:
        print(terminated, file=sys.stderr)
        status = STOPPED
    if is_command:
        early.listen()
    sys.exit(status)
