"""What a release is made from: a plan, or a configuration with a `deploy` section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pilotlight import config
from pilotlight.engines import system_prompts
from pilotlight.errors import ConfigError
from pilotlight.planner.document import plan_at, read
from pilotlight.planner.plan import Answer, Plan
from pilotlight.planner.serve_file import serve_tree
from pilotlight.values import SECRETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """`serve` is a pilotlight.yaml as plain data, without its `deploy` section."""

    name: str
    """Of the file, for errors and for whoever looks at a release."""

    serve: Mapping[str, Any]
    section: Mapping[str, Any] = field(default_factory=dict)
    plan: Plan | None = None
    answer: Answer | None = None
    """That the plan is one of, with what it was made for."""


def of_plan(data: bytes, name: str, *, rank: int = 1, ref: str | None = None) -> Source:
    """One plan of a file of `plan --json`; `ref` goes before the plan's own.

    Raises:
        PlanError: it is no plan, has none of that rank, or nobody knows where the weights are.
    """
    answer = read(data, name)
    plan = plan_at(answer, rank, name)
    return Source(name=name, serve=serve_tree(plan, ref), plan=plan, answer=answer)


def of_file(path: Path) -> Source:
    """A configuration. Blocks on reading it.

    Raises:
        ConfigError: it can't be read, can't be served, or holds a secret.
    """
    tree = dict(config.read_file(path))
    config.load(path, environ={})  # what can't be served can't be deployed
    _refuse_secrets(tree, str(path))
    section = tree.pop("deploy", None) or {}
    models = tree.get("models") or config.DEFAULT_MODELS
    tree["models"] = {name: _with_prompts(entry) for name, entry in models.items()}
    return Source(name=str(path), serve=tree, section=section)


def _with_prompts(entry: Any) -> Any:
    """With the words of its system prompts' files: an instance hasn't got the files."""
    given = entry.get("system_prompts") if isinstance(entry, Mapping) else None
    if not given:
        return entry
    texts = (given,) if isinstance(given, str) else given
    return {**entry, "system_prompts": [_prompt(str(text)) for text in texts]}


def _prompt(given: str) -> str:
    """What isn't a file here may be one in the image, and stays as it is."""
    mark = system_prompts.FILE_MARK
    if not (given.startswith(mark) and Path(given.removeprefix(mark)).expanduser().is_file()):
        return given
    found = system_prompts.read((given,), Path())
    return found.texts[0] if found else given


def planned(plan: Source, file: Source) -> Source:
    """Both: the plan says which model on what, the file everything else."""
    return replace(plan, serve={**file.serve, **plan.serve}, section=file.section)


def _refuse_secrets(tree: Mapping[str, Any], name: str) -> None:
    """They would be in every rendered file, and readable at the platform."""
    for item in config.declared():
        inner: Any = tree
        for part in item.path:
            inner = inner.get(part) if isinstance(inner, Mapping) else None
        if inner is not None and item.path[-1] in SECRETS:
            raise ConfigError(
                f"{name}: {'.'.join(item.path)} is a secret, and what is deployed can be read",
                hint=f"take it out, and give instances the variable {item.env}",
            )
