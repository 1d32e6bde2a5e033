"""The first process of a container waits for what nobody else will."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pilotlight.instance.orphans import is_orphan

ADOPTING = """
import ctypes, os, subprocess, sys
from pilotlight.instance.orphans import reap
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: as the first process of a container
# An engine, the leader of its own session, which leaves a child behind when it ends.
left = "import subprocess, sys; print(subprocess.Popen(['sleep', '0.05']).pid)"
engine = subprocess.Popen((sys.executable, "-c", left), stdout=subprocess.PIPE,
                          start_new_session=True, text=True)
orphan = int(engine.stdout.readline())
os.waitid(os.P_PID, engine.pid, os.WEXITED | os.WNOWAIT)
own = subprocess.Popen(("true",))
os.waitid(os.P_PID, own.pid, os.WEXITED | os.WNOWAIT)
os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)
assert reap() == [orphan], "only the orphan"
assert reap() == [], "and only once"
assert (engine.wait(), own.wait()) == (0, 0), "whose exit codes are still to be had"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has containers")
def test_an_orphan_is_waited_for_and_our_own_children_are_left_to_who_started_them() -> None:
    done = subprocess.run(
        (sys.executable, "-c", ADOPTING), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("state", "its_parent", "its_session", "expected"),
    [
        ("Z", 1, 50, True),
        ("S", 1, 50, False),  # it still runs
        ("Z", 40, 50, False),  # somebody else's
        ("Z", 1, 1, False),  # a program that we started
        ("Z", 1, 60, False),  # an engine: it leads its session
    ],
)
def test_who_is_an_orphan(state: str, its_parent: int, its_session: int, expected: bool) -> None:
    assert is_orphan(60, state, its_parent, its_session, parent=1, own_session=1) is expected
