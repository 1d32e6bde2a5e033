"""What of a subject may go into a file that others read."""

from __future__ import annotations

from dataclasses import fields
from urllib.parse import urlsplit, urlunsplit

from pilotlight.bench.report import Tested
from pilotlight.bench.subjects.subject import Subject


def tested(subject: Subject) -> Tested:
    """Without its key, process, and what of its address may be a secret."""
    kept = {field.name for field in fields(Tested)} & {field.name for field in fields(Subject)}
    facts = {name: getattr(subject, name) for name in kept}
    return Tested(**{**facts, "url": without_secrets(subject.url)})


def without_secrets(url: str) -> str:
    """A user's name, password and query are nobody's business."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
