"""A collector for traces, and loggers that are put back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from tests.support.collector import Collector

CONFIGURED = ("", "app", "sqlalchemy.engine", "uvicorn", "uvicorn.error", "uvicorn.access")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in CONFIGURED]
    before = [(logger.handlers, logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
