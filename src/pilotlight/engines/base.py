"""The engine seam: what the product asks of a kind of engine, and nothing more.

An `Engine` describes and talks; it never spawns. A fleet turns its `Launch`
into an `EngineProcess` (an operating-system process locally, an object in the
tests), and a replica walks that process through load, canary, sleep and wake.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from pilotlight.core import Capabilities, Footprint, ModelFiles, ModelRef, Operation
from pilotlight.errors import PilotlightError
from pilotlight.store.progress import Progress


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA to lay over a model, under the name that follows the model's: ``model:name``."""

    name: str
    files: ModelFiles
    stamp: str = ""
    """Tells these bytes from others that lay at the same path before."""


@dataclass(frozen=True, slots=True)
class SystemPrompts:
    """Prompts that many requests start with; what an engine computes of them outlives a load."""

    texts: tuple[str, ...]
    directory: Path
    """Where that is kept, for all models; the engine makes it."""


@dataclass(frozen=True, slots=True)
class ModelJob:
    """All that an engine needs to serve one model."""

    name: str
    """The served name; the engine echoes it in its answers."""

    files: ModelFiles
    options: Any
    """The engine's own validated options, as `Engine.options` returned them."""

    adapters: tuple[Adapter, ...] = ()
    """All of them checked; only an engine that `Adapts` is ever given any."""

    system_prompts: SystemPrompts | None = None
    """Only an engine that `Remembers` is ever given any."""

    def served_name(self, adapter: str | None) -> str:
        return self.name if adapter is None else f"{self.name}:{adapter}"


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one engine process sits: its own directory (mode 0700), socket and secret."""

    directory: Path
    socket: Path
    secret: str = field(repr=False)
    port: int = 0
    """A loopback TCP port that was free a moment ago, for programs without Unix sockets."""


@dataclass(frozen=True, slots=True)
class Remote:
    """An engine that runs elsewhere: base URL without a trailing slash, and headers to send."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 60.0
    """For a connection, for the answer's first byte, and from then on between its bytes."""

    farewell: tuple[str, bytes] | None = None
    """Path and body of a last request when the engine is let go, such as to free its memory."""

    @property
    def here(self) -> bool:
        """Whether it runs on this very machine: then its memory is ours, and no proxy is asked."""
        return urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods of a Kubernetes Deployment, all alike: one of them is to run the engine."""

    deployment: str
    namespace: str | None = None
    """None: the one that this program itself runs in."""

    port: int = 8080
    path: str = ""
    """What stands before every path of the engine's server, without a trailing slash."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 60.0
    """As `Remote.timeout_s`."""

    scales: bool = True
    """Whether their number is ours to set; if not, only what is there is used."""

    linger_s: float = 300.0
    """How long a pod stays that no gateway uses, such as after a gateway's restart."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A program to run. Secrets travel in `env` or over the channel, never in `argv`."""

    argv: tuple[str, ...]
    seat: Seat
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    channel: bool = False
    """The program reads JSON lines on stdin and writes JSON lines to descriptor 3."""

    tcp: bool = False
    """Its server listens on the seat's loopback port instead of its socket."""

    remote: Remote | None = None
    """No program at all: somebody else runs the engine, and this is where."""

    pods: Pods | None = None
    """No program here: a cluster runs it, and this is which."""

    stage: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    """Told each further step of a start that has several, by name, as it begins."""


@runtime_checkable
class Exchange(Protocol):
    """One answer arriving from an engine."""

    @property
    def status(self) -> int: ...

    @property
    def content_type(self) -> str: ...

    @property
    def retry_after_s(self) -> float | None:
        """When to ask again, where the engine says so."""
        ...

    async def read(self) -> bytes:
        """The next bytes as they arrived, or ``b""`` at the end.

        Raises:
            EngineCrashedError: the engine closed before the end of its answer.
            EngineUnreachableError, EngineAnswerError: the same of one that runs elsewhere.
        """
        ...

    def close(self) -> None:
        """Abandon the answer: the connection closes and the engine frees its slot."""
        ...


