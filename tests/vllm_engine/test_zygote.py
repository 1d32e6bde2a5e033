"""A process forked early that becomes another later: as one that was spawned, but for the time."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from pilotlight.engines.vllm import engine

BEGIN = """
import importlib.util, multiprocessing, os, signal, sys, threading
from types import SimpleNamespace

def load():
    spec = importlib.util.spec_from_file_location("zygote_module", sys.argv[1])
    module = importlib.util.module_from_spec(spec)
    sys.modules["zygote_module"] = module
    spec.loader.exec_module(module)
    return module

def tell(pipe_path, word):
    parent = multiprocessing.parent_process()
    with open(pipe_path, "w") as told:
        told.write(f"{word} {os.environ.get('LATE')} {os.environ.get('EARLY')} "
                   f"{multiprocessing.current_process().name} {parent.pid == os.getppid()} "
                   f"{parent.is_alive()} {len(os.listdir('/proc/self/task'))}")

def leave(code):
    sys.exit(code)

def linger():
    signal.pause()

if __name__ == "__main__":
    zygotes = load()
    spawn = multiprocessing.get_context("spawn")
    engines = SimpleNamespace(get_mp_context=lambda: spawn)
"""


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As a program of its own: pytest's process has threads, and is nobody's zygote."""
    place = Path(engine.HOST).with_name("zygote.py")
    text = BEGIN + textwrap.indent(textwrap.dedent(script), "    ")
    path = Path(arguments[0]) / "program.py"
    path.write_text(text)
    return subprocess.run(
        [sys.executable, str(path), str(place), *arguments],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    """A fork may wait for a lock that was held by a thread it doesn't have."""
    done = run(
        """
        zygote = zygotes.Zygote()
        os.kill(zygote.pid, signal.SIGSTOP)
        zygote.close()
        """,
        str(tmp_path),
    )
    assert done.returncode == 0, done.stderr


def test_it_becomes_the_first_process_that_is_asked_for(tmp_path: Path) -> None:
    done = run(
        """
        os.environ["EARLY"] = "yes"
        zygote = zygotes.Zygote()
        assert zygotes.others_are_gone()
        zygotes.adopt(engines, zygote)
        threading.Thread(target=signal.pause, daemon=True).start()
        os.environ["LATE"] = "told"
        del os.environ["EARLY"]
        context = engines.get_mp_context()
        told = sys.argv[2] + "/told"
        first = context.Process(target=tell, name="EngineCore", args=(told,), kwargs={"word": "a"})
        first.start()
        assert first.pid == zygote.pid, "it was there before"
        first.join(20)
        assert first.exitcode == 0 and not first.is_alive(), first.exitcode
        second = context.Process(target=leave, args=(7,))
        second.start()
        second.join(20)
        assert second.exitcode == 7, "the rest is spawned"
        assert context.Queue is not None
        first.close()
        """,
        str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "told").read_text() == "a told None EngineCore True True 1"


def test_its_end_is_seen_as_any_childs(tmp_path: Path) -> None:
    done = run(
        """
        from multiprocessing.connection import wait
        codes = []
        for target, args in ((leave, (3,)), (linger, ()), (len, (1,))):
            engines.get_mp_context = lambda: spawn
            zygotes.adopt(engines, zygotes.Zygote())
            process = engines.get_mp_context().Process(target=target, args=args)
            process.start()
            if target is linger:
                assert not wait([process.sentinel], 0)
                assert process.is_alive()
                process.terminate()
            assert wait([process.sentinel], 20) == [process.sentinel]
            process.join()
            codes.append(process.exitcode)
        print(codes)
        """,
        str(tmp_path),
    )
    assert done.stdout == "[3, -15, 1]\n", done.stderr
    assert "TypeError: object of type 'int' has no len()" in done.stderr


def test_nobody_needs_it(tmp_path: Path) -> None:
    done = run(
        """
        zygote = zygotes.Zygote()
        zygote.close()
        orphan = zygotes.Zygote()
        print(zygote.pid, orphan.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        str(tmp_path),
    )
    # Its standard output is the pipe read here, which ends with the last that has it.
    closed, orphan = map(int, done.stdout.split())
    assert not Path(f"/proc/{closed}").exists()
    assert orphan != os.getpid()


def test_threads_of_others_are_noticed(tmp_path: Path) -> None:
    done = run(
        """
        threading.Thread(target=signal.pause, daemon=True).start()
        zygote = zygotes.Zygote()
        print(zygotes.others_are_gone(), flush=True)
        zygote.close()
        os._exit(0)
        """,
        str(tmp_path),
    )
    assert done.stdout == "False\n", done.stderr


def test_what_only_a_spawned_process_can_be_handed_is_refused(tmp_path: Path) -> None:
    done = run(
        """
        zygotes.adopt(engines, zygotes.Zygote())
        receiver, sender = multiprocessing.Pipe()
        process = engines.get_mp_context().Process(target=print, args=(sender,))
        try:
            process.start()
        except TypeError as error:
            print(error)
        """,
        str(tmp_path),
    )
    assert "can't be handed to a zygote" in done.stdout, done.stderr
