"""A service's log lines, out of Cloud Logging's REST interface."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pilotlight.deploy.cloud_run.connection import Connection, refusals
from pilotlight.errors import DeployError

PAGE = 1000
FOLLOW_S = 2.0
"""Cloud Logging allows a project 60 reads a minute."""

LATE_S = 30.0
"""How much later than its own time an entry may come in and still be seen."""


def lines(
    connection: Connection,
    *,
    service: str,
    region: str,
    since_s: float,
    follow: bool,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """In order of time as far as known; with `follow`, until the caller stops asking."""
    asked = now()
    since, seen = asked - timedelta(seconds=since_s), frozenset[str]()
    while True:
        entries = list(_entries(connection, _filter(service, region, since)))
        yield from (text_of(entry) for entry in entries if entry["insertId"] not in seen)
        if not follow:
            return
        # What came late is in the next answer too; this one's ids tell it from what was shown.
        seen = frozenset(entry["insertId"] for entry in entries)
        since = max(since, asked - timedelta(seconds=LATE_S))
        sleep(FOLLOW_S)
        asked = now()


def _filter(service: str, region: str, since: datetime) -> str:
    return (
        'resource.type="cloud_run_revision"'
        f' AND resource.labels.service_name="{service}"'
        f' AND resource.labels.location="{region}"'
        f' AND timestamp>="{since.isoformat()}"'
    )


def _entries(connection: Connection, filter: str) -> Iterator[Mapping[str, Any]]:
    """Raises DeployError: Cloud Logging refused."""
    body = {
        "resourceNames": [f"projects/{connection.project}"],
        "filter": filter,
        "orderBy": "timestamp asc",
        "pageSize": PAGE,
    }
    while True:
        answer = _ask(connection, body)
        yield from answer.get("entries", [])
        if not (page := answer.get("nextPageToken")):
            return
        body = {**body, "pageToken": page}


def _ask(connection: Connection, body: Mapping[str, Any]) -> Any:
    with refusals("to show its log"):
        answer = connection.session.post(
            f"{connection.logging_url}/v2/entries:list", json=body, timeout=60
        )
    if answer.status_code != 200:
        try:
            words = answer.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            words = answer.text[:200]
        raise DeployError(
            f"Cloud Logging refused to read: {words} ({answer.status_code})",
            hint="ask for roles/logging.viewer in the project",
        )
    return answer.json()


def text_of(entry: Mapping[str, Any]) -> str:
    """``2026-11-20T18:00:00Z INFO …``: a request's line, a text or our own JSON."""
    head = f"{entry['timestamp'][:19]}Z {entry.get('severity', 'DEFAULT')}"
    if request := entry.get("httpRequest"):
        words = f"{request.get('requestMethod')} {request.get('requestUrl')}"
        return f"{head} {words} {request.get('status')} {request.get('latency', '')}".rstrip()
    if "textPayload" in entry:
        return f"{head} {entry['textPayload']}".rstrip()
    return f"{head} {json.dumps(entry.get('jsonPayload', {}), ensure_ascii=False)}"
