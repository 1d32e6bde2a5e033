"""`chat` on a real pseudo-terminal: Ctrl-C stops the answer, not the program."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from .server import BEGIN, COMMENT, DONE, END, ModelServer, UntilGone, text, thinking, usage

# Makes the terminal the controlling one, as a login does, so that Ctrl-C becomes a signal.
_LAUNCH = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.executable, [sys.executable, '-m', 'pilotlight.cli', *sys.argv[1:]])"
)
_CTRL_C, _CTRL_D = "\x03", "\x04"


class Terminal:
    """A program on a pseudo-terminal; reading waits for what is expected, never for time."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "dumb", "INPUTRC": "/dev/null"},
        )
        os.close(slave)
        self._seen = ""

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def until(self, expected: str) -> str:
        """What was shown up to and with `expected`; the rest stays for the next call."""
        while expected not in self._seen:
            readable, _, _ = select.select([self._master], [], [], 30)
            assert readable, f"no {expected!r} in {self._seen!r}"
            try:
                self._seen += os.read(self._master, 65536).decode()
            except OSError:
                raise AssertionError(f"ended without {expected!r}: {self._seen!r}") from None
        before, found, self._seen = self._seen.partition(expected)
        return before + found

    def insist(self, keys: str, expected: str) -> None:
        """Type `keys` again while nothing comes of them.

        A signal between readline's echo and its next wait is seen with the key after it.
        """
        for _ in range(30):
            self.type(keys)
            if expected in self._seen or select.select([self._master], [], [], 1)[0]:
                break
        self.until(expected)

    def end(self) -> int:
        return self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        os.close(self._master)


@pytest.fixture
def terminal(server: ModelServer) -> Iterator[Terminal]:
    running = Terminal("chat", "small", "--url", server.url)
    yield running
    running.close()


def _contents(server: ModelServer, chat: int) -> list[str]:
    return [m["content"] for m in server.bodies("/v1/chat/completions")[chat]["messages"]]


def test_ctrl_c_stops_the_answer_and_the_talk_goes_on(
    server: ModelServer, terminal: Terminal
) -> None:
    server.chats = [[text("One, two"), UntilGone()], [text("Fine."), usage(2), DONE]]
    terminal.until(">>> ")
    terminal.type("count\n")
    terminal.until("One, two")
    terminal.type(_CTRL_C)
    terminal.until("stopped")
    assert server.gone.wait(30)
    terminal.until(">>> ")
    terminal.type("and now?\n")
    terminal.until("Fine.")
    terminal.until(">>> ")
    assert _contents(server, 1) == ["count", "One, two", "and now?"]
    terminal.type("/exit\n")
    assert terminal.end() == 0


def test_ctrl_c_at_the_prompt_leaves_nothing_and_ctrl_d_leaves(terminal: Terminal) -> None:
    terminal.until(">>> ")
    terminal.type("half a question")
    terminal.until("half a question")  # echoed: line editing is at work and hears the signal
    terminal.insist(_CTRL_C, "/exit leaves")
    terminal.until(">>> ")
    terminal.type(_CTRL_D)
    assert terminal.end() == 0


def test_a_cold_model_shows_that_it_is_waited_for(server: ModelServer, terminal: Terminal) -> None:
    ready = threading.Event()
    server.chats = [[COMMENT, ready, BEGIN, thinking("hm"), text("Warm."), END, usage(9), DONE]]
    terminal.until(">>> ")
    terminal.type("hi\n")
    terminal.until("waiting for small, 0 s")
    ready.set()
    terminal.until("\r\x1b[K")
    terminal.until("Warm.")
    rest = terminal.until("9 tokens, first token ")
    assert "waiting" not in rest


def test_a_backslash_goes_on_in_the_next_line(server: ModelServer, terminal: Terminal) -> None:
    server.chats = [[text("ok"), DONE]]
    terminal.until(">>> ")
    terminal.type("one\\\n")
    terminal.until("... ")
    terminal.type("two\n")
    terminal.until("ok")
    assert _contents(server, 0) == ["one\ntwo"]


def test_reset_forgets_and_model_changes(server: ModelServer, terminal: Terminal) -> None:
    server.answers["/v1/models"] = (200, {"data": [{"id": "small"}, {"id": "large"}]})
    server.chats = [[text("ok"), DONE], [text("ok"), DONE]]
    terminal.until(">>> ")
    terminal.type("first\n")
    terminal.until("ok")
    terminal.type("/reset\n")
    terminal.until("anew")
    terminal.type("/model huge\n")
    terminal.until("no model 'huge' here")
    terminal.type("/model large\n")
    terminal.until("* large")
    terminal.type("second\n")
    terminal.until("ok")
    assert _contents(server, 1) == ["second"]
    assert server.bodies("/v1/chat/completions")[1]["model"] == "large"


def test_an_unknown_command_and_an_error_end_nothing(
    server: ModelServer, terminal: Terminal
) -> None:
    terminal.until(">>> ")
    terminal.type("/what\n")
    terminal.until("no command '/what'")
    terminal.until(">>> ")
    terminal.type("hi\n")  # the server has no chat to give: 404
    terminal.until("error: no model")
    terminal.until(">>> ")
    terminal.type("/help\n")
    terminal.until("/reset")


def test_a_models_escape_sequences_do_not_reach_the_terminal(
    server: ModelServer, terminal: Terminal
) -> None:
    server.chats = [[text("a\x1b]0;owned\x07b\x9b2Jc"), DONE]]
    terminal.until(">>> ")
    terminal.type("hi\n")
    assert "a]0;ownedb2Jc" in terminal.until("2Jc")
