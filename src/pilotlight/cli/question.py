"""What `pilotlight plan` was asked, kept so that `plan explain` and the like can ask it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotlight.config import Settings
from pilotlight.durable import write_text
from pilotlight.errors import PlanError

if TYPE_CHECKING:
    from pilotlight.planner.plan import Answer
    from pilotlight.planner.search import Search


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`flags` are the requirements that were given, by parameter's name; see plan_options."""

    model: str | None
    grade: str | None = None
    here: bool = False
    flags: Mapping[str, Any] = field(default_factory=dict)

    def changed(self, flags: Mapping[str, Any]) -> Question:
        """The same with some flags otherwise; a load said in another way replaces the old one."""
        gone = {other for name in flags for other in _REPLACED.get(name, ())}
        kept = {name: value for name, value in self.flags.items() if name not in gone}
        return replace(self, flags={**kept, **flags})


_REPLACED: Mapping[str, tuple[str, ...]] = {
    "rps": ("users", "per_user_hour", "profile", "trace"),
    "users": ("rps", "profile", "trace"),
    "profile": ("rps", "users", "per_user_hour", "hours", "trace"),
    "trace": ("rps", "users", "per_user_hour", "hours", "profile"),
}
"""What one way to say the load leaves no place for."""


def ask(question: Question, settings: Settings) -> tuple[Answer, Search]:
    """Reads the facts and searches them: seconds, and no network unless the model is a ref.

    Raises:
        PlanError, ConfigError, StoreError: what was asked can't be, or the facts can't be read.
    """
    from pilotlight.cli.plan_facts import facts, read_catalog, variants_of
    from pilotlight.cli.plan_options import requirements
    from pilotlight.planner.advice import advice
    from pilotlight.planner.search import Search

    catalog = read_catalog(settings)
    asked = requirements(question.flags, catalog)
    variants = variants_of(
        catalog, settings, question.model, question.grade, asked.limits.quantizations
    )
    search = Search(variants, facts(catalog, settings, here=question.here))
    answer = search.answer(asked)
    if question.here:
        from pilotlight.cli.plan_here import with_engines_answer

        answer = with_engines_answer(answer, settings)
    hints = advice(answer, catalog.quantizations, catalog.models)
    return replace(answer, advice=hints), search


def remember(question: Question, settings: Settings) -> None:
    """Best effort: a read-only home takes nothing from the plan itself."""
    document = {
        "model": question.model and _model(question.model),
        "grade": question.grade,
        "here": question.here,
        "flags": {
            name: _from_anywhere(value) if name == "trace" else value
            for name, value in question.flags.items()
        },
    }
    try:
        write_text(_path(settings), json.dumps(document, indent=1))
    except OSError:
        pass


def _model(text: str) -> str:
    """A catalog's name stays one, even where a directory is called so."""
    return _from_anywhere(text) if "/" in text or text.endswith(".gguf") else text


def _from_anywhere(text: str) -> str:
    """A path of a file that is there, as it is called from any directory; else the text."""
    path = Path(text).expanduser()
    return str(path.absolute()) if path.exists() else text


def remembered(settings: Settings) -> Question:
    """Raises PlanError: there is none."""
    try:
        found = json.loads(_path(settings).read_text(encoding="utf-8"))
        return Question(
            model=found["model"], grade=found["grade"], here=found["here"], flags=found["flags"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise PlanError(
            "no plan was made yet", hint="make one first: pilotlight plan MODEL"
        ) from None


def _path(settings: Settings) -> Path:
    return settings.data_dir / "plans" / "last.json"
