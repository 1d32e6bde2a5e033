"""llama.cpp for every processor of an architecture: from source to one directory of libraries.

One program with the computing taken out into a library for each kind of processor
(GGML_CPU_ALL_VARIANTS): it looks at the processor when it starts and loads the best, so that one
image is as fast as if it were compiled on the machine it lands on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pilotlight.catalog.platform import CpuArchitecture
from pilotlight.engines.environments.plan import lock, pins

SERVER = "llama-server"
PACKAGE = "llama-cpp-python"
"""Its source distribution carries llama.cpp whole, and the lock has its hash."""

LOCK = "llamacpp-source"

TOOLS = (
    "apt-get update && apt-get install -y --no-install-recommends g++ cmake ninja-build \\\n"
    "    && rm -rf /var/lib/apt/lists/*"
)

OPENMP = (
    "ls /usr/lib/*/libgomp.so.1 || { apt-get update \\\n"
    "    && apt-get install -y --no-install-recommends libgomp1; }"
)
"""The compiler's library for threads; nothing is fetched where the base has it."""

FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON", "-DGGML_NATIVE=OFF",
    "-DGGML_BACKEND_DL=ON", "-DGGML_CPU_ALL_VARIANTS=ON", "-DGGML_CCACHE=OFF",
    # It is spoken to over a socket of this container, and downloads nothing.
    "-DLLAMA_OPENSSL=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF", "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_APP=OFF",
    # Its libraries lie beside it, wherever that is; no paths of the build are left in it.
    "-DCMAKE_INSTALL_RPATH='$ORIGIN'", "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
)  # fmt: skip

COMMIT = "COMMIT"
"""The file beside the program that says which commit of llama.cpp it is."""

_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")

_TRIPLETS: dict[CpuArchitecture, str] = {
    "x86_64": "x86_64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
}


def version() -> str:
    """Of the source distribution that the lock names."""
    return pins(LOCK)[PACKAGE]


def source_sha256() -> str:
    """Of that distribution, by the lock."""
    found = _SHA256.search(lock(LOCK))
    assert found is not None
    return found[1]


def configure(source: str, build: str, commit: str | None) -> Sequence[str]:
    """A copy without its repository can't say its commit, so it is told."""
    short = commit[:7] if commit else "unknown"
    told = (f"-DLLAMA_BUILD_COMMIT={short}", f"-DGGML_BUILD_COMMIT={short}")
    return ("cmake", "-G", "Ninja", "-S", source, "-B", build, *FLAGS, *told)


def compile(build: str) -> Sequence[str]:
    return ("cmake", "--build", build, "--target", SERVER)


def collect(
    architecture: CpuArchitecture, build: str, into: str, commit: str | None
) -> Sequence[str]:
    """Shell: the program, its libraries, and the one of the compiler's that a small base lacks."""
    openmp = f"/usr/lib/{_TRIPLETS[architecture]}/libgomp.so.1"
    return (
        f"mkdir -p {into}",
        f"cp -a {build}/bin/{SERVER} {build}/bin/*.so* {into}/",
        f"cp -L {openmp} {into}/",
        f"strip --strip-unneeded {into}/{SERVER} {into}/*.so*",
        f"echo {commit or 'unknown'} > {into}/{COMMIT}",
    )


def _by_line(argv: Sequence[str]) -> Sequence[str]:
    """The command with its places on one line, and a line for each of its settings."""
    settings = [word for word in argv if word.startswith("-D")]
    return (" ".join(argv[: len(argv) - len(settings)]), *settings)


def script(
    architecture: CpuArchitecture, source: str, build: str, into: str, commit: str | None
) -> str:
    """All of it as one shell command, which ends with the program proving that it runs."""
    steps = (
        " \\\n        ".join(_by_line(configure(source, build, commit))),
        " ".join(compile(build)),
        *collect(architecture, build, into, commit),
        f"{into}/{SERVER} --version",
    )
    return " \\\n    && ".join(steps)
