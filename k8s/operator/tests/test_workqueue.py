"""Each name is worked on by one worker at a time, and never forgotten."""

from __future__ import annotations

import asyncio

from landfall_operator.workqueue import Key, WorkQueue

API = ("shop", "api")


def worked(queue: WorkQueue, *, workers: int, during: dict[int, Key], rounds: int) -> list[int]:
    """How many were at work on one name at once in each round; `during` adds a name in the middle of a round."""
    seen: list[int] = []

    async def main() -> None:
        busy = 0
        done = asyncio.Event()

        async def work(_: Key) -> None:
            nonlocal busy
            busy += 1
            seen.append(busy)
            if len(seen) in during:
                queue.add(during[len(seen)])
            await asyncio.sleep(0)
            busy -= 1
            if len(seen) == rounds:
                done.set()

        queue.add(API)
        queue.add(API)
        tasks = [asyncio.create_task(queue.work(work)) for _ in range(workers)]
        await asyncio.wait_for(done.wait(), 5)
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()

    asyncio.run(main())
    return seen


def test_a_name_added_twice_is_worked_on_once() -> None:
    assert worked(WorkQueue(), workers=2, during={}, rounds=1) == [1]


def test_a_name_added_during_its_work_is_worked_on_again_afterwards() -> None:
    assert worked(WorkQueue(), workers=2, during={1: API}, rounds=2) == [1, 1]


def test_a_sooner_wake_up_replaces_a_later_one_and_not_the_other_way_round() -> None:
    async def main() -> float:
        queue, loop = WorkQueue(), asyncio.get_running_loop()
        woken: asyncio.Future[float] = loop.create_future()

        async def work(_: Key) -> None:
            if not woken.done():
                woken.set_result(loop.time())

        started = loop.time()
        for pause in (30, 0.02, 60):
            queue.add_after(API, pause)
        task = asyncio.create_task(queue.work(work))
        at = await asyncio.wait_for(woken, 5)
        task.cancel()
        return at - started

    assert asyncio.run(main()) < 1
