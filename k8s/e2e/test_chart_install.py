"""The umbrella chart into namespaces with nothing in them that enforce Pod Security's restricted profile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import delete_namespace, make_namespace
from releases import Outcome, Release
from umbrella import Landfall

pytestmark = pytest.mark.alone

READY_SECONDS = 45
# Each name's first part is the Helm that installs.
INSTALLS = ["helm-1", "helm3-2", "helm-3", "helm3-4", "helm-5"]


@pytest.fixture(scope="module")
def installed(
    request: pytest.FixtureRequest, crds: None, chart_values: dict[str, Any]
) -> Iterator[tuple[Landfall, Outcome]]:
    """A release, and how its installation went."""
    helm = request.param.partition("-")[0]
    landfall = Landfall(Release(make_namespace(), helm=helm, values=chart_values))
    try:
        yield landfall, landfall.release.install()
    finally:
        delete_namespace(landfall.stage)


@pytest.mark.parametrize("installed", INSTALLS, indirect=True)
def test_it_is_ready_within_45_seconds(installed: tuple[Landfall, Outcome]) -> None:
    landfall, outcome = installed
    landfall.stage.kubectl("rollout", "status", "deployment/landfall-api", "--timeout=0s")
    print(f"{landfall.release.helm} install: {outcome.seconds:.1f} s")  # noqa: T201 - pytest -rP shows it
    assert outcome.seconds <= READY_SECONDS


@pytest.mark.parametrize("installed", INSTALLS[:2], indirect=True)
def test_the_release_s_own_tests_pass(installed: tuple[Landfall, Outcome]) -> None:
    words = installed[0].release.test().words
    assert words.count("Phase:          Succeeded") == 2
