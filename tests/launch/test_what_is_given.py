"""What users write on command lines and in YAML and no option may be: every option of every command, in process."""

from __future__ import annotations

import dataclasses
import os
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from ecgan.errors import UserError
from jobs.audit import AuditSettings
from jobs.generate.settings import GenerateSettings
from jobs.given import insist_on_usable
from jobs.options import in_words, parse_size
from jobs.results.gallery.make import GallerySettings
from jobs.results.pack import PackSettings
from jobs.results.pick import PickSettings
from jobs.score.settings import ScoreSettings
from jobs.train.settings import TrainSettings
from launch.cancel import CancelSettings
from launch.cluster_options import RunOptions
from launch.command import parse
from launch.convert import ConvertSettings
from launch.doctor import DoctorSettings
from launch.experiment import ExperimentSettings
from launch.status import StatusSettings
from slurm.options import SlurmOptions
from slurm.site import Site, read_site

COMMANDS: list[type] = [
    *(AuditSettings, CancelSettings, ConvertSettings, DoctorSettings, ExperimentSettings, GallerySettings),
    *(
        GenerateSettings,
        PackSettings,
        PickSettings,
        ScoreSettings,
        SlurmOptions,
        StatusSettings,
        RunOptions,
        TrainSettings,
    ),
]
#: Options that are text and no path.
TEXT = {"augment", "cluster", "exclude", "which_epoch", "size", "network_size", "variant"} | {
    *("partition", "account", "qos", "constraint", "memory", "time", "notify"),
}


def options() -> Iterator[tuple[type, dataclasses.Field[Any], Any]]:
    for command in COMMANDS:
        hints = typing.get_type_hints(command)
        yield from ((command, field, hints[field.name]) for field in dataclasses.fields(command) if field.metadata)


def of_kind(kind: object) -> list[tuple[type, str]]:
    """(command, option) of all options that may be a `kind`."""
    found = [(command, field.name, hint) for command, field, hint in options()]
    return [(command, name) for command, name, hint in found if hint is kind or kind in typing.get_args(hint)]


def insisted(command: type, name: str, value: object) -> str:
    """What a person reads if this option of the command has the value `value`, and the others their defaults."""
    given = {field.name: field.default for field in dataclasses.fields(command)}
    with pytest.raises(UserError) as caught:
        insist_on_usable(command, given | {name: value})
    return in_words(caught.value)


def told(command: type, *words: str) -> str:
    """What a person reads who gives such words."""
    with pytest.raises(UserError) as caught:
        parse(command, "", words)
    return in_words(caught.value)


def written(folder: Path, text: str) -> str:
    (folder / "c.yaml").write_text(text)
    return f"--config={folder / 'c.yaml'}"


def test_no_command_is_left_out() -> None:
    sources = [path.read_text() for path in (ROOT / "launch").glob("*.py")]
    named = {name for source in sources for name in re.findall(r"\b[A-Z]\w+Settings\b", source)}
    named -= {"ShardedSettings"}  # what the flow asks of two of them
    assert named | {"RunOptions", "SlurmOptions"} == {command.__name__ for command in COMMANDS}


def test_text_is_a_path_or_known_to_be_none() -> None:
    marked = {field.name: field.metadata["path"] for _, field, _ in options()}
    assert {name for _, name in of_kind(str) if not marked[name]} == TEXT


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_looks_at_what_it_is_given(command: type, tmp_path: Path) -> None:
    hints = typing.get_type_hints(command)
    fields = (field for field in dataclasses.fields(command) if field.metadata)
    name = next((field.name for field in fields if type(None) not in typing.get_args(hints[field.name])), None)
    required = (CancelSettings, ConvertSettings, ExperimentSettings)  # is what has no default in these
    if name and command not in required:
        assert told(command, written(tmp_path, f"{name}:\n")).startswith(f"--{name}: has no value")


def test_a_blank_value_is_refused_by_name() -> None:
    for command, field, hint in options():
        if type(None) not in typing.get_args(hint):
            line = insisted(command, field.name, None)
            assert line == f"--{field.name}: has no value; leave it out for its default"


