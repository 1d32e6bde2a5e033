"""config.example.yaml and docs/configuration.md, written from the declared settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from pilotlight import config
from pilotlight.cli.flags import show, show_default
from pilotlight.cli.table import markdown
from pilotlight.config import DEFAULT_MODELS, Declared, ModelPolicy, ModelSettings

_EXAMPLE_HEAD = """\
# Pilotlight: every setting, with its default or, where that is empty, an example.
# A line that begins with # and a space explains; take the # off any other to set it.
# Start with: pilotlight serve FILE
"""

_REFERENCE_HEAD = """\
# Configuration

Every setting has one declaration, and from it a flag of `pilotlight serve`, an environment
variable and a key in a YAML file. Where several set it, the first of these wins:

1. the flag,
2. the environment variable,
3. the file named on the command line (`pilotlight serve FILE`),
4. the default.

No file is picked up by itself, not even a `pilotlight.yaml` in the current directory: what a
server runs with is what its command line names. An unknown key, flag or `PILOTLIGHT_` variable
is an error, and so is a key written twice. `pilotlight config check FILE` shows what is in force
and where each value came from; `pilotlight config example` prints a file with every setting.

Durations are written `500ms`, `30s`, `5m`, `1h`, `30d` or `forever`; sizes `512MiB` or `8GB`;
lists as YAML lists, or separated by commas in a flag or variable. A secret has no flag, for every
user of a machine can read a command line. `data_dir` follows `XDG_DATA_HOME` where that is set.

The client commands (`chat`, `ps`, `load`, …) read two variables of their own: `PILOTLIGHT_URL`,
the address of the server, and `PILOTLIGHT_API_KEY`, the key to present.
"""

_MODELS_HEAD = """\
## models

`models` maps a served name to what serves it: `name: ref`, or `name:` and the keys below. What a
model leaves out comes from `defaults`. Without any model, {default} is served and kept ready.
"""


_DEPLOY_HEAD = """\
## deploy

What `pilotlight deploy` reads of the file, and `pilotlight serve` doesn't. A target's own section
wins over the common keys beside it, and `--set KEY=VALUE` over both; what neither says is the
plan's, where there is one.
"""


_CLOUD = {
    "ref": "openai:big-one",
    "engine": "openai",
    "options": {
        "base_url": "https://api.example.com/v1",
        "api_key_env": "CLOUD_KEY",
        "context": 128000,
        "usd_per_mtok_in": 1.0,
        "usd_per_mtok_out": 4.0,
    },
}


def example() -> str:
    """The text of config.example.yaml: valid as it is, and with every line uncommented."""
    lines = [_EXAMPLE_HEAD]
    for item in config.declared():
        lines += _opened_sections(lines, item)
        lines += _setting_lines(item, depth=len(item.path) - 1)
    return "\n".join([*lines, *_example_deploy(), *_example_models(), ""])


def _example_deploy() -> Iterator[str]:
    from pilotlight.deploy.section import own_settings, sections
    from pilotlight.deploy.settings import Common

    yield from ("", "# what `pilotlight deploy` reads, and `serve` doesn't", "deploy:")
    for item in config.declared(Common):
        yield from _setting_lines(item, depth=1)
    for name, kind in sections().items():
        lines = [f"  {name}:"]
        for item in own_settings(kind, ("deploy", name)):
            lines += _opened_sections(["deploy:", *lines], item)
            lines += _setting_lines(item, depth=len(item.path) - 1)
        yield from lines
        for key, help, example in config.mappings(kind):
            yield from (f"    # {help}", f"    #{key}: {_flow(example)}")


def _opened_sections(lines: list[str], item: Declared) -> Iterator[str]:
    for depth, section in enumerate(item.path[:-1]):
        header = f"{'  ' * depth}{section}:"
        if header not in lines:
            yield from ("", header) if depth == 0 else (header,)


def _setting_lines(item: Declared, depth: int) -> list[str]:
    indent = "  " * depth
    value = item.default if item.default not in (None, ()) else item.example
    text = item.shown or (_flow(value) if item.default in (None, ()) else show(item, value))
    if item.default is None and value is None and not item.shown:
        text = "null"
    return [f"{indent}# {item.help}", f"{indent}#{item.path[-1]}: {text}"]


def _flow(value: Any) -> str:
    """JSON is YAML; a plain text that YAML reads as itself goes without quotes."""
    return value if isinstance(value, str) else json.dumps(value if value is not None else [])


def _example_models() -> Iterator[str]:
    yield from ("", "models:")
    for name, entry in DEFAULT_MODELS.items():
        yield f"  {json.dumps(name)}:"
        for item in _model_settings():
            if item.path == ("ref",):
                yield from (f"    # {item.help}", f"    ref: {entry['ref']}")
            else:
                yield from _setting_lines(item, depth=2)
        yield from _mapping_lines()
    yield from ("  # a model that somebody else runs, for what is too much for this machine",
                f"  #cloud: {_flow(_CLOUD)}")  # fmt: skip


def _mapping_lines() -> Iterator[str]:
    for name, help, example in config.mappings(ModelSettings):
        yield from (f"    # {help}", f"    #{name}: {_flow(example)}")


def _model_settings() -> list[Declared]:
    """A model's own settings first, then the policies it shares with `defaults`."""
    shared = {item.path for item in config.declared(ModelPolicy)}
    return sorted(config.declared(ModelSettings), key=lambda item: item.path in shared)


