"""For whom the map page works: by keyboard, for screen readers, in the dark, on a telephone, in German."""

from __future__ import annotations

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import MapPage
from tests.support.secrets import USER_PASSWORD

from .conftest import SITES, STATION, Feature

NAMES = [feature["properties"]["name"] for feature in SITES]
EMPTY = (13.451, 52.512)
MOST_TABS = 40
NARROW = {"viewport": {"width": 320, "height": 640}}


def _tab_to(page: Page, target: Locator) -> None:
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if target.evaluate("(element) => element === document.activeElement"):
            return
    pytest.fail(f"{target} is not reached by Tab")


def _faults(page: Page) -> list[str]:
    """What axe-core finds wrong, by WCAG 2.2 AA and by its own best practice."""
    return [
        f"{found['id']}: {node['html']} {node['failureSummary']}"
        for found in Axe().run(page).response["violations"]
        for node in found["nodes"]
    ]


def test_everything_can_be_done_by_keyboard(map_page: MapPage, sites: dict[str, Feature], editor: httpx.Client) -> None:
    map_page.open()
    page = map_page.page
    page.keyboard.type("someone@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type(USER_PASSWORD)
    page.keyboard.press("Enter")
    map_page.wait_listed(*NAMES)
    _tab_to(page, page.get_by_role("link", name="Skip to the list of sites"))
    page.keyboard.press("Enter")
    _tab_to(page, page.get_by_role("button", name="Pumping station 7"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Pumping station 7")).to_be_focused()
    _tab_to(page, page.get_by_role("button", name="Move"))
    page.keyboard.press("Enter")
    _tab_to(page, page.get_by_label("Longitude"))
    page.keyboard.press("Control+A")
    page.keyboard.type("13.42")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Pumping station 7")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pumping station 7")).to_be_focused()
    moved = editor.get(f"/api/v1/sites/{sites['Pumping station 7']['id']}").json()
    assert moved["geometry"]["coordinates"] == [13.42, 52.5]


@pytest.mark.parametrize(
    "context_options",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, {**NARROW, "locale": "de-DE"}],
    ids=["light", "dark", "narrow and German"],
)
def test_a_checker_of_accessibility_finds_no_fault(map_page: MapPage) -> None:
    page = map_page.page
    faults: list[str] = []
    map_page.open()
    faults += _faults(page)
    map_page.log_in()
    map_page.wait_drawn(*NAMES)
    faults += _faults(page)
    page.locator("#list button").first.click()
    expect(page.locator("#files li")).to_be_visible()
    faults += _faults(page)
    page.locator("#back").click()
    page.locator("#add").click()
    page.locator("#new-name").fill("Well")
    page.locator("#new-kind").fill("well")
    page.locator("#lon").fill("13.4")
    page.locator("#lat").fill("52.5")
    page.route("**/api/v1/sites", lambda route: route.abort())
    page.locator("#save").click()
    expect(page.locator("#error")).not_to_be_empty()
    faults += _faults(page)
    assert faults == []


@pytest.mark.parametrize("context_options", [{"locale": "de-DE"}])
def test_a_german_browser_gets_german(map_page: MapPage) -> None:
    map_page.open()
    page = map_page.page
    map_page.log_in(password="nicht dieses")
    expect(page.locator("#login-error")).to_contain_text("Passwort")
    map_page.log_in()
    map_page.wait_listed(*NAMES)
    expect(page.locator("#count")).to_have_text("Orte in der Liste: 4.")
    assert page.evaluate("() => document.documentElement.lang") == "de"
    expect(page.get_by_role("region", name="Karte").first).to_be_visible()


def test_the_language_is_switched_in_place_and_kept(map_page: MapPage) -> None:
    map_page.start()
    page = map_page.page
    page.get_by_label("Name contains").fill("pump")
    map_page.wait_listed("Pumping station 7")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_label("Name enthält")).to_have_value("pump")
    expect(page.locator("#count")).to_have_text("Orte in der Liste: 1.")
    page.reload()
    expect(page.get_by_role("button", name="English")).to_be_visible()
    map_page.wait_listed(*NAMES)


def test_a_switch_of_the_language_loses_nothing_typed(map_page: MapPage) -> None:
    map_page.start()
    page = map_page.page
    page.get_by_role("button", name="Pumping station 7").click()
    page.get_by_role("button", name="Move").click()
    page.get_by_label("Longitude").fill("13.5")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", name="Pumping station 7 verschieben")).to_be_visible()
    expect(page.get_by_label("Länge")).to_have_value("13.5")


@pytest.mark.parametrize("context_options", [{"color_scheme": "dark"}])
def test_in_the_dark_the_map_is_dark_and_follows_the_system(map_page: MapPage) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    map_page.wait_pixel(*EMPTY, colour="#14181c")
    map_page.page.emulate_media(color_scheme="light")
    map_page.wait_pixel(*EMPTY, colour="#f2f0ea")


@pytest.mark.parametrize("context_options", [NARROW])
def test_nothing_is_wider_than_a_narrow_screen(map_page: MapPage, editor: httpx.Client) -> None:
    long = {"geometry": {"type": "Point", "coordinates": list(STATION)}, "type": "Feature"}
    properties = {"name": "W" * 200, "kind": "K" * 200, "properties": {"P" * 100: "V" * 500}}
    editor.post("/api/v1/sites", json={**long, "properties": properties}).raise_for_status()
    map_page.start()
    page = map_page.page
    fits = """() => [document.documentElement, document.querySelector("#panel")]
        .every((box) => box.scrollWidth <= box.clientWidth)"""
    assert page.evaluate(fits)
    page.get_by_role("button", name="WWW").click()
    expect(page.locator("#details")).to_contain_text("VVV")
    assert page.evaluate(fits)
    page.get_by_role("button", name="Move").click()
    assert page.evaluate(fits)


@pytest.mark.parametrize(
    ("context_options", "is_animated"),
    [({"reduced_motion": "reduce"}, False), ({"reduced_motion": "no-preference"}, True)],
)
def test_the_map_flies_only_for_who_likes_it(map_page: MapPage, *, is_animated: bool) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    map_page.page.locator("#zoom-out").click()
    assert map_page.page.evaluate("() => landfall.map.isMoving()") is is_animated


def test_the_service_speaks_the_chosen_language_too(map_page: MapPage) -> None:
    map_page.page.add_init_script("localStorage.setItem('landfall.language', 'de')")
    map_page.open()
    map_page.log_in(password="nicht dieses")
    expect(map_page.page.locator("#login-error")).to_contain_text("Passwort")
