"""Reports in a real browser: light, dark, on a phone and on paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pilotlight.bench.page.page import page

from .goldens import REPORTS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on PATH")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("reports")
    for name, reports in REPORTS.items():
        (directory / f"{name}.html").write_text(page(reports()))
    return directory


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 360)])
def test_a_browser_shows_it_whole(
    browser: Browser, files: Path, name: str, scheme: str, width: int
) -> None:
    said: list[str] = []
    asked: list[str] = []
    view = browser.new_page(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    view.on("console", lambda message: said.append(message.text))
    view.on("pageerror", lambda error: said.append(str(error)))
    view.on("request", lambda request: asked.append(request.url))
    address = (files / f"{name}.html").as_uri()
    view.goto(address)
    wider = view.evaluate("document.documentElement.scrollWidth - innerWidth")
    outside = view.evaluate(_OUTSIDE)
    paper = view.evaluate("getComputedStyle(document.body).backgroundColor")
    view.close()
    assert said == []
    assert asked == [address]
    assert wider <= 0, "the page scrolls sideways"
    assert outside == [], "words of a chart lie outside of it"
    assert paper == ("rgb(20, 23, 26)" if scheme == "dark" else "rgb(255, 255, 255)")


# Words half a pixel over the edge are whole all the same.
_OUTSIDE = """
[...document.querySelectorAll('figure svg[role=img]')].flatMap(svg => {
  const edge = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => {
    const box = text.getBoundingClientRect();
    return box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1
      || box.bottom > edge.bottom + 1;
  }).map(text => text.textContent);
})
"""


@pytest.mark.parametrize("name", ["sweep", "rivals"])
def test_words_of_a_chart_dont_lie_on_each_other(browser: Browser, files: Path, name: str) -> None:
    view = browser.new_page(viewport={"width": 1200, "height": 900})
    view.goto((files / f"{name}.html").as_uri())
    overlapping = view.evaluate(_OVERLAPPING)
    view.close()
    assert overlapping == []


_OVERLAPPING = """
[...document.querySelectorAll('figure svg[role=img]')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(
    text => [text.textContent, text.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], at) => boxes.slice(at + 1).filter(([b, q]) =>
    p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3
  ).map(([b]) => `${a} / ${b}`));
})
"""


def test_on_paper_nothing_is_cut_off(browser: Browser, files: Path) -> None:
    view = browser.new_page(viewport={"width": 718, "height": 1000}, color_scheme="dark")
    view.goto((files / "sweep.html").as_uri())
    view.emulate_media(media="print")
    wider = view.evaluate("document.documentElement.scrollWidth - innerWidth")
    paper = view.evaluate("getComputedStyle(document.body).backgroundColor")
    printed = view.pdf(format="A4")
    view.close()
    assert paper == "rgb(255, 255, 255)"
    assert wider <= 0, "an A4 page within its margins is 718 pixels wide"
    assert printed.startswith(b"%PDF")
