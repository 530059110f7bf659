"""When something became true: kubectl's watch, with the moment of each line."""

from __future__ import annotations

import subprocess
import threading
import time
from types import TracebackType
from typing import Self

from cluster import Namespace


class Watch:
    """The first moment (monotonic seconds) at which each line of a watch came; lines are what the jsonpath makes."""

    def __init__(self, namespace: Namespace, kind: str, jsonpath: str) -> None:
        self._command = ["kubectl", "-n", namespace.name, "get", kind, "--watch", f"-o=jsonpath={jsonpath}{{'\\n'}}"]
        self.first: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.first.setdefault(line.strip(), time.monotonic())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
