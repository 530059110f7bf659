"""`landfall-operator`: run the operator, copy the runner into a Job's volume, try a store, or delete Buckets."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from landfall_operator.resource import Key

RUNNER = Path(__file__).parent / "runner"


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["copy-runner"] and len(arguments) == 2:  # noqa: PLR2004
        shutil.copytree(
            RUNNER, Path(arguments[1]) / "runner", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    elif arguments in ([], ["run"]):
        asyncio.run(run())
    elif arguments[:1] == ["s3-check"]:
        from landfall_operator.s3.check import main as check

        sys.exit(check(arguments[1:]))
    elif arguments[:1] == ["drain"]:
        from landfall_operator.cli.drain import main as drain

        sys.exit(drain(arguments[1:]))
    else:
        sys.exit(
            "usage: landfall-operator [run | copy-runner DIRECTORY | s3-check --endpoint URL | drain NAMESPACE NAME…]"
        )


async def run() -> None:
    import kopf
    from prometheus_client import CollectorRegistry
    from pydantic import ValidationError

    from landfall_operator import handlers, web
    from landfall_operator.buckets import Buckets
    from landfall_operator.credential_reconciler import CredentialReconciler
    from landfall_operator.gates import Gates
    from landfall_operator.kube import Kube
    from landfall_operator.memory import give_back
    from landfall_operator.metrics import Metrics
    from landfall_operator.reconciler import Reconciler
    from landfall_operator.settings import Settings
    from landfall_operator.store import OURS, Store
    from landfall_operator.sync import Sync
    from landfall_operator.workqueue import WorkQueue

    try:
        settings = Settings()
    except ValidationError as error:
        wrong = [f"LANDFALL_{str(problem['loc'][0]).upper()}: {problem['msg']}" for problem in error.errors()]
        sys.exit(f"landfall-operator: {'; '.join(wrong)}")
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    for name in ("httpx", "httpx2", "httpcore2", "kopf"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # kopf asks for a user name, which a numeric uid has not.
    os.environ.setdefault("POD_ID", os.environ.get("HOSTNAME", "landfall-operator"))

    watched = settings.namespace if settings.scope == "namespace" else None
    store, kube, metrics, gates_queue = Store(watched), Kube(), Metrics(CollectorRegistry()), WorkQueue()
    queues = {kind: WorkQueue() for kind in OURS}
    gates = Gates(store, kube, gates_queue)
    reconcilers: dict[str, Callable[[Key], Awaitable[None]]] = {
        "Migration": Reconciler(store, kube, queues["Migration"], metrics, gates, runner_image=settings.runner_image),
        "Bucket": Buckets(store, kube, queues["Bucket"], metrics, settings=settings),
        "Credential": CredentialReconciler(store, kube, queues["Credential"], metrics),
    }
    registry = kopf.OperatorRegistry()
    handlers.Watches(store, queues, gates_queue).register(registry)
    kopf_settings = kopf.OperatorSettings()
    handlers.configure(kopf_settings)
    server = await web.serve(store, metrics.registry, port=settings.http_port, resync_seconds=settings.resync_seconds)
    sync = Sync(store, kube, queues, metrics, namespace=watched)
    await sync.first()
    gates.look_again(None)
    tasks = [
        asyncio.create_task(queue.work(reconcilers[kind]))
        for kind, queue in queues.items()
        for _ in range(settings.bucket_workers if kind == "Bucket" else settings.workers)
    ]
    tasks.append(asyncio.create_task(gates_queue.work(gates)))
    tasks.append(asyncio.create_task(give_back()))
    tasks.append(asyncio.create_task(sync.for_ever(seconds=settings.resync_seconds)))
    try:
        await kopf.operator(
            registry=registry,
            settings=kopf_settings,
            clusterwide=watched is None,
            namespaces=[watched] if watched else [],
            standalone=True,
        )
    finally:
        for task in tasks:
            task.cancel()
        await server.cleanup()


if __name__ == "__main__":
    main()
