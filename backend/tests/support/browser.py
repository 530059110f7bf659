"""A browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support import debian
from tests.support.secrets import USER_PASSWORD
from tests.support.service import EMAIL
from tests.support.tools import MissingToolError, wait_until

# WebGL by software, since the machine may have no graphics card; the sandbox does not take root.
ARGUMENTS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
SECONDS = 20
DRAWN = """() => landfall.map.isMoving() || !landfall.map.loaded() ? null : [...new Set(landfall.map
    .queryRenderedFeatures({layers: ["site-areas", "site-lines", "site-points"]}).map((f) => f.properties.name))]"""
PIXEL = """([lng, lat]) => new Promise((resolve) => {
    landfall.map.once("render", () => {
        const {x, y} = landfall.map.project([lng, lat]);
        const canvas = landfall.map.getCanvas(), pixel = new Uint8Array(4), gl = canvas.getContext("webgl2");
        gl.readPixels(x, canvas.height - y, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
        resolve("#" + [...pixel.slice(0, 3)].map((part) => part.toString(16).padStart(2, "0")).join(""));
    });
    landfall.map.triggerRepaint();
})"""


@contextmanager
def browsing() -> Iterator[Browser]:
    """A Chromium; raises `MissingToolError`."""
    if not shutil.which("chromium"):
        debian.install("chromium")
    path = shutil.which("chromium")
    if path is None:
        raise MissingToolError("chromium is not installed")
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class MapPage:
    """The map page as its user sees it, and the drawn map through the page's global."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self) -> None:
        self.page.goto(f"{self.url}/map")
        expect(self.page.get_by_role("dialog")).to_be_visible()

    def log_in(self, *, email: str = EMAIL, password: str = USER_PASSWORD) -> None:
        """Into the dialog that is open, in either language."""
        dialog = self.page.get_by_role("dialog")
        dialog.locator("#email").fill(email)
        dialog.locator("#password").fill(password)
        dialog.locator("button[type=submit]").click()

    def start(self) -> None:
        """Open it, log in, and wait until there is a list."""
        self.open()
        self.log_in()
        expect(self.page.locator("#list button").first).to_be_visible()

    def listed(self) -> list[str]:
        """The names in the list."""
        return self.page.locator("#list button > span:not(.mark)").all_inner_texts()

    def wait_listed(self, *names: str) -> None:
        wait_until(lambda: sorted(self.listed()) == sorted(names), timeout_seconds=SECONDS, what=f"a list of {names}")

    def drawn(self) -> set[str] | None:
        """The names of the sites that the map shows; None while it moves or loads."""
        found: list[str] | None = self.page.evaluate(DRAWN)
        return None if found is None else set(found)

    def wait_drawn(self, *names: str) -> None:
        wait_until(lambda: self.drawn() == set(names), timeout_seconds=SECONDS, what=f"a map of {names}")

    def pixel(self, lon: float, lat: float) -> str:
        """The colour there, such as `#ff0000`."""
        colour: str = self.page.evaluate(PIXEL, [lon, lat])
        return colour

    def click(self, lon: float, lat: float) -> None:
        """Click the map there."""
        place = self.page.evaluate("(place) => landfall.map.project(place)", [lon, lat])
        self.page.locator("#map canvas").click(position={"x": place["x"], "y": place["y"]})

    def drag_marker(self, lon: float, lat: float) -> None:
        """Drag the marker's tip there."""
        target = self.page.evaluate("(place) => landfall.map.project(place)", [lon, lat])
        canvas, marker = self.page.locator("#map canvas"), self.page.locator(".maplibregl-marker")
        marker.hover()
        self.page.mouse.down()
        place, start = canvas.bounding_box(), marker.bounding_box()
        assert place is not None
        assert start is not None
        x, y = place["x"] + target["x"], place["y"] + target["y"] - start["height"] / 2
        self.page.mouse.move(x, y, steps=5)
        self.page.mouse.up()

    def wait_pixel(self, lon: float, lat: float, *, colour: str) -> None:
        wait_until(lambda: self.pixel(lon, lat) == colour, timeout_seconds=SECONDS, what=f"{colour} at {lon}, {lat}")