def test_text_with_nothing_in_it_is_refused_by_name(tmp_path: Path) -> None:
    for command, name in of_kind(str):
        if name in TEXT:
            assert insisted(command, name, " ") == f"--{name} is empty; leave it out for its default"
    for name in ("partition", "account", "time", "launcher"):
        (tmp_path / "site.yaml").write_text(f'{name}: ""\n')
        with pytest.raises(UserError, match=f"{name} of the cluster is empty"):
            read_site(tmp_path / "site.yaml")


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "1e400"])
def test_what_is_no_number_is_refused_by_name(value: str, tmp_path: Path) -> None:
    for command, name in of_kind(float):
        assert insisted(command, name, float(value.replace(".", ""))).startswith(f"--{name} is ")
    assert told(TrainSettings, written(tmp_path, f"lr: {value}\n")).startswith("--lr is ")
    assert told(TrainSettings, f"--lr={value}").startswith("--lr is ")


def test_a_number_fits_64_bits() -> None:
    for command, name in of_kind(int):
        assert insisted(command, name, 10**30).startswith(f"--{name} is too large")


@pytest.mark.parametrize("fault", ["", " ", "~nosuchuser/x", "loop", "loop/x", "n" * 300, "a\0b", "\ud800"])
def test_a_path_that_can_not_be_one_is_refused_by_name(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    shown = fault[:100] if fault.strip() and fault.isprintable() else ascii(fault)
    for command, field, _ in options():
        if field.metadata["path"]:
            positional = field.metadata["positional"]
            line = insisted(command, field.name, (fault,) if positional else fault)
            assert line.startswith(shown if positional else f"--{field.name} {shown}")


@pytest.mark.parametrize("fault", ["", "~nosuchuser/x"])
def test_words_that_are_no_paths(fault: str) -> None:
    shown = fault or "''"
    assert told(TrainSettings, "--run-dir", fault).startswith(f"--run_dir {shown}: ")
    assert told(StatusSettings, ".", fault).startswith(f"{shown}: ")


@pytest.mark.parametrize("fault", [r"a\0b", r"\ud800"])
def test_what_is_no_name_of_a_file_can_only_come_from_one(fault: str, tmp_path: Path) -> None:
    assert told(PackSettings, written(tmp_path, f'results: "{fault}"\n')).startswith("--results '")


def test_the_home_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    assert "no home folder is known" in told(PackSettings, "--results", "~/x")


def test_other_paths_are_left_to_the_command(tmp_path: Path) -> None:
    (tmp_path / "a\udcff").touch()
    for name in ("not there", "a\udcff", "~", "[", "a: b", "*x", "{"):
        assert parse(PackSettings, "", ["--results", str(tmp_path / name)])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--label_nc 300", "--label_nc is 300; it must be 1 to 256"),
        ("--label_nc 256 --contain_dontcare_label", "there are 257 classes"),
        ("--num_D 40", "--num_D is 40; it must be 1 to 8"),
        ("--n_layers_D 30", "--n_layers_D is 30; it must be 1 to 8"),
        ("--num_D 5 --n_layers_D 4 --size 64x64", "--num_D 5 and --n_layers_D 4 halve a picture 7 times"),
        ("--ngf 1000000", "--ngf is 1000000"),
        ("--ndf 1000000", "--ndf is 1000000"),
        ("--z_dim 1000000", "--z_dim is 1000000"),
        ("--size 64000x64000", "--size is 64000x64000; it must be at most 65500 on a side"),
    ],
)
def test_networks_that_can_not_be_built(words: str, line: str) -> None:
    assert told(TrainSettings, *words.split()).startswith(line)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (TrainSettings, "--eval_every_epochs 5"),
        (TrainSettings, "--vgg_weights vgg19.pkl --lambda_vgg 0"),
        (TrainSettings, "--guide network --lambda_tone 1"),
        (TrainSettings, "--samples 8 --display_every_steps 0"),
        (TrainSettings, "--which_epoch 3"),
        (TrainSettings, "--init_variance 0.5 --init_type kaiming"),
        (TrainSettings, "--ngf 8 --network segmenter"),
        (GenerateSettings, "--quality 80 --format png"),
        (ScoreSettings, "--aesthetic_weights w"),
        (DoctorSettings, "--checkpoint c"),
    ],
)
def test_what_would_do_nothing_is_refused_by_name(command: type, words: str) -> None:
    assert told(command, *words.split()).startswith(f"{words.split()[0]} ")


