"""A release of the umbrella chart under Helm 3, which waits for no custom resource, until Helm 4 takes it over."""

from __future__ import annotations

import pytest
from cluster import Namespace, condition, until
from releases import Release, Values
from test_chart_upgrade import FAILURE, MIGRATION, MakeImage, api, namespace, next_image, rolled_out, serves

__all__ = ["namespace", "next_image"]  # fixtures

# Not the chart's: what Helm 3 waits for does not come.
TIMEOUT = "20s"


@pytest.fixture(scope="module")
def landfall(namespace: Namespace, chart_values: Values) -> Release:
    release = Release(namespace, helm="helm3", values=chart_values)
    release.install()
    return release


@pytest.fixture
def failed(landfall: Release, namespace: Namespace, next_image: MakeImage) -> Release:
    """Upgraded to an image whose revision fails, which Helm noticed by its timeout."""
    outcome = landfall.try_upgrade(api(next_image("surveyor", "failing")), timeout=TIMEOUT)
    assert outcome.code
    until(lambda: is_stalled(namespace), seconds=60, what="the Migration stalls")
    return landfall


def is_stalled(stage: Namespace) -> bool:
    return condition(stage.get("migration", MIGRATION), "Stalled").get("status") == "True"


def test_a_failing_revision_is_told_by_the_migration_while_old_pods_serve_and_a_rollback_heals(
    failed: Release, namespace: Namespace, backend_image: str
) -> None:
    assert FAILURE in namespace.kubectl("get", "migration", MIGRATION, "-o", "wide")
    assert serves(namespace, backend_image)

    failed.rollback()
    until(lambda: rolled_out(namespace, backend_image), seconds=60, what="the release is as it was deployed")


def test_an_upgrade_back_to_what_was_deployed_leaves_the_migration_until_it_is_applied(
    failed: Release, namespace: Namespace, backend_image: str
) -> None:
    failed.upgrade(api(backend_image))
    assert namespace.get("migration", MIGRATION)["spec"]["image"] != backend_image

    manifest = failed.run("get", "manifest", failed.name).words
    namespace.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=manifest)
    until(lambda: rolled_out(namespace, backend_image), seconds=60, what="the release is as it was deployed")


def test_the_next_good_upgrade_heals(failed: Release, namespace: Namespace, next_image: MakeImage) -> None:
    failed.upgrade(api(next_image("surveyor")))
    until(lambda: rolled_out(namespace, next_image("surveyor")), seconds=60, what="the Migration is ready")


def test_helm_4_takes_the_release_over_with_its_passwords(
    landfall: Release, namespace: Namespace, chart_values: Values, backend_image: str
) -> None:
    before = secrets(namespace)
    Release(namespace, values=chart_values).upgrade()
    assert rolled_out(namespace, backend_image)
    assert secrets(namespace) == before


def secrets(stage: Namespace) -> dict[str, dict[str, str]]:
    """The data of all Secrets but Helm's own."""
    found = [body for body in stage.list("secret") if not body["type"].startswith("helm.sh/")]
    return {body["metadata"]["name"]: body["data"] for body in found}