def reference() -> str:
    """The text of docs/configuration.md."""
    sections = [_REFERENCE_HEAD]
    for title, items in groupby(config.declared(), key=lambda item: ".".join(item.path[:-1])):
        sections.append(_section(title or "Server", list(items)))
    names = ", ".join(f"`{name}` (`{entry['ref']}`)" for name, entry in DEFAULT_MODELS.items())
    rows = [[f"`{i.path[-1]}`", _default(i), _meaning(i)] for i in _model_settings()]
    rows += [
        [f"`{name}`", "", f"{help}; such as `{_flow(example)}`"]
        for name, help, example in config.mappings(ModelSettings)
    ]
    models = (
        _MODELS_HEAD.format(default=names) + "\n" + markdown(["key", "default", "meaning"], rows)
    )
    return "\n\n".join([*(section.rstrip() for section in sections), models, *_deploy()]) + "\n"


def _deploy() -> Iterator[str]:
    """What holds for every target, then each one's own."""
    from pilotlight.deploy.section import own_settings, sections
    from pilotlight.deploy.settings import Common

    yield _DEPLOY_HEAD + "\n" + _keys([*config.declared(Common)])
    for name, kind in sections().items():
        rows = [*own_settings(kind)]
        yield f"## deploy.{name}\n\n{_keys(rows, kind)}"


def _keys(items: Sequence[Declared], kind: type[Any] | None = None) -> str:
    """Without flags and variables: these are read by `pilotlight deploy` alone."""
    rows = [[f"`{'.'.join(i.path)}`", _default(i), _meaning(i)] for i in items]
    rows += [
        [f"`{name}`", "", f"{help}; such as `{_flow(example)}`"]
        for name, help, example in (config.mappings(kind) if kind else ())
    ]
    return markdown(["key", "default", "meaning"], rows)


def _section(title: str, items: Sequence[Declared]) -> str:
    rows = [
        [
            f"`{item.path[-1]}`",
            "" if item.secret else f"`{item.flag}`",
            f"`{item.env}`",
            _default(item),
            _meaning(item),
        ]
        for item in items
    ]
    header = ["key", "flag", "environment variable", "default", "meaning"]
    return f"## {title}\n\n{markdown(header, rows)}"


def _default(item: Declared) -> str:
    text = show_default(item)
    return f"`{text}`" if text else ""


def _meaning(item: Declared) -> str:
    return f"{item.help}; {item.expects}"
