"""What the benchmarks share: how they report, and what the operator costs."""

from __future__ import annotations

import json
import os
import re
import statistics
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from cluster import Namespace

SAMPLES = int(os.environ.get("LANDFALL_BENCH_SAMPLES", "100"))
# A round of all that is done from time to time, and a minute.
REST_SECONDS = int(os.environ.get("LANDFALL_BENCH_REST_SECONDS", "660"))


def report(what: str, figures: str, bar: str) -> None:
    print(f"| {what} | {figures} | {bar} |", flush=True)  # noqa: T201 - the report


def milliseconds(values: list[float]) -> str:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]
    return f"p50 {statistics.median(ordered) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms (n={len(ordered)})"


def rss(bench: Namespace) -> float:
    text = bench.kubectl("exec", "deploy/landfall-operator", "--", "cat", "/proc/1/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found[1]) / 1024


def at_rest(bench: Namespace) -> None:
    log = os.environ.get("LANDFALL_E2E_AUDIT_LOG")
    if not log:
        report("API requests at rest", "not measured: LANDFALL_E2E_AUDIT_LOG names no file", "≤ 1 a minute and kind")
        return
    begun = datetime.now(UTC).isoformat()
    time.sleep(REST_SECONDS)
    user = f"system:serviceaccount:{bench.name}:landfall-operator"
    counts: Counter[str] = Counter()
    with Path(log).open(encoding="utf-8") as lines:
        for line in lines:
            if user not in line:
                continue
            entry = json.loads(line)
            if entry["stage"] == "ResponseComplete" and entry["requestReceivedTimestamp"] > begun:
                counts[(entry.get("objectRef") or {}).get("resource", entry["requestURI"])] += 1
    rates = ", ".join(f"{kind} {count * 60 / REST_SECONDS:.2f}" for kind, count in sorted(counts.items()))
    report("API requests at rest, a minute", rates or "none", "≤ 1 a minute and kind")
