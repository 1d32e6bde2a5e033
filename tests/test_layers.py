"""Which part may import which, read from the source: a wrong arrow fails here, not in review."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
ROOT = "pilotlight"

# From the top down; a part imports its own layer's parts only if it is the same part.
LAYERS = (
    ("testing",),
    ("cli",),
    ("doctor",),
    ("calibration",),
    ("tune", "quality"),
    ("deploy",),
    ("instance",),
    ("bench", "gateway"),
    ("gateway.translate",),
    ("gateway.wire",),
    ("planner", "router"),
    ("replica",),
    ("fleet",),
    ("engines",),
    ("store", "meter"),
    ("catalog",),
    ("config",),
    ("machine", "strict_yaml", "values"),
    ("durable", "quantities", "redact"),
    ("core", "metrics"),
    ("errors",),
    ("__init__",),
)
DEPTH = {part: depth for depth, layer in enumerate(LAYERS) for part in layer}

# Beyond the order: what a part must stay free of, though it lies further down.
NEVER = (
    ("planner", "router"),
    ("bench", "gateway"),
    ("bench", "router"),
    ("gateway.wire", "router"),
    ("gateway.wire", "store"),
    ("gateway.wire", "engines"),
    ("gateway.translate", "router"),
    ("gateway.translate", "store"),
    ("gateway.translate", "engines"),
    ("cli", "router"),
    ("cli", "replica"),
    ("cli", "fleet"),
    ("replica", "fleet.local"),
)

# Decisions are pure functions of a state and a time: nothing to wait for, nothing to ask.
PURE = (
    "bench.compare", "bench.costs", "bench.likeness", "bench.part", "bench.slicing",
    "bench.stability", "bench.steady", "bench.summarize",
    "core", "deploy.aws_lambda.cloudformation", "deploy.aws_lambda.function",
    "deploy.aws_lambda.limits", "deploy.aws_lambda.policy", "deploy.aws_lambda.terraform",
    "deploy.aws_lambda.wanted", "deploy.costs", "deploy.image.choices",
    "deploy.image.render", "deploy.image.spec", "deploy.instance_file", "deploy.prices",
    "deploy.rented", "deploy.resolve", "deploy.resources", "deploy.rollout", "deploy.section",
    "deploy.standing", "deploy.study_table", "deploy.tradeoff", "deploy.transaction",
    "deploy.violation", "errors", "fleet.kubernetes.choice",
    "fleet.kubernetes.leases", "fleet.kubernetes.pod", "fleet.kubernetes.trouble",
    "instance.lambda_events",
    "meter.energy", "meter.idle", "meter.ledger.shares", "meter.measuring",
    "meter.rating", "meter.series", "meter.tally", "meter.totals", "meter.windows", "metrics",
    "replica.state", "replica.watchdog", "router.core",
    "router.decisions", "router.events", "router.eviction", "router.schedule",
    "router.simulation", "router.state", "store.peers.bitmap", "store.peers.tracker",
    "tune.book", "tune.climb", "tune.duel", "tune.goal", "tune.noise", "tune.peak", "tune.search",
    "tune.setting", "tune.space", "tune.starts", "tune.trial",
)  # fmt: skip
WORLD = frozenset({
    "asyncio", "logging", "multiprocessing", "os", "psutil", "random", "shutil", "socket",
    "subprocess", "tempfile", "threading", "time",
})  # fmt: skip

# Packages that run in another interpreter, under another name, where nothing of ours is installed.
HOSTS = ("engines.python.pilotlight_host", "engines.transformers.host")

HEAVY = ("aiohttp", "prometheus_client", "psutil", "uvicorn", "uvloop", "xllamacpp", "yaml")


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE / ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


TREES = {module_name(path): ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")}


def imports(module: str) -> Iterator[str]:
    """Everything it imports, at the top or inside a function; ours without the package's name."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (_ours(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found = str(node.module) if node.level == 0 else _beside(module, node)
            yield from (_member(found, alias.name) for alias in node.names)


def _beside(module: str, node: ast.ImportFrom) -> str:
    """A relative import hides the arrow; only a host needs it, for its package's name changes."""
    host = next((host for host in HOSTS if _within(module, host)), None)
    assert host, f"{module} imports relatively, which hides the arrow"
    assert node.level == 1, f"{module} imports from around its package"
    return f"{ROOT}.{host}.{node.module}" if node.module else f"{ROOT}.{host}"


def _member(module: str, name: str) -> str:
    inner = _ours(f"{module}.{name}")
    return inner if inner in TREES else _ours(module)


def _ours(name: str) -> str:
    return "__init__" if name == ROOT else name.removeprefix(f"{ROOT}.")


def is_ours(name: str) -> bool:
    return name in TREES


def part_of(module: str) -> str:
    """The longest part that `module` lies in."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (part := ".".join(parts[:length])) in DEPTH:
            return part
    raise AssertionError(f"{module} has no layer: give it one in LAYERS and in ARCHITECTURE.md")


def test_the_source_was_read() -> None:
    assert {"cli", "gateway.serve", "router.core", "engines.base"} <= set(TREES)
    assert "router.router" in set(imports("gateway.assembly"))
    assert "uvloop" in set(imports("gateway.serve")), "imports inside functions count too"


@pytest.mark.parametrize("module", sorted(TREES))
def test_imports_point_down(module: str) -> None:
    here = part_of(module)
    for name in filter(is_ours, imports(module)):
        there = part_of(name)
        assert here == there or DEPTH[here] < DEPTH[there], f"{module} imports {name}"


@pytest.mark.parametrize(("part", "banned"), NEVER)
def test_parts_that_stay_apart(part: str, banned: str) -> None:
    for module in TREES:
        if part_of(module) == part:
            wrong = [name for name in imports(module) if is_ours(name) and _within(name, banned)]
            assert not wrong, f"{module} imports {wrong}"


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


@pytest.mark.parametrize("module", [*PURE, *(m for m in TREES if _within(m, "planner"))])
def test_deciders_ask_nobody(module: str) -> None:
    assert not {name.split(".")[0] for name in imports(module)} & WORLD


def test_the_llamacpp_wheel_is_imported_by_its_host_process_alone() -> None:
    importers = {m for m in TREES if any(_within(n, "xllamacpp") for n in imports(m))}
    assert importers == {"engines.llamacpp.host"}


def test_the_host_process_imports_nothing_of_ours() -> None:
    assert not [name for name in imports("engines.llamacpp.host") if is_ours(name)]


@pytest.mark.parametrize("host", HOSTS)
def test_host_packages_import_nothing_of_ours_but_themselves(host: str) -> None:
    for module in (module for module in TREES if _within(module, host)):
        wrong = [name for name in imports(module) if is_ours(name) and not _within(name, host)]
        assert not wrong, f"{module} imports {wrong}"


def test_the_command_line_starts_without_the_heavy_parts() -> None:
    code = f"import sys, pilotlight.cli; print(*sorted(set(sys.modules) & {set(HEAVY)!r}), end='')"
    answer = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout == ""
