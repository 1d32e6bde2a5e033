"""A platform of three things a release, in memory: it counts what it is asked, and can refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from pilotlight.config import setting
from pilotlight.deploy.instance_file import instance_file
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import Change, Files, Resources
from pilotlight.deploy.settings import Common
from pilotlight.deploy.target import Report, Status
from pilotlight.deploy.transaction import perform
from pilotlight.deploy.violation import Violation
from pilotlight.errors import DeployError

MOST_BYTES = 10 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    times: int = setting(2, help="how often")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions(Common):
    maximum: int | None = setting(3, help="its own default")
    tags: tuple[str, ...] = setting((), help="labels")
    flavour: str = setting("plain", help="a text")
    retry: Retry = setting(Retry, help="a section of its own")


@dataclass
class Platform:
    """`refuses` is told each change before it is made, and raises to refuse it."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuses: Callable[[Change], None] = lambda change: None
    halfway: bool = False
    """What is refused is there in part."""

    def change(self, change: Change) -> None:
        self.asked.append(f"{change.action} {change.name}")
        try:
            self.refuses(change)
        except DeployError:
            if self.halfway and change.after is not None:
                self.things[change.name] = {"half": True}
            raise
        if change.after is None:
            self.things.pop(change.name, None)
        else:
            self.things[change.name] = deepcopy(dict(change.after))


@dataclass
class FakeTarget:
    platform_: Platform = field(default_factory=Platform)
    url: str | None = "http://127.0.0.1:1"
    row: str = "cloud-run-request"
    cooled: Callable[[], None] = lambda: None
    cooled_image: str | None = None
    name: str = "fake"
    title: str = "Fake Cloud"
    options: type[Any] = FakeOptions

    def platform(self, release: Release[Any]) -> str:
        return self.row

    def check(self, release: Release[Any]) -> Sequence[Violation]:
        memory = release.size.memory_bytes
        if memory <= MOST_BYTES:
            return ()
        return (
            Violation(
                limit=f"memory at most {MOST_BYTES} bytes",
                value=str(memory),
                fix="set fake.memory to 10GiB",
            ),
        )

    def render(self, release: Release[Any]) -> Files:
        return {
            "pilotlight.yaml": instance_file(release, drain_s=8.0),
            "service/main.txt": f"{release.name} {release.image}\n",
        }

    def wanted(self, release: Release[Any]) -> Resources:
        return {
            f"role/{release.name}": {"may": ["log"]},
            f"service/{release.name}": {
                "image": release.image,
                "memory": release.size.memory_bytes,
                "concurrency": release.scaling.concurrency,
            },
            f"url/{release.name}": {"public": True},
        }

    def live(self, release: Release[Any]) -> Resources:
        self.platform_.asked.append("live")
        mine = f"/{release.name}"
        return {n: deepcopy(t) for n, t in self.platform_.things.items() if n.endswith(mine)}

    def apply(self, release: Release[Any], todo: Sequence[Change], report: Report) -> Status:
        perform(todo, self.platform_.change, report)
        return self.status(release)

    def status(self, release: Release[Any]) -> Status:
        found = self.platform_.things.get(f"service/{release.name}")
        if found is None:
            return Status(state="absent")
        facts = (("memory", str(found["memory"])),)
        return Status(state="ready", url=self.url, instances=1, image=found["image"], facts=facts)

    def logs(self, release: Release[Any], *, since_s: float, follow: bool) -> Iterator[str]:
        yield f"{release.name} said this {since_s:g} s ago"
        if follow:
            yield "and this just now"
            raise KeyboardInterrupt

    def cool(self, release: Release[Any], report: Report) -> None:
        self.platform_.asked.append("cool")
        self.cooled_image = release.image
        self.cooled()

    def delete(self, release: Release[Any], report: Report) -> None:
        for name in reversed(list(self.live(release))):
            self.platform_.change(Change("delete", name, self.platform_.things[name], None))
            report(f"deleted {name}")
