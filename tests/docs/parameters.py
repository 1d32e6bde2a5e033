"""The parameters in docs/api.md, written from the gateway's own request tables.

python -m docs.parameters      from tests/, after a table has changed
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pilotlight.core import Capabilities, Operation
from pilotlight.engines.llamacpp.engine import ENDPOINTS
from pilotlight.engines.llamacpp.request_fields import PARAMETERS
from pilotlight.gateway.wire.fields import TABLES, honoured
from pilotlight.gateway.wire.table import NoOp, Table
from pilotlight.gateway.wire.tables import ollama, ollama_options

from .blocks import REPOSITORY

BEGIN = "<!-- generated: tests/docs/parameters.py -->"
END = "<!-- end of generated -->"

LLAMACPP = Capabilities(frozenset(ENDPOINTS), {op: PARAMETERS[op] for op in ENDPOINTS})

PATHS: Mapping[Operation, str] = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
    Operation.RESPONSES: "/v1/responses",
    Operation.MESSAGES: "/v1/messages",
    Operation.COUNT_TOKENS: "/v1/messages/count_tokens",
    Operation.TOKENIZE: "/tokenize",
    Operation.DETOKENIZE: "/detokenize",
    Operation.RERANK: "/v1/rerank",
    Operation.PREDICT: "/v1/predict",
    Operation.RERANK: "/v1/rerank",
    Operation.PREDICT: "/v1/predict",
}


def render() -> str:
    parts = [_section(PATHS[op], table, _by_llamacpp(op)) for op, table in TABLES.items()]
    parts += [_section(f"/api/{r}", table, frozenset()) for r, table in ollama.TABLES.items()]
    return "\n\n".join([*parts, _options()])


def _by_llamacpp(operation: Operation) -> frozenset[str]:
    """In its own words, and where it lacks them carried by its chat."""
    without = Capabilities(LLAMACPP.operations - {operation}, LLAMACPP.parameters)
    own = honoured(operation, LLAMACPP) if operation in LLAMACPP.operations else frozenset()
    carried = operation in (Operation.RESPONSES, Operation.MESSAGES)
    return own | (honoured(operation, without) if carried else frozenset())


def _section(path: str, table: Table, extras: frozenset[str]) -> str:
    lines = [f"### `POST {path}`", ""]
    if table.required:
        lines.append(f"- Required: {_names(table.required)}.")
    if table.core:
        lines.append(f"- Honoured: {_names(table.core)}.")
    if beyond := sorted(extras - set(table.core)):
        lines.append(f"- Honoured by llama.cpp besides: {_names(beyond)}.")
    lines.append(f"- Acted on by the gateway: {_names(table.handled)}.")
    if table.open:
        lines.append("- Every other field is the model's own.")
    rules = {name: rule for name, rule in table.no_op.items() if name not in extras}
    return "\n".join([*lines, *_only_as(rules)])


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _only_as(rules: Mapping[str, NoOp]) -> Iterator[str]:
    if rules:
        yield from ("", "| field | accepted as | because |", "| --- | --- | --- |")
    for name, rule in rules.items():
        yield f"| `{name}` | {_values(rule.values)} | {rule.reason} |"


def _values(values: tuple[Any, ...]) -> str:
    return ", ".join(f"`{json.dumps(value)}`" for value in values) or "`null`"


def _options() -> str:
    rules = ollama_options._NO_OP
    return "\n".join([
        "### `options` of Ollama's requests",
        "",
        f"- Honoured, for answers: {_names(ollama_options.OPTIONS)}.",
        "- Accepted when it is what the model runs with, and else set in the model's own options:",
        f"  {_names(sorted(ollama_options.LOAD_TIME))}.",
        *_only_as(rules),
    ])  # fmt: skip


def main() -> None:
    page = REPOSITORY / "docs" / "api.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{render()}\n\n{END}{after}")


if __name__ == "__main__":
    main()
