"""Options in YAML, what `--config` names and what a cluster is like: written, and read within bounds, and strictly."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError

from ecgan.errors import UserError, reason
from ecgan.files import DEEPEST, read_text

#: Bytes of the largest file, and how many values may be in it, those that an alias repeats counted each time. Files of
#: options hold a hundred or two.
_MOST, _MOST_VALUES = 1 << 20, 10_000
#: Characters of the longest value, as of the longest path. Longer ones crash libyaml, which looks for numbers in them.
LONGEST = 4096


def to_yaml(values: Mapping[str, Any]) -> str:
    """In their order, each on a line however long it is, so that a path can be copied."""
    return str(yaml.safe_dump(dict(values), sort_keys=False, width=float("inf")))


class _Loader(yaml.SafeLoader):
    """YAML without what surprises: a time like 24:00:00 is no number to the base of 60, 007 and a date are text, 1e-4
    is a number, a key stands once; and without what never ends."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open = 0  # lists and mappings around what is being read
        self._values: dict[int, int] = {}  # by a node's id, how many values it is, once it is whole

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        where: Any = event.start_mark
        if getattr(event, "tag", None) not in (None, "!", "tag:yaml.org,2002:str"):
            raise ComposerError(None, None, f"a type of its own ({event.tag}), which is not read", where)
        if self._open > DEEPEST:
            raise ComposerError(None, None, f"nested more than {DEEPEST} deep", where)
        self._open += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._open -= 1
        if isinstance(event, yaml.AliasEvent) and id(node) not in self._values:
            raise ComposerError(None, None, f"*{event.anchor} stands in itself", where)
        if isinstance(node, yaml.ScalarNode) and len(node.value) > LONGEST:
            raise ComposerError(None, None, f"a value of more than {LONGEST} characters", where)
        count = 1
        if isinstance(node, yaml.SequenceNode):
            count += sum(self._values[id(each)] for each in node.value)
        elif isinstance(node, yaml.MappingNode):
            count += sum(self._values[id(value)] for _, value in node.value)
        if count > _MOST_VALUES:
            raise ComposerError(None, None, f"more than {_MOST_VALUES} values", where)
        self._values[id(node)] = count
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise ComposerError(None, None, f"{key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if not tag.endswith((":int", ":float", ":timestamp"))]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_FLOAT = r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
for _kind, _form in (("int", r"[-+]?(0|[1-9]\d*)"), ("float", _FLOAT)):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"({_form})$"), list("-+.0123456789"))


def read_yaml(text: str) -> Any:
    """What a file of options, or a word of a command line, holds. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)


def read_options(path: Path, field: str, names: Collection[str]) -> dict[str, Any]:
    """The options in the file `path`, which was given as the setting `field`; empty if it holds none.

    Raises UserError that names the file: it can't be read, is no YAML, or has keys that are none of `names`.
    """
    try:
        values = read_yaml(read_text(path, _MOST))
    except OSError as error:
        raise UserError(reason(error), field=field, value=path) from None
    except ComposerError as error:  # well formed, but none of ours
        raise UserError(_where(error), field=field, value=path) from None
    except yaml.YAMLError as error:
        raise UserError(f"not YAML ({_where(error)})", field=field, value=path) from None
    except ValueError as error:
        raise UserError(f"not a text file ({error})", field=field, value=path) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError("not a list of options with their values", field=field, value=path)
    if unknown := [str(key) for key in values if key not in names]:
        raise UserError(f"no such option: {', '.join(unknown)}", field=field, value=path)
    return values


def _where(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())