@pytest.mark.parametrize("command", [AuditSettings, GallerySettings, PickSettings, ScoreSettings])
@pytest.mark.parametrize("classes", [0, 300])
def test_a_mask_has_a_byte_for_each_pixel(command: type, classes: int) -> None:
    assert told(command, f"--label_nc={classes}").startswith(f"--label_nc is {classes}")


@pytest.mark.parametrize("text", ["70000x16", "16x65501", "60000x60000", "9" * 4000 + "x1", "٣x٤", "0x1", "1x"])
def test_sizes_that_no_picture_can_have(text: str) -> None:
    with pytest.raises(UserError, match="--size is"):
        parse_size("--size", text)
    assert parse_size("--size", "65500x16") == (65500, 16)


DEEP = "[" * 30_000
BOMB = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 10)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (DEEP, "line 1: nested more than 32 deep"),
        ("a: " + "{a: " * 40, "line 1: nested more than 32 deep"),
        (BOMB, "line 4: more than 10000 values"),
        ("a: &a [*a]", r"line 1: \*a stands in itself"),
        ("a: &a {b: *a}", r"line 1: \*a stands in itself"),
        ("nodes: 2\nnodes: 3", "line 2: nodes stands twice"),
        ("nodes: !!int 2", "line 1: a type of its own"),
        (f"account: {'9' * 5000}", "line 1: a value of more than 4096 characters"),
        (f"account: '{DEEP}'", "line 1: a value of more than 4096 characters"),
        ("account: [", "not YAML .*line 1"),
        ("account: a\0b", "not YAML"),
        ("- nodes", "not a list of options"),
        ("nosuch: 1\nneither: 2", "no such option: nosuch, neither"),
        (b"account: \xff", "not a text file .*not UTF-8"),
        (bytes(range(128, 256)), "not a text file"),
        ("#" * (1 << 21), ".* at most 1048576 are read"),
    ],
    ids=lambda value: ascii(value)[:20],
)
@pytest.mark.parametrize("option", ["config", "cluster_config"])
def test_a_file_that_can_not_be_used_is_named(option: str, content: str | bytes, fact: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refuses(option, path, fact)


def refuses(option: str, path: Path, fact: str) -> None:
    with pytest.raises(UserError) as caught:
        if option == "config":
            parse(SlurmOptions, "", [f"--config={path}"])
        else:
            read_site(path)
    assert re.match(f"--{option} {re.escape(str(path))}: {fact}", in_words(caught.value))


@pytest.mark.parametrize("option", ["config", "cluster_config"])
def test_what_is_no_file_is_named(option: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    refuses(option, tmp_path / "fifo", "a FIFO, not a file")
    refuses(option, tmp_path, "a folder, not a file")
    refuses(option, tmp_path / "none", "No such file")


def test_an_empty_file(tmp_path: Path) -> None:
    assert told(PackSettings, written(tmp_path, "# nothing\n")) == f"--config {tmp_path / 'c.yaml'}: no options in it"
    assert read_site(tmp_path / "c.yaml") == Site()
    assert told(PackSettings, "--config=").startswith("--config '': an empty path")


def test_aliases_that_end_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("account: &us us\nqos: *us\nenvironment: {<<: {A: 1}, A: 2}\n")
    site = read_site(tmp_path / "c.yaml")
    assert (site.account, site.qos, site.environment) == ("us", "us", {"A": "2"})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("watch: 5", "watch is 5; it must be true or false"),
        ("run_dirs: runs/a", "run_dirs is 'runs/a'; it must be a list"),
        ("run_dirs: []", "run_dirs is []; it must be a list"),
    ],
)
def test_a_file_s_values_have_their_type(text: str, line: str, tmp_path: Path) -> None:
    assert f"c.yaml: {line}" in told(StatusSettings, written(tmp_path, text))


@pytest.mark.parametrize(
    ("command", "text", "line"),
    [
        (GenerateSettings, "shards: x", "--shards: Expected"),
        (GenerateSettings, "format: gif", "--format: Expected"),
        (StatusSettings, "run_dirs: [3]", "--run_dirs element 1: Expected"),
    ],
)
def test_a_wrong_type_names_option_and_file(
    command: type, text: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(command, "", [written(tmp_path, text)])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"error: --config {tmp_path / 'c.yaml'}: {line}")


def test_a_word_of_a_command_line_is_no_longer_than_a_path() -> None:
    assert "more than 4096 characters" in told(GenerateSettings, "--shards", DEEP)
