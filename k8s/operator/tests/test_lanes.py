"""A store that is away takes no more than a few threads, and is tried again by one at a time."""

from __future__ import annotations

import pytest

from landfall_operator.lanes import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, WIDTH, Lanes

STORE, OTHER = "http://minio:9000", "http://other:9000"
AWAY = TimeoutError("away")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lanes(clock: Clock) -> Lanes[TimeoutError]:
    return Lanes(clock=clock)


def test_one_store_is_asked_by_few_at_once_and_another_one_all_the_same(lanes: Lanes[TimeoutError]) -> None:
    assert [lanes.enter(STORE) for _ in range(WIDTH + 1)] == [True] * WIDTH + [False]
    assert lanes.enter(OTHER)
    lanes.leave(STORE, None)
    assert lanes.enter(STORE)


def test_a_store_that_is_away_is_asked_by_nobody_for_a_while(lanes: Lanes[TimeoutError], clock: Clock) -> None:
    lanes.enter(STORE)
    lanes.leave(STORE, AWAY)
    assert lanes.trouble(STORE) == (AWAY, FIRST_PAUSE_SECONDS)
    assert lanes.trouble(OTHER) is None
    clock.now += FIRST_PAUSE_SECONDS
    assert lanes.trouble(STORE) is None


def test_it_is_then_tried_by_one_and_by_all_when_that_one_succeeds(lanes: Lanes[TimeoutError], clock: Clock) -> None:
    lanes.enter(STORE)
    lanes.leave(STORE, AWAY)
    clock.now += FIRST_PAUSE_SECONDS
    assert [lanes.enter(STORE), lanes.enter(STORE)] == [True, False]
    lanes.leave(STORE, None)
    assert [lanes.enter(STORE) for _ in range(WIDTH + 1)] == [True] * WIDTH + [False]


def test_pauses_grow_to_a_limit_and_those_that_fail_together_count_once(
    lanes: Lanes[TimeoutError], clock: Clock
) -> None:
    pauses = []
    for _ in range(8):
        lanes.enter(STORE)
        lanes.leave(STORE, AWAY)
        trouble = lanes.trouble(STORE)
        assert trouble
        pauses.append(trouble[1])
        clock.now += trouble[1]
    assert pauses[:3] == [FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS, 4 * FIRST_PAUSE_SECONDS]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    lanes.enter(OTHER)
    lanes.enter(OTHER)
    lanes.leave(OTHER, AWAY)
    lanes.leave(OTHER, AWAY)
    assert lanes.trouble(OTHER) == (AWAY, FIRST_PAUSE_SECONDS)
