"""Which of many files make up one model: decided by their names alone.

Pickled weights run code while they are read, so none is ever chosen: only a ref that
names such a file itself gets it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pilotlight.errors import SourceError
from pilotlight.store.formats import PICKLES

_SPLIT = re.compile(r"(?P<base>.*)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_QUANTIZATION = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:I?Q\d+(?:_[A-Z0-9]+)*|TQ\d_\d|BF16|FP?(?:16|32)|MXFP4(?:_MOE)?))"
    r"(?=$|[-._])",
    re.IGNORECASE,
)
# Beside a model, not models: the part that sees, and statistics that quantizing used.
_NO_MODEL = re.compile(r"(?:^|[-._])(?:mmproj|imatrix)(?:$|[-._])", re.IGNORECASE)

_KEPT = (".json", ".jinja", ".safetensors", ".model", ".txt", ".tiktoken", ".py")
# sentence-transformers' steps, such as 1_Pooling, and further templates of transformers.
_KEPT_DIRECTORY = re.compile(r"\d+_[A-Za-z]+|additional_chat_templates")
_DUPLICATE = re.compile(r"consolidated.*|.*\.fp16")
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True, slots=True)
class Choice:
    """The files of one model; `entry` is the one that an engine is given, None for all."""

    names: tuple[str, ...]
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class Gguf:
    """One model in GGUF: a file, or the parts of a split one."""

    title: str
    """Its name without part and suffix."""

    parts: tuple[str, ...]
    expected: int

    @property
    def quantization(self) -> str:
        """``Q4_K_M`` and the like; of a name that has none, all of it."""
        for text in (posixpath.basename(self.title), posixpath.dirname(self.title)):
            if found := _QUANTIZATION.findall(text):
                return str(found[-1])
        return posixpath.basename(self.title)

    def choice(self, what: str) -> Choice:
        """Raises SourceError when parts are missing."""
        if len(self.parts) != self.expected:
            raise SourceError(
                f"{what!r} has {len(self.parts)} of the {self.expected} parts of {self.title!r}",
                hint="take another quantization, or ask its owner for the rest",
            )
        return Choice(self.parts, self.parts[0])


def parts_of(name: str) -> tuple[str, ...]:
    """All parts of the split GGUF that `name` is one of; `name` alone when it is none."""
    match = _SPLIT.fullmatch(name)
    if match is None:
        return (name,)
    count = int(match["count"])
    return tuple(
        f"{match['base']}-{part:05}-of-{count:05}.gguf" for part in range(1, count + 1)
    ) or (name,)


def choose(names: Iterable[str], what: str, *, how: str = "name one of {files}") -> Choice:
    """The one model in `names`: a directory with safetensors, an adapter, or a GGUF.

    Raises:
        SourceError: there is none, or several; says which. `what` names the place, and
            `how` to choose there, with {files} or {quantizations} in it.
    """
    there = sorted(names)
    if directory := _directory(there):
        return Choice(directory)
    models = ggufs(there)
    if len(models) == 1:
        return models[0].choice(what)
    if models:
        there_are = how.format(
            files=", ".join(model.parts[0] for model in models), quantizations=_listed(models)
        )
        raise SourceError(f"{what!r} holds {len(models)} models", hint=there_are)
    raise _no_model(there, what)


def choose_quantization(names: Iterable[str], wanted: str, what: str) -> Choice:
    """The GGUF of the quantization `wanted`, such as Q4_K_M, in any case.

    Raises:
        SourceError: there is none, or several; says which. `what` names the place.
    """
    models = ggufs(names)
    fitting = [model for model in models if model.quantization.lower() == wanted.lower()]
    # Names end in many ways: what isn't known as a quantization is still found by its text.
    fitting = fitting or [model for model in models if _mentions(model.title, wanted)]
    if len(fitting) == 1:
        return fitting[0].choice(what)
    if fitting:
        raise SourceError(
            f"{what!r} holds {len(fitting)} models of quantization {wanted!r}",
            hint=f"name the file: {', '.join(model.parts[0] for model in fitting)}",
        )
    if not models:
        raise SourceError(f"{what!r} holds no .gguf file", hint="quantizations are GGUF's")
    raise SourceError(f"{what!r} has no quantization {wanted!r}", hint=f"it has {_listed(models)}")


def ggufs(names: Iterable[str]) -> tuple[Gguf, ...]:
    """The models among `names`, by title."""
    parts: dict[tuple[str, int], list[str]] = {}
    for name in names:
        stem = posixpath.basename(name)[: -len(".gguf")]
        if not name.lower().endswith(".gguf") or _NO_MODEL.search(stem):
            continue
        match = _SPLIT.fullmatch(name)
        key = (match["base"], int(match["count"])) if match else (name[: -len(".gguf")], 1)
        parts.setdefault(key, []).append(name)
    return tuple(
        Gguf(title, tuple(sorted(found)), count) for (title, count), found in sorted(parts.items())
    )


def is_pickled(name: str) -> bool:
    return name.lower().endswith(PICKLES)


def _directory(names: Sequence[str]) -> tuple[str, ...]:
    """What makes up a model of safetensors; nothing when `names` hold none."""
    if "config.json" not in names and all(name in names for name in _ADAPTER):
        return _ADAPTER
    if "config.json" not in names and "params.json" not in names:
        return ()
    weights = _weights([name for name in names if "/" not in name])
    kept = [name for name in names if _is_kept(name) and name not in weights.left_out]
    return tuple(kept) if weights.chosen else ()


@dataclass(frozen=True, slots=True)
class _Weights:
    chosen: frozenset[str]
    left_out: frozenset[str]


def _weights(names: Sequence[str]) -> _Weights:
    """Of the same weights in several forms the one that transformers would load."""
    every = frozenset(name for name in names if name.endswith(".safetensors"))
    models = every - {_ADAPTER[1]} or every
    plain = {name for name in models if not _DUPLICATE.fullmatch(name[: -len(".safetensors")])}
    chosen = frozenset(plain) or models
    if "model.safetensors" in chosen and "model.safetensors.index.json" not in names:
        chosen = frozenset({"model.safetensors"})
    return _Weights(chosen, every - chosen)


def _is_kept(name: str) -> bool:
    directory, base = posixpath.split(name)
    if directory and not _KEPT_DIRECTORY.fullmatch(directory):
        return False
    return base.endswith(_KEPT) and not base.startswith(".")


def _mentions(title: str, wanted: str) -> bool:
    return bool(
        re.search(rf"(?:^|[-._/]){re.escape(wanted)}(?=$|[-._/])", title, flags=re.IGNORECASE)
    )


def _listed(models: Sequence[Gguf]) -> str:
    """Quantizations where they tell the models apart, else files."""
    named = [model.quantization for model in models]
    if len({name.lower() for name in named}) < len(named):
        named = [model.parts[0] for model in models]
    return ", ".join(sorted(named))


def _no_model(names: Sequence[str], what: str) -> SourceError:
    pickles = [name for name in names if is_pickled(name)]
    if pickles:
        return SourceError(
            f"the weights in {what!r} are pickled, and may run code as they are read: {pickles[0]}",
            hint="take a model with .safetensors or .gguf files, or name one file of it yourself",
        )
    shown = f"it has {', '.join(names[:8])}" if names else "it is empty"
    return SourceError(f"{what!r} holds no model: no .safetensors and no .gguf file", hint=shown)
