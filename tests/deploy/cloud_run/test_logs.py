"""Log lines from Cloud Logging's REST interface, served by a server of this test's own."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import requests
from google.auth.exceptions import RefreshError

from pilotlight.deploy.cloud_run import logs
from pilotlight.deploy.cloud_run.connection import Connection
from pilotlight.errors import ConfigError, DeployError

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Logging:
    """Entries of one project, as `entries:list` gives them: filtered, ordered, in pages."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.forbidden = False
        self.page = 2
        self.url = ""

    def add(self, id: str, at_s: float, **payload: Any) -> None:
        stamp = (START + timedelta(seconds=at_s)).isoformat().replace("+00:00", "Z")
        self.entries.append({"insertId": id, "timestamp": stamp, "severity": "INFO", **payload})

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.forbidden:
            return 403, {"error": {"message": "Permission denied for all log views"}}
        assert set(body) <= {"resourceNames", "filter", "orderBy", "pageSize", "pageToken"}
        assert body["resourceNames"] == ["projects/acme"]
        assert 'service_name="chat"' in body["filter"]
        match = re.search(r'timestamp>="([^"]+)"', body["filter"])
        assert match
        since = datetime.fromisoformat(match[1])
        found = [e for e in self.entries if datetime.fromisoformat(e["timestamp"]) >= since]
        found.sort(key=lambda e: str(e["timestamp"]), reverse=body["orderBy"] != "timestamp asc")
        first = int(body.get("pageToken", 0))
        page: dict[str, Any] = {"entries": found[first : first + self.page]}
        if first + self.page < len(found):
            page["nextPageToken"] = str(first + self.page)
        return 200, page


@pytest.fixture
def logging() -> Iterator[Logging]:
    store = Logging()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v2/entries:list"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = store.answer(body)
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *words: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        store.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield store
        server.shutdown()
        thread.join()


def lines(logging: Logging, session: requests.Session, **how: Any) -> Iterator[str]:
    connection = Connection(
        project="acme", services=None, revisions=None, session=session, logging_url=logging.url
    )
    options: dict[str, Any] = {"since_s": 3600.0, "follow": False, "now": lambda: START, **how}
    return logs.lines(connection, service="chat", region="us-central1", **options)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def test_lines_of_the_last_time_in_order_through_all_pages(
    logging: Logging, session: requests.Session
) -> None:
    for number in (4, 2, 3, 1, 0):
        logging.add(f"e{number}", number - 10, textPayload=f"line {number}")
    logging.add("old", -7200, textPayload="long ago")
    found = list(lines(logging, session))
    assert [line.split(" ", 2)[2] for line in found] == [f"line {n}" for n in range(5)]
    assert found[0] == "2026-11-20T11:59:50Z INFO line 0"


def test_each_kind_of_entry_has_its_words(logging: Logging, session: requests.Session) -> None:
    request = {"requestMethod": "POST", "requestUrl": "https://x/v1", "status": 200}
    logging.add("a", -3, jsonPayload={"message": "ready", "model": "chat"})
    logging.add("b", -2, httpRequest={**request, "latency": "1.5s"})
    logging.add("c", -1)
    assert [line.split(" ", 2)[2] for line in lines(logging, session)] == [
        '{"message": "ready", "model": "chat"}',
        "POST https://x/v1 200 1.5s",
        "{}",
    ]


def test_following_shows_what_is_new_and_what_came_late_once(
    logging: Logging, session: requests.Session
) -> None:
    logging.add("first", -1, textPayload="first")
    clock = itertools.count()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        # While we slept one came in late, with a time before what we have, and a new one.
        logging.add(f"late{len(waits)}", -2, textPayload=f"late {len(waits)}")
        logging.add(f"new{len(waits)}", next(clock), textPayload=f"new {len(waits)}")

    follow = lines(logging, session, follow=True, sleep=sleep)
    found = [line.split(" ", 2)[2] for line in itertools.islice(follow, 5)]
    assert found == ["first", "late 1", "new 1", "late 2", "new 2"]
    assert waits == [logs.FOLLOW_S, logs.FOLLOW_S]


class Expired(requests.Session):
    """Google's own session, whose credentials can't be renewed any more."""

    def post(self, *words: Any, **how: Any) -> requests.Response:
        raise RefreshError("Reauthentication is needed.")  # type: ignore[no-untyped-call]


def test_credentials_that_ran_out_are_said(logging: Logging) -> None:
    with Expired() as session, pytest.raises(ConfigError, match="Reauthentication") as refused:
        list(lines(logging, session))
    assert "gcloud auth application-default login" in str(refused.value)


def test_a_refusal_names_the_role(logging: Logging, session: requests.Session) -> None:
    logging.forbidden = True
    with pytest.raises(DeployError, match="Permission denied for all log views") as refused:
        list(lines(logging, session))
    assert "roles/logging.viewer" in str(refused.value)
