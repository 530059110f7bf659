"""The map page in a browser, on a service of its own with PostGIS, which its tests write to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage
from pydantic import SecretStr

from app.db.session import DatabaseSessionManager
from app.models import UserRole
from app.schemas.user import UserCreate
from app.services.users import create_user
from tests.conftest import required
from tests.support.api import COMMAND_LINE, point, site
from tests.support.browser import MapPage, browsing
from tests.support.postgres import PostgresServer
from tests.support.secrets import USER_PASSWORD
from tests.support.service import Service, serving
from tests.support.settings import make_settings

STATION, MAST = (13.40, 52.50), (13.46, 52.53)
PARK = {"type": "Polygon", "coordinates": [[[13.42, 52.48], [13.45, 52.48], [13.45, 52.49], [13.42, 52.48]]]}
ROAD = {"type": "LineString", "coordinates": [[13.39, 52.52], [13.43, 52.53]]}
SITES = (
    site(point(*STATION), name="Pumping station 7", kind="pump", properties={"depth_m": 3.5}),
    site(point(*MAST), name="Weather mast", kind="mast"),
    site(PARK, name="Park", kind="park"),
    site(ROAD, name="Ring road", kind="road"),
)

Feature = dict[str, Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium; not for the session, since while Playwright runs no other test can run an event loop."""
    with ExitStack() as stack:
        yield required(lambda: stack.enter_context(browsing()))


@pytest.fixture(scope="session")
def map_service(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(postgres, tmp_path_factory.mktemp("map")) as service:
        yield service


@pytest.fixture
def editor(map_service: Service) -> Iterator[httpx.Client]:
    """Somebody else who works on the same sites, by the API."""
    with map_service.client() as client:
        client.headers.update(map_service.authorization)
        yield client


@pytest.fixture
def sites(editor: httpx.Client) -> dict[str, Feature]:
    """The only sites, by their names."""
    for old in editor.get("/api/v1/sites", params={"limit": 1000}).json()["features"]:
        assert editor.delete(f"/api/v1/sites/{old['id']}").status_code == 204
    made = [editor.post("/api/v1/sites", json=body).raise_for_status().json() for body in SITES]
    return {feature["properties"]["name"]: feature for feature in made}


@pytest.fixture
def context_options() -> dict[str, Any]:
    """What a test may want of its browser: `parametrize("context_options", […])`."""
    return {}


@pytest.fixture
def context(browser: Browser, context_options: dict[str, Any]) -> Iterator[BrowserContext]:
    # Without animations, which software draws slowly.
    common = {"locale": "en-GB", "viewport": {"width": 900, "height": 600}, "reduced_motion": "reduce"}
    context = browser.new_context(**{**common, **context_options})
    yield context
    context.close()


@pytest.fixture
def bare_page(context: BrowserContext, map_service: Service) -> Iterator[MapPage]:
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
    map_page = MapPage(page, map_service.url)
    yield map_page
    assert [url for url in asked if not url.startswith((map_page.url, "data:", "blob:"))] == []
    assert complaints == []


@pytest.fixture
def map_page(bare_page: MapPage, sites: dict[str, Feature]) -> MapPage:
    """The page over `sites`."""
    return bare_page


@pytest.fixture(scope="session")
def viewer(map_service: Service) -> str:
    """The address of somebody who may only look; the password is the same."""
    email = "viewer@example.com"
    body = UserCreate(email=email, password=SecretStr(USER_PASSWORD), role=UserRole.VIEWER)
    settings = make_settings(map_service.directory, database_url=map_service.environment["DATABASE_URL"])
    with DatabaseSessionManager(settings.database) as database, database.session() as session:
        create_user(session, body, actor=COMMAND_LINE, rounds=4)
    return email


@pytest.fixture
def sqlite_service(tmp_path: Path) -> Iterator[Service]:
    """As by `make run`: with a SQLite file and demonstration data."""
    service = Service(directory=tmp_path, environment={})
    yield service.start("--migrate", "--seed")
    service.stop()