async def read_whole(exchange: Exchange) -> bytes:
    """The rest of a small answer; the exchange is closed afterwards, whatever happened."""
    try:
        parts = []
        while chunk := await exchange.read():
            parts.append(chunk)
        return b"".join(parts)
    finally:
        exchange.close()


class EngineClient(Protocol):
    """HTTP to one engine process, over its Unix socket and with its secret."""

    async def open(self, path: str, body: bytes | None = None) -> Exchange:
        """POST JSON `body` to `path` (GET without one); returns once the headers are here.

        Raises:
            EngineCrashedError: nobody listens, or the connection broke before the headers.
            EngineUnreachableError, EngineAnswerError: the same of one that runs elsewhere.
        """
        ...

    async def fetch(
        self, path: str, body: bytes | None = None, *, timeout_s: float = 10.0
    ) -> tuple[int, bytes]:
        """One whole small answer: status and body. Raises TimeoutError past `timeout_s`."""
        ...

    async def close(self) -> None: ...


class EngineProcess(Protocol):
    """A launched program, whoever runs it."""

    @property
    def client(self) -> EngineClient: ...

    @property
    def pid(self) -> int | None: ...

    @property
    def port(self) -> int | None:
        """The loopback port it listens at; None for a socket, or where it runs elsewhere."""
        ...

    @property
    def alive(self) -> bool: ...

    async def send(self, message: Mapping[str, Any]) -> None:
        """One message down the channel."""
        ...

    async def receive(self) -> dict[str, Any]:
        """The next message up the channel. Raises EngineStartError if the program ended."""
        ...

    async def wait(self) -> str:
        """Until the program has ended; says how (``exit code 1``, ``signal SIGKILL``)."""
        ...

    async def stop(self, grace_s: float = 5.0) -> None:
        """Terminate, then kill after `grace_s`; returns when nothing of it is left."""
        ...

    def last_words(self, lines: int = 5) -> str:
        """The end of its log, secrets removed."""
        ...

    def memory_bytes(self) -> int | None:
        """Resident memory now; None where unknown."""
        ...

    def peak_memory_bytes(self) -> int | None:
        """The most it ever had resident; None where unknown."""
        ...


@runtime_checkable
class Leaves(Protocol):
    """A process that others may tell to go, with time to finish what it has in hand."""

    async def leaving(self) -> str:
        """Until it was told so; says by whom. From then on it is given no more requests."""
        ...


@runtime_checkable
class Library(Protocol):
    """An engine that fetches the models it owns itself, and must be asked before it knows them."""

    async def fetch(
        self, ref: ModelRef, options: Any, report: Callable[[Progress], None] | None
    ) -> ModelFiles:
        """Have the model where the engine keeps it; what it says of itself is in the files.

        Raises:
            EngineError, SourceError: it can't be had there.
        """
        ...


@runtime_checkable
class Adapts(Protocol):
    """An engine that lays LoRA adapters over a model it serves.

    Whether it does so for one model is said by ``Capabilities.lora``. `load` brings
    up the job's adapters with the model, so that the first request finds them.
    """

    def check_adapter(self, job: ModelJob, adapter: Adapter) -> None:
        """Whether `adapter` fits over `job`'s model, from the headers of both; reads no weights.

        Raises:
            AdapterError: it doesn't, with what differs and the next step.
        """
        ...

    async def adapt(
        self, process: EngineProcess, loaded: ModelJob, wanted: ModelJob
    ) -> ModelJob | None:
        """Give a loaded process the adapters of `wanted` while it serves.

        Returns the job that holds from now on, which may have more adapters than
        `wanted` but none of them different; None where only a new load can do it.

        Raises:
            AdapterError: the engine refused one; the process serves what it served before.
        """
        ...

    def address(self, payload: bytes, job: ModelJob, adapter: str | None) -> bytes:
        """A request's JSON body such that `adapter` answers it, or the bare model for None.

        Called for every request to a process whose job has adapters, on the byte path:
        nothing is parsed here that needn't be. `adapter` is one of the job's.
        """
        ...


