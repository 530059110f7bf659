"""What is known of the cluster: never older than what was seen, and never what a whole list does not show."""

from __future__ import annotations

from typing import Any

from landfall_operator.store import Store


def body(name: str, version: int, **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"image": f"api:{version}"} | spec}


def image(store: Store, name: str) -> str | None:
    found = store.migration(("shop", name))
    return found.image if found else None


def test_an_older_event_does_not_undo_a_newer_one() -> None:
    store = Store("shop")
    store.see("Migration", body("api", 99), deleted=False)
    store.see("Migration", body("api", 7), deleted=False)
    assert image(store, "api") == "api:99"


def test_a_list_takes_away_what_was_deleted_unseen_but_not_what_is_newer_than_it() -> None:
    store = Store("shop")
    for name, version in (("gone", 5), ("stays", 6), ("newer", 12)):
        store.see("Migration", body(name, version), deleted=False)
    store.replace("Migration", [body("stays", 8)], version="10")
    assert [image(store, name) for name in ("gone", "stays", "newer")] == [None, "api:8", "api:12"]


def test_an_owner_is_known_by_its_uid_and_not_by_its_name() -> None:
    store = Store("shop")
    store.see("Migration", body("api", 1), deleted=False)
    assert store.knows({"namespace": "shop", "name": "api", "uid": "uid-api"})
    assert not store.knows({"namespace": "shop", "name": "api", "uid": "another"})


def test_the_image_is_that_of_the_deployment_and_container_named() -> None:
    store = Store("shop")
    reference = {"deploymentRef": {"name": "web", "container": "app"}}
    follower = body("api", 1)
    follower["spec"] = {"from": reference}
    store.see("Migration", follower, deleted=False)
    assert image(store, "api") is None
    containers = [{"name": "proxy", "image": "proxy:1"}, {"name": "app", "image": "app:1"}]
    deployment = body("web", 2, template={"spec": {"containers": containers}})
    store.see("Deployment", deployment, deleted=False)
    assert image(store, "api") == "app:1"
    assert list(store.followers(("shop", "web"))) == [("shop", "api")]


def test_only_a_marker_of_ours_counts_as_one() -> None:
    store = Store("shop")
    template: dict[str, Any] = {"spec": {"containers": []}}
    foreign = body("foreign", 1, template=template) | {
        "status": {"conditions": [{"type": "Stalled", "reason": "Other"}]}
    }
    ours = body("ours", 2, template=template)
    ours["status"] = {"conditions": [{"type": "Stalled", "reason": "MigrationStalled"}]}
    for deployment in (foreign, ours):
        store.see("Deployment", deployment, deleted=False)
    assert list(store.marked("shop")) == [("shop", "ours")]
    assert list(store.marked("another")) == []


def test_the_end_of_an_older_object_does_not_take_the_new_one_of_its_name_away() -> None:
    store = Store("shop")
    old, new = body("api", 1), body("api", 9)
    new["metadata"]["uid"] = "another"
    store.see("Migration", new, deleted=False)
    store.see("Migration", old, deleted=True)
    assert image(store, "api") == "api:9"


def test_a_list_replaces_nothing_that_it_shows_as_it_is_known() -> None:
    store = Store("shop")
    store.see("Migration", body("same", 5), deleted=False)
    kept = store.migration(("shop", "same"))
    store.replace("Migration", [body("same", 5, image="other")], version="10")
    found = store.migration(("shop", "same"))
    assert kept
    assert found
    assert found.body is kept.body
