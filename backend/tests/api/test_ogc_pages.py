"""OGC API - Features, Part 1: the same as HTML, for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from typing_extensions import override

from app import messages
from app.api.ogc import pages
from app.api.ogc.pages import TEMPLATES
from app.messages import Language
from app.messages_de import TEMPLATES as GERMAN
from tests.support.api import point, problem_of, site
from tests.support.ogc import HOST, ITEMS, Ogc, meets

EVIL = "<script>alert('\"&amp;')</script>"
SITES = "/collections/sites"
DOCUMENTS = ("", "/conformance", "/api", "/api.html", "/collections", SITES, f"{SITES}/queryables", ITEMS)
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """The elements of a page, in order; raises `AssertionError` where they do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)


@meets("/req/html/definition", "/req/html/content")
@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_resource_is_a_page_with_landmarks_one_heading_and_its_language(empty_ogc: Ogc, path: str) -> None:
    answer = empty_ogc.get(path, accept="text/html")
    assert answer.status_code == 200
    page = Page(answer.text)
    assert [attributes["lang"] for attributes in page.all("html")] == ["en"]
    for landmark in ("header", "main", "footer", "h1", "title"):
        assert len(list(page.all(landmark))) == 1, landmark
    assert all(attributes.get("aria-label") for attributes in page.all("nav"))
    assert len(list(page.all("caption"))) == len(list(page.all("table")))
    assert all(attributes.get("scope") in {"row", "col"} for attributes in page.all("th"))


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_page_needs_no_script_and_nothing_from_elsewhere(empty_ogc: Ogc, path: str) -> None:
    answer = empty_ogc.get(path, accept="text/html")
    page = Page(answer.text)
    assert {tag for tag, _ in page.elements} & {"script", "img", "link", "iframe", "form", "object"} == set()
    hrefs = [attributes["href"] or "" for attributes in page.all("a")]
    assert [href for href in hrefs if not href.startswith(("/ogc", f"{HOST}/ogc"))] == []
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_links_of_a_page_lead_somewhere(empty_ogc: Ogc, path: str) -> None:
    hrefs = {attributes["href"] or "" for attributes in Page(empty_ogc.get(path, accept="text/html").text).all("a")}
    assert hrefs
    for href in hrefs:
        assert empty_ogc.get(href if href.startswith("http") else f"{HOST}{href}").status_code == 200, href


def test_sites_are_a_table_with_paging_links_and_everything_escaped(ogc: Ogc) -> None:
    for at in range(3):
        body = site(point(at, 50), name=f"{EVIL}{at}", kind=EVIL, external_id=f"{EVIL}{at}", properties={EVIL: EVIL})
        made = ogc.api.editor.create("/sites", body)
    answer = ogc.get(ITEMS, accept="text/html", limit=1, count="exact")
    assert "<script" not in answer.text
    page = Page(answer.text)
    assert f"{EVIL}0" in page.text
    assert any("3" in text for text in page.text)
    (following,) = [attributes["href"] or "" for attributes in page.all("a") if attributes.get("rel") == "next"]
    assert f"{EVIL}1" in Page(ogc.get(following, accept="text/html").text).text

    item = ogc.get(f"{ITEMS}/{made['id']}", accept="text/html")
    assert "<script" not in item.text
    assert f"{EVIL}2" in Page(item.text).text
    assert '"coordinates": [2, 50]' in "".join(Page(item.text).text)
    assert "ETag" not in item.headers


def test_no_connection_is_held_while_a_page_is_rendered(ogc: Ogc, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ogc.api.editor.create("/sites", site())
    held: list[int] = []

    def translate(template: str, language: Language) -> str:
        held.append(ogc.api.app.state.database.engine.pool.checkedout())
        return messages.translate(template, language)

    monkeypatch.setattr(pages, "translate", translate)
    for path in (ITEMS, f"{ITEMS}/{made['id']}"):
        held.clear()
        assert ogc.get(path, accept="text/html").status_code == 200
        assert set(held) == {0}


def test_a_page_needs_the_token_as_the_data_does(empty_ogc: Ogc) -> None:
    answer = empty_ogc.get(ITEMS, accept="text/html", caller=empty_ogc.api.anonymous)
    assert problem_of(answer) == (401, "invalid-token")


def test_a_page_speaks_the_readers_language(empty_ogc: Ogc) -> None:
    answer = empty_ogc.api.viewer.get(f"{HOST}/ogc{ITEMS}?f=html", headers={"Accept-Language": "de"})
    assert answer.headers["Content-Language"] == "de"
    page = Page(answer.text)
    assert next(page.all("html"))["lang"] == "de"
    assert {"Kein Standort passt.", "Sammlungen"} <= set(page.text)


def test_every_word_of_the_pages_is_there_in_german() -> None:
    words = {word for file in TEMPLATES.glob("*.html") for word in re.findall(r"\bt\('([^']+)'\)", file.read_text())}
    assert len(words) > 20
    assert words - GERMAN.keys() == set()