@runtime_checkable
class Remembers(Protocol):
    """An engine that keeps the computed state of system prompts on disk, from load to load."""

    async def recall(self, process: EngineProcess, job: ModelJob) -> int:
        """Restore, or compute and keep, the state of `job`'s system prompts.

        Called after each load and before the first request. Returns how many tokens came
        from disk. Whatever it raises, the model is loaded and answers as without; only an
        EngineCrashedError means that the process is gone, and a second try won't repeat that.

        Raises:
            EngineError: a prompt is too long, the disk is full, …
        """
        ...


@runtime_checkable
class LoadsEarly(Protocol):
    """An engine that begins to load a file whose end is still on its way."""

    def can_load_early(self, job: ModelJob) -> bool:
        """Whether it can with this job; its file's header is here. Reads that, and nothing else."""
        ...

    async def load_early(
        self, process: EngineProcess, job: ModelJob, arrived: AsyncIterator[int]
    ) -> bool:
        """Load into a parked process; `arrived` says, ever again, how much of the file is here.

        No byte beyond that is believed. Nothing is answered from it before all of the file was
        verified, and should it turn out to be another, the process is ended. Returns whether the
        model is loaded as `load` would have left it; after False the process is of no use.

        Raises:
            EngineStartError: the same.
        """
        ...


@runtime_checkable
class Parks(Protocol):
    """An engine whose libraries are heavy: what its standbys take is kept free for them."""

    parked_bytes: int
    """Of one process with its libraries loaded and no model."""


class Engine(Protocol):
    """One kind of program that runs models.

    `load`, `unload` and `progress` are the only methods that talk to a running
    process; the rest are pure or read a local file.
    """

    @property
    def name(self) -> str: ...

    @property
    def build(self) -> str:
        """Program and version, e.g. ``xllamacpp 2026.10.1``; keys what was measured."""
        ...

    def options(self, given: Mapping[str, Any]) -> Any:
        """Validate and complete `given` into this engine's own frozen options.

        Raises:
            EngineOptionError: an unknown option or a wrong value, by name, with the next step.
        """
        ...

    def owns(self, ref: ModelRef) -> bool:
        """Whether the model's bytes are the engine's own affair: nothing for the store to fetch."""
        ...

    def slots(self, options: Any) -> int:
        """How many requests one replica works on at once."""
        ...

    def context(self, files: ModelFiles, options: Any) -> int | None:
        """Tokens one request may use, prompt and answer together; None when unknown."""
        ...

    def predict(self, files: ModelFiles, options: Any) -> Footprint:
        """Memory one replica will take, from the file's header. Reads, never allocates."""
        ...

    def capabilities(self, files: ModelFiles, options: Any) -> Capabilities: ...

    def endpoint(self, operation: Operation) -> str:
        """The path of `operation` on the engine's server."""
        ...

    def command(self, seat: Seat, job: ModelJob | None) -> Launch:
        """The program for `job`; without one, a standby that waits for `load`.

        Raises:
            EngineMissingError: the program isn't installed.
        """
        ...

    async def load(self, process: EngineProcess, job: ModelJob) -> None:
        """Returns when the engine answers requests for `job`; also wakes an unloaded one.

        Raises:
            EngineStartError: with the engine's last words.
        """
        ...

    async def unload(self, process: EngineProcess) -> None:
        """Back to standby: the process lives, the model's memory is free."""
        ...

    def canary(self, job: ModelJob) -> tuple[str, bytes | None]:
        """Path and body of the smallest request that proves the model works.

        Without a body it is a GET: where a token costs money, that has to do as a proof.
        """
        ...

    async def progress(self, process: EngineProcess) -> int | None:
        """A counter that grows while the engine works; None when it doesn't answer."""
        ...

    def error(self, status: int, body: bytes) -> PilotlightError:
        """The engine's refusal in our own terms (a context overflow, a bad schema, …)."""
        ...
