"""The map page in a real browser, on a real service with PostGIS."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, expect

from tests.conftest import required
from tests.support.api import point, site
from tests.support.browser import MapPage, browsing
from tests.support.postgres import PostgresServer
from tests.support.service import Service, prepare

STATION, MAST = (13.40, 52.50), (13.46, 52.53)
PARK = {"type": "Polygon", "coordinates": [[[13.42, 52.48], [13.45, 52.48], [13.45, 52.49], [13.42, 52.48]]]}
ROAD = {"type": "LineString", "coordinates": [[13.39, 52.52], [13.43, 52.53]]}
NAMES = ("Pumping station 7", "Weather mast", "Park", "Ring road")
ORANGE = "#e69f00"

Feature = dict[str, Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    opened = browsing()
    yield required(opened.__enter__)
    opened.__exit__(None, None, None)


@pytest.fixture(scope="module")
def map_service(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("map")
    name = f"landfall_map_{uuid.uuid4().hex[:8]}"
    url = postgres.create_database(name)
    prepare(url, directory)
    service = Service(directory=directory, environment={"DATABASE_URL": url})
    service.start()
    yield service
    service.stop()
    postgres.drop_database(name)


@pytest.fixture
def sites(map_service: Service) -> dict[str, Feature]:
    """The only sites, by their names."""
    with map_service.client() as client:
        client.headers.update(map_service.authorization)
        for old in client.get("/api/v1/sites", params={"limit": 1000}).json()["features"]:
            assert client.delete(f"/api/v1/sites/{old['id']}").status_code == 204
        made = [
            client.post("/api/v1/sites", json=body).raise_for_status().json()
            for body in (
                site(point(*STATION), name="Pumping station 7", kind="pump", properties={"depth_m": 3.5}),
                site(point(*MAST), name="Weather mast", kind="mast"),
                site(PARK, name="Park", kind="park"),
                site(ROAD, name="Ring road", kind="road"),
            )
        ]
    return {feature["properties"]["name"]: feature for feature in made}


@pytest.fixture
def context_options() -> dict[str, Any]:
    """What a test may want of its browser: `parametrize("context_options", […])`."""
    return {}


@pytest.fixture
def context(browser: Browser, context_options: dict[str, Any]) -> Iterator[BrowserContext]:
    context = browser.new_context(**{"locale": "en-GB", "viewport": {"width": 1200, "height": 800}, **context_options})
    yield context
    context.close()


@pytest.fixture
def map_page(context: BrowserContext, map_service: Service, sites: dict[str, Feature]) -> Iterator[MapPage]:
    """The page, not yet open; it may ask nobody but the service, and may complain of nothing."""
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # What Chromium says of each answer of 400 and above is no complaint of the page.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    page.on("request", lambda request: asked.append(request.url))
    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield MapPage(page, map_service.url)
    assert [url for url in asked if not url.startswith((map_service.url, "data:", "blob:"))] == []
    assert complaints == []


def test_a_wrong_password_is_told_and_the_right_one_opens_the_map(map_page: MapPage) -> None:
    map_page.open()
    map_page.log_in(password="not this one")
    expect(map_page.page.locator("#login-error")).to_contain_text("password")
    map_page.log_in()
    expect(map_page.page.get_by_role("dialog")).to_be_hidden()
    map_page.wait_listed(*NAMES)


def test_the_map_shows_every_site_in_the_colour_of_its_kind(map_page: MapPage) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    assert map_page.pixel(*STATION) != map_page.pixel(13.4, 52.49)


def test_a_filter_narrows_list_and_map(map_page: MapPage) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    map_page.page.get_by_label("Name contains").fill("PUMP")
    map_page.wait_listed("Pumping station 7")
    map_page.wait_drawn("Pumping station 7")
    map_page.page.get_by_label("Name contains").fill("")
    map_page.page.get_by_role("search").get_by_label("Kind").select_option("park")
    map_page.wait_listed("Park")
    map_page.wait_drawn("Park")


def test_a_click_on_a_site_opens_its_details(map_page: MapPage) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    map_page.click(*STATION)
    expect(map_page.page.get_by_role("heading", name="Pumping station 7")).to_be_focused()
    expect(map_page.page.locator("#details")).to_contain_text("depth_m")


def test_a_click_on_the_map_places_a_new_site(map_page: MapPage, map_service: Service) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    page = map_page.page
    page.get_by_role("button", name="Add a site").click()
    page.get_by_label("Name", exact=True).fill("Well")
    page.locator("#new-kind").fill("well")
    map_page.click(13.44, 52.51)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Well was added.")
    page.get_by_role("button", name="Back to the list").click()
    map_page.wait_listed(*NAMES, "Well")
    map_page.wait_drawn(*NAMES, "Well")
    with map_service.client() as client:
        answer = client.get("/api/v1/sites", params={"kind": "well"}, headers=map_service.authorization)
    (made,) = answer.json()["features"]
    assert made["geometry"]["coordinates"] == pytest.approx([13.44, 52.51], abs=1e-3), json.dumps(made)
