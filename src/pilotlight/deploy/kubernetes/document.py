"""One Kubernetes object as plain data, with the reason for it that stands above it in its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """`group` is the file that it stands in, without its ending."""

    group: str
    why: str
    body: Body

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        """None for what belongs to the whole cluster."""
        found = self.body["metadata"].get("namespace")
        return None if found is None else str(found)

    @property
    def resource(self) -> str:
        return resource_name(self.body)


def resource_name(body: Mapping[str, Any]) -> str:
    """``deployment/chat/chat-llama``: kind, namespace and name; kind and name for a cluster's."""
    metadata = body["metadata"]
    parts = (str(body["kind"]).lower(), metadata.get("namespace"), metadata["name"])
    return "/".join(part for part in parts if part is not None)


def metadata(name: str, namespace: str | None, labels: Mapping[str, str], **more: Any) -> Body:
    place = {} if namespace is None else {"namespace": namespace}
    return {"name": name, **place, "labels": dict(labels), **more}


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as such, sequences indented, no anchors: for people to read."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dumped(body: Mapping[str, Any]) -> str:
    text: str = yaml.dump(body, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def commented(why: str, text: str) -> str:
    return "".join(f"# {line}\n" for line in why.splitlines()) + text


def stream(documents: Iterable[Document]) -> str:
    """All of them in one file."""
    return "---\n".join(commented(each.why, dumped(each.body)) for each in documents)
