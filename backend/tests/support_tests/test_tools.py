from __future__ import annotations

import pytest

from tests.support.tools import MissingToolError, first_that_starts, free_port, run, wait_until


def refuses(reason: str) -> str:
    raise MissingToolError(reason)


def test_the_first_way_that_works_is_taken() -> None:
    ways = [("a", lambda: refuses("broken")), ("b", lambda: "from b"), ("c", lambda: refuses("not reached"))]
    assert first_that_starts(ways, what="thing") == "from b"


def test_where_no_way_works_one_line_names_each_with_its_reason() -> None:
    ways = [("a", lambda: refuses("not set")), ("b", lambda: refuses("not installed"))]
    with pytest.raises(MissingToolError, match=r"^no thing; tried a: not set; b: not installed$"):
        first_that_starts(ways, what="thing")


def test_a_failed_command_is_reported_by_its_last_line() -> None:
    with pytest.raises(MissingToolError, match=r"^sh -c: the reason$"):
        run(["sh", "-c", "echo noise >&2; echo the reason >&2; exit 3"])


def test_an_absent_command_is_named() -> None:
    with pytest.raises(MissingToolError, match=r"^no-such-tool is not installed$"):
        run(["no-such-tool"])


def test_waiting_ends_with_an_error_that_names_the_condition() -> None:
    with pytest.raises(TimeoutError, match="the impossible"):
        wait_until(lambda: False, timeout_seconds=0.05, what="the impossible")


def test_free_ports_differ_while_one_is_held() -> None:
    assert free_port() > 1023
