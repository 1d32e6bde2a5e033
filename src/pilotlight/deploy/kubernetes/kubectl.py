"""The talk with a cluster: kubectl's words in, JSON out. Nothing else here does anything."""

from __future__ import annotations

import json
import queue
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pilotlight.deploy.kubernetes.options import KubernetesOptions
from pilotlight.errors import ConfigError, DeployError

_ABSENT = ("NotFound", "not found", "no matching resources found")
ANSWER_S = 30
"""Longest that a cluster may take over one request that waits for nothing."""


class Kubectl:
    def __init__(self, options: KubernetesOptions) -> None:
        self._words = (*shlex.split(options.kubectl), *_where(options))

    def run(self, *words: str, text: str | None = None, wait_s: float | None = None) -> str:
        """What it prints.

        Raises:
            ConfigError: there is no kubectl.
            DeployError: the cluster refused, in its words, or didn't answer.
        """
        limit_s = ANSWER_S if wait_s is None else wait_s + ANSWER_S
        try:
            done = subprocess.run(
                self._argv(words), input=text, capture_output=True, text=True, timeout=limit_s,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise DeployError(
                f"kubectl {words[0]} didn't end within {limit_s:.0f} s",
                hint="see whether the cluster answers: kubectl get nodes",
            ) from None
        if done.returncode != 0:
            raise DeployError(
                f"kubectl {' '.join(words[:2])} failed: {done.stderr.strip() or done.stdout}",
                hint=_hint(done.stderr),
            )
        return done.stdout

    def json(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*words, "-o", "json") or "{}")
        return found

    def items(self, kinds: str, namespace: str | None, selector: str) -> list[dict[str, Any]]:
        where = () if namespace is None else ("-n", namespace)
        found: list[dict[str, Any]] = self.json("get", kinds, *where, "-l", selector)["items"]
        return found

    def versions(self) -> frozenset[str]:
        """Groups and versions that the server has: ``policy/v1``."""
        return frozenset(self.run("api-versions").split())

    def lines(self, commands: Sequence[Sequence[str]]) -> Iterator[str]:
        """What several kubectls print, as it comes; they end when nobody reads on."""
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        running = [self._printing(words) for words in commands]
        readers = [threading.Thread(target=_copy, args=(each, lines)) for each in running]
        try:
            for reader in readers:
                reader.start()
            open_ones = len(running)
            while open_ones:
                line = lines.get()
                if line is None:
                    open_ones -= 1
                else:
                    yield line
        finally:
            for process in running:
                process.kill()
                process.wait()
            for reader in readers:
                reader.join()

    def _printing(self, words: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._argv(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def _argv(self, words: Sequence[str]) -> tuple[str, ...]:
        if shutil.which(self._words[0]) is None:
            raise ConfigError(
                f"there is no program {self._words[0]!r}",
                hint="install kubectl, or say where it is: --set kubernetes.kubectl=PATH",
            )
        return (*self._words, *words)


def _copy(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def _where(options: KubernetesOptions) -> Iterator[str]:
    if options.kubeconfig is not None:
        yield from ("--kubeconfig", str(options.kubeconfig.expanduser()))
    if options.context is not None:
        yield from ("--context", options.context)


def is_absent(error: DeployError) -> bool:
    """It says that something isn't there, which whoever wanted it gone is glad to hear."""
    return any(words in error.message for words in _ABSENT)


def is_forbidden(error: DeployError) -> bool:
    return "Forbidden" in error.message or "forbidden" in error.message


_HINTS: Mapping[str, str] = {
    "orbidden": "ask for the right that it names, or for a namespace that is yours: "
    "--set kubernetes.create_namespace=false",
    "no matches for kind": "its operator isn't installed here: install it, or turn the option off",
    "context": "see `kubectl config get-contexts`, and choose: --set kubernetes.context=NAME",
    "refused": "see whether the cluster runs: kubectl get nodes",
}


def _hint(stderr: str) -> str | None:
    return next((hint for words, hint in _HINTS.items() if words in stderr), None)
