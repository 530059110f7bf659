"""What people do on the map page."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.support.api import point, site
from tests.support.browser import SECONDS, MapPage
from tests.support.service import Service
from tests.support.tools import wait_until

from .conftest import MAST, SITES, STATION, Feature

NAMES = [feature["properties"]["name"] for feature in SITES]
NOWHERE = (13.41, 52.515)
BLUE = "#0072b2"


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
    assert map_page.pixel(*STATION) == BLUE
    assert map_page.pixel(*NOWHERE) != BLUE


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


def test_the_list_follows_the_map_until_it_is_told_not_to(map_page: MapPage) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    map_page.page.evaluate("(center) => landfall.map.jumpTo({center, zoom: 16})", list(MAST))
    map_page.wait_listed("Weather mast")
    map_page.page.get_by_label("Only what the map shows").uncheck()
    map_page.wait_listed(*NAMES)
    map_page.page.get_by_role("button", name="Show all").click()
    map_page.wait_drawn(*NAMES)


def test_the_map_opens_on_all_sites_and_not_on_the_newest(map_page: MapPage, editor: httpx.Client) -> None:
    old, old_name = (2.35, 48.85), "The oldest of many"
    editor.post("/api/v1/sites", json=site(point(*old), name=old_name)).raise_for_status()
    many = [site(point(*STATION), name=f"Meter {number}", kind="meter") for number in range(110)]
    body = json.dumps({"type": "FeatureCollection", "features": many})
    headers = {"Content-Type": "application/geo+json"}
    assert editor.post("/api/v1/sites/import", content=body, headers=headers).json()["created"] == 110
    map_page.start()
    seen = "(place) => landfall.map.getZoom() > 3 && landfall.map.getBounds().contains(place)"
    wait_until(lambda: bool(map_page.page.evaluate(seen, list(old))), timeout_seconds=SECONDS, what="the oldest site")


def test_a_long_list_comes_in_pages(map_page: MapPage, editor: httpx.Client) -> None:
    many = [site(point(*STATION), name=f"Meter {number}", kind="meter") for number in range(120)]
    body = json.dumps({"type": "FeatureCollection", "features": many})
    headers = {"Content-Type": "application/geo+json"}
    assert editor.post("/api/v1/sites/import", content=body, headers=headers).json()["created"] == 120
    editor.post("/api/v1/sites", json=site(name="The newest")).raise_for_status()
    map_page.start()
    map_page.page.get_by_label("Name contains").fill("meter")
    wait_until(lambda: "The newest" not in map_page.listed(), timeout_seconds=SECONDS, what="a filtered list")
    expect(map_page.page.locator("#count")).to_have_text("Sites listed: 100. There are more.")
    map_page.page.get_by_role("button", name="More").click()
    expect(map_page.page.locator("#count")).to_have_text("Sites listed: 120.")
    expect(map_page.page.locator("#list button").nth(100)).to_be_focused()
    assert len(set(map_page.listed())) == 120


def test_a_click_on_a_site_opens_its_details(map_page: MapPage) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    map_page.click(*STATION)
    expect(map_page.page.get_by_role("heading", name="Pumping station 7")).to_be_focused()
    expect(map_page.page.locator("#details")).to_contain_text("depth_m")
    expect(map_page.page.locator("#files")).to_have_text("There are no files.")


def test_a_file_of_a_site_comes_down_as_it_went_up(
    map_page: MapPage, sites: dict[str, Feature], editor: httpx.Client, tmp_path: Path
) -> None:
    content = b"Close the north valve first."
    body = {
        "file_name": "valve plan.txt",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "site_id": sites["Pumping station 7"]["id"],
    }
    made = editor.post("/api/v1/artifacts", json=body).raise_for_status().json()
    upload = made["upload"]["request"]
    httpx.put(upload["url"], content=content, headers=upload["headers"], trust_env=False).raise_for_status()
    editor.post(f"/api/v1/artifacts/{made['id']}/complete").raise_for_status()
    map_page.start()
    map_page.page.get_by_role("button", name="Pumping station 7").click()
    expect(map_page.page.locator("#files")).to_contain_text("28 bytes, available")
    with map_page.page.expect_download() as download:
        map_page.page.get_by_role("button", name="Download valve plan.txt").click()
    download.value.save_as(tmp_path / "plan")
    assert (tmp_path / "plan").read_bytes() == content
    assert download.value.suggested_filename == "valve plan.txt"


def test_what_people_write_is_text_and_never_a_part_of_the_page(map_page: MapPage, editor: httpx.Client) -> None:
    name = "<img src=x onerror=alert(1)>"
    editor.post("/api/v1/sites", json=site(name=name, kind=name, properties={name: name})).raise_for_status()
    map_page.start()
    map_page.page.get_by_role("button", name=name).click()
    expect(map_page.page.locator("#details-name")).to_have_text(name)
    assert map_page.page.locator("img").count() == 0


def test_a_click_on_the_map_places_a_new_site(map_page: MapPage, editor: httpx.Client) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    page = map_page.page
    page.get_by_role("button", name="Add a site").click()
    page.get_by_label("Name", exact=True).fill("Well")
    page.get_by_role("group", name="What it is").get_by_label("Kind").fill("well")
    map_page.click(*NOWHERE)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_have_text("Well was added.")
    page.get_by_role("button", name="Back to the list").click()
    map_page.wait_listed(*NAMES, "Well")
    map_page.wait_drawn(*NAMES, "Well")
    (made,) = editor.get("/api/v1/sites", params={"kind": "well"}).json()["features"]
    assert made["geometry"]["coordinates"] == pytest.approx(NOWHERE, abs=1e-3)


def test_a_dragged_marker_moves_a_site(map_page: MapPage, sites: dict[str, Feature], editor: httpx.Client) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    page = map_page.page
    page.get_by_role("button", name="Pumping station 7").click()
    page.get_by_role("button", name="Move").click()
    map_page.drag_marker(*NOWHERE)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_have_text("Pumping station 7 was moved.")
    moved = editor.get(f"/api/v1/sites/{sites['Pumping station 7']['id']}").json()
    assert moved["geometry"]["coordinates"] == pytest.approx(NOWHERE, abs=2e-3)
    assert moved["properties"]["version"] == 2
    map_page.wait_pixel(*moved["geometry"]["coordinates"], colour=BLUE)


def test_only_a_point_can_be_moved(map_page: MapPage) -> None:
    map_page.start()
    map_page.page.get_by_role("button", name="Park").click()
    expect(map_page.page.locator("#files")).to_have_text("There are no files.")
    expect(map_page.page.get_by_role("button", name="Move")).to_be_hidden()


def test_a_change_of_somebody_else_is_not_overwritten(
    map_page: MapPage, sites: dict[str, Feature], editor: httpx.Client
) -> None:
    map_page.start()
    page = map_page.page
    page.get_by_role("button", name="Pumping station 7").click()
    page.get_by_role("button", name="Move").click()
    address = f"/api/v1/sites/{sites['Pumping station 7']['id']}"
    editor.patch(address, json={"properties": {"kind": "well"}}).raise_for_status()
    page.get_by_label("Longitude").fill("13.5")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#error")).to_contain_text("Somebody changed this site meanwhile")
    assert editor.get(address).json()["geometry"]["coordinates"] == list(STATION)
    page.get_by_role("button", name="Reload the site").click()
    expect(page.locator("#error")).to_be_empty()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_have_text("Pumping station 7 was moved.")
    changed = editor.get(address).json()
    assert (changed["geometry"]["coordinates"], changed["properties"]["kind"]) == ([13.5, 52.5], "well")


def test_an_expired_login_is_asked_for_again_and_loses_nothing_typed(map_page: MapPage) -> None:
    map_page.start()
    page = map_page.page
    page.get_by_role("button", name="Add a site").click()
    page.get_by_label("Name", exact=True).fill("Well")
    page.get_by_role("group", name="What it is").get_by_label("Kind").fill("well")
    page.get_by_label("Longitude").fill("13.41")
    page.get_by_label("Latitude").fill("52.51")
    page.evaluate("() => sessionStorage.setItem('landfall.token', 'expired')")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_contain_text("Your login has expired")
    map_page.log_in()
    expect(page.get_by_role("heading", name="Well")).to_be_visible()


def test_tiles_that_are_refused_ask_for_the_login_too(map_page: MapPage) -> None:
    map_page.start()
    map_page.wait_drawn(*NAMES)
    page = map_page.page
    page.get_by_label("Only what the map shows").uncheck()  # so that the tiles alone are asked for
    map_page.wait_listed(*NAMES)
    page.evaluate("() => sessionStorage.setItem('landfall.token', 'expired')")
    page.evaluate("(center) => landfall.map.jumpTo({center, zoom: 16})", list(MAST))
    expect(page.get_by_role("dialog")).to_contain_text("Your login has expired")
    map_page.log_in()
    map_page.wait_drawn("Weather mast")


def test_a_refused_login_leaves_a_button_to_try_again(map_page: MapPage) -> None:
    map_page.open()
    map_page.page.get_by_role("button", name="Cancel").click()
    expect(map_page.page.locator("#error")).to_contain_text("Log in to go on")
    map_page.page.get_by_role("button", name="Log in").click()
    map_page.log_in()
    map_page.wait_listed(*NAMES)


def test_a_logout_leaves_nothing_behind(map_page: MapPage) -> None:
    map_page.start()
    map_page.page.get_by_role("button", name="Log out").click()
    expect(map_page.page.get_by_role("dialog")).to_be_visible()
    assert map_page.page.evaluate("() => sessionStorage.length") == 0
    assert map_page.listed() == []


def test_a_viewer_is_offered_no_change(map_page: MapPage, viewer: str) -> None:
    map_page.open()
    map_page.log_in(email=viewer)
    map_page.wait_listed(*NAMES)
    expect(map_page.page.get_by_role("button", name="Add a site")).to_be_hidden()
    map_page.page.get_by_role("button", name="Pumping station 7").click()
    expect(map_page.page.locator("#files")).to_have_text("There are no files.")
    expect(map_page.page.get_by_role("button", name="Move")).to_be_hidden()


def test_what_the_service_refuses_is_shown_in_its_words(map_page: MapPage, editor: httpx.Client) -> None:
    map_page.start()
    page = map_page.page
    page.get_by_role("button", name="Pumping station 7").click()
    page.get_by_role("button", name="Move").click()
    (found,) = editor.get("/api/v1/sites", params={"kind": "pump"}).json()["features"]
    editor.delete(f"/api/v1/sites/{found['id']}").raise_for_status()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#error")).to_contain_text(f"There is no site with the id {found['id']}")


def test_an_unreachable_service_is_told(map_page: MapPage) -> None:
    map_page.start()

    def drop(route: Route) -> None:
        route.abort()

    map_page.page.route("**/api/v1/sites?**", drop)
    map_page.page.get_by_label("Name contains").fill("pump")
    expect(map_page.page.locator("#list-error")).to_contain_text("The service cannot be reached")


def test_without_webgl_the_list_works_alone(map_page: MapPage) -> None:
    map_page.page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    map_page.start()
    expect(map_page.page.locator("#map-note")).to_contain_text("no WebGL 2")
    map_page.page.get_by_label("Name contains").fill("pump")
    map_page.wait_listed("Pumping station 7")
    map_page.page.get_by_role("button", name="Pumping station 7").click()
    map_page.page.get_by_role("button", name="Move").click()
    map_page.page.get_by_label("Longitude").fill("13.5")
    map_page.page.get_by_role("button", name="Save").click()
    expect(map_page.page.locator("#details")).to_contain_text("13.5, 52.5")


def test_without_tiles_the_map_shows_the_list(bare_page: MapPage, sqlite_service: Service) -> None:
    bare_page.url = sqlite_service.url
    bare_page.open()
    bare_page.log_in(email="test@example.com", password="landfall-demo")
    bare_page.wait_listed("Pumping station 7", "Weather mast", "Park, south meadow")
    bare_page.wait_drawn("Pumping station 7", "Weather mast", "Park, south meadow")
    expect(bare_page.page.locator("#map-note")).to_contain_text("SQLite")
