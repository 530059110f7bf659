"""Brings a store to what the Buckets say, one at a time."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from landfall_operator.bucket_access import next_end
from landfall_operator.bucket_secrets import BucketSecrets, LookAgainError
from landfall_operator.bucket_status import RELEASED, Outcome, good, next_status, stopped
from landfall_operator.conditions import condition
from landfall_operator.connections import Connections
from landfall_operator.constants import ANNOTATION_RETRY, ANNOTATION_ROTATE, FINALIZER
from landfall_operator.kube import Kube, RefusedError
from landfall_operator.lanes import Lanes
from landfall_operator.metrics import Metrics
from landfall_operator.reconciling import Reconciling
from landfall_operator.resource import Bucket, Key, moment, stamp
from landfall_operator.s3 import buckets
from landfall_operator.s3.connection import Connection, Stores
from landfall_operator.s3.errors import StoreError, UnsupportedError
from landfall_operator.s3.features import Features, ensure_features
from landfall_operator.s3.ownership import Owner, Seen, whose
from landfall_operator.schema import ADVICE
from landfall_operator.settings import Settings
from landfall_operator.store import Store
from landfall_operator.workqueue import WorkQueue

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AWAY = {"StoreUnreachable", "StoreTimeout"}
UNCLEAR = {*AWAY, "StoreFailing"}  # what was asked may have been done all the same
BUSY_SECONDS = 0.25  # until a store is asked again that has no room
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 30.0
NOT_EMPTY_SECONDS = 15.0
EMPTYING_SECONDS = 10.0  # of one pass; others may go in between
# A key that another operator made as this one looked, in its last moments, is found by these looks.
WHOLE_SECONDS = 600.0  # for so long after a Bucket became ready each look is a whole one
CLEARING_SECONDS = 60.0  # until the first of them
GIVE_UP_SECONDS = 30.0  # after that a namespace that is being deleted does not wait for its store

UNTAGGED = "tagging, so that only this Bucket's status knows whose the bucket is"

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class BucketReconciler(Reconciling):
    kind = "Bucket"

    def __init__(self, store: Store, kube: Kube, queue: WorkQueue, metrics: Metrics, *, settings: Settings) -> None:
        super().__init__(store, kube, queue, metrics)
        self._check_seconds = settings.bucket_check_seconds
        self._stores = Stores()
        self._threads = ThreadPoolExecutor(settings.bucket_workers, thread_name_prefix="s3")
        self._lanes: Lanes[StoreError] = Lanes()
        self._connections = Connections(kube)
        self._secrets = BucketSecrets(store, kube, self._call)
        self._tries: dict[Key, int] = {}

    async def reconcile(self, key: Key) -> None:
        bucket = self._store.bucket(key)
        if bucket is None:
            self.forget(key)
            return
        self._metrics.ready(bucket, ready=condition(bucket.status, "Ready").get("status") == "True")
        if bucket.deleted_at and not (bucket.owed and FINALIZER in bucket.finalizers):
            await self._release(bucket)
        elif not self.is_known(bucket, *(around := self._around(bucket))):
            await self._settle(bucket, around, await self._outcome(bucket))

    def forget(self, key: Key) -> None:
        super().forget(key)
        self._tries.pop(key, None)
        self._secrets.forget(key)

    async def _outcome(self, bucket: Bucket) -> Outcome | None:
        """None where the store has no room now."""
        lane = bucket.spec["store"]["endpoint"]
        if lacking := self._store.outdated.get(self.kind):
            message = f"The served CRD lacks {', '.join(lacking[:5])}. {ADVICE}"
            return stopped(
                bucket, "CustomResourceDefinitionOutdated", message, transient=False, seconds=LONGEST_PAUSE_SECONDS
            )
        if trouble := self._lanes.trouble(lane):
            return self._stopped(bucket, _unnamed(trouble[0]), seconds=trouble[1] + BUSY_SECONDS)
        away = None
        if bucket.annotations.get(ANNOTATION_RETRY) != bucket.status.get("retriedFor"):
            self._connections.stale(bucket)
        try:
            connection = await self._connections.of(bucket)
            if not self._lanes.enter(lane):
                return None
            started = perf_counter()
            try:
                step = self._end if bucket.deleted_at else self._look
                return await step(bucket, connection)
            except StoreError as error:
                # A host for each bucket may be unknown while the store is there.
                alone = error.reason == "StoreUnreachable" and not connection.path_style
                away = error if error.reason in AWAY and not alone else None
                raise
            finally:
                self._lanes.leave(lane, away)
                self._metrics.bucket_reconcile.observe(perf_counter() - started)
        except StoreError as error:
            if error.reason not in AWAY:
                self._connections.stale(bucket)  # it may be mended in the Secret, or in the CA's ConfigMap
            return self._stopped(bucket, error)
        except RefusedError as error:
            message = f"{error}. Look at the namespace's quota and admission policies."
            return stopped(bucket, "SecretRefused", message, transient=False, seconds=self._pause(bucket.key))

    def _stopped(self, bucket: Bucket, error: StoreError, *, seconds: float | None = None) -> Outcome:
        pause = self._pause(bucket.key) if seconds is None else seconds
        return stopped(bucket, error.reason, error.message, transient=error.transient, seconds=pause)

    async def _settle(self, bucket: Bucket, around: tuple[object, ...], outcome: Outcome | None) -> None:
        """Tell the outcome of a look at `bucket`, which may be another by now, and look again when it is time."""
        if outcome is None:
            self._queue.add_after(bucket.key, BUSY_SECONDS)
            return
        current = self._store.bucket(bucket.key) or bucket
        if current.uid != bucket.uid:
            return
        if outcome.released or await self._is_given_up(current, outcome):
            await self._release(current)
            return
        status = next_status(current, outcome, generation=bucket.generation, now=datetime.now(UTC))
        status["retriedFor"] = bucket.annotations.get(ANNOTATION_RETRY)
        await self.tell(current, status, outcome.verdict)
        await self._tell_notes(current, outcome)
        self._metrics.ready(bucket, ready=outcome.verdict.kind == "ready")
        if outcome.verdict.kind == "ready":
            self._tries.pop(bucket.key, None)
            around = self._around(bucket, written=True)
        self.remember(bucket, *around, seconds=outcome.seconds)

    async def _tell_notes(self, bucket: Bucket, outcome: Outcome) -> None:
        """An Event where a condition besides Ready turns bad."""
        for note in outcome.notes or []:
            before = condition(bucket.status, note.type).get("status")
            bad = "False" if note.type == "FeaturesSupported" else "True"
            if ("True" if note.true else "False") == bad != before:
                await self._kube.tell(bucket, warning=True, reason=note.reason, message=note.message)

    def _around(self, bucket: Bucket, *, written: bool = False) -> tuple[object, ...]:
        """The Secrets that a look depends on, by their uids: as they are, or as the look left those that it writes."""
        known = self._secrets.uids(bucket.key) if written else {}
        names = [entry["secretName"] for entry in bucket.spec.get("access") or []]
        names.append(bucket.spec["store"]["credentialsSecretRef"]["name"])
        return tuple(known.get(name) or self._store.secret_uid(bucket.namespace, name) for name in names)

    def _pause(self, key: Key) -> float:
        count = self._tries[key] = self._tries.get(key, 0) + 1
        return float(min(FIRST_PAUSE_SECONDS * 2 ** min(count - 1, 10), LONGEST_PAUSE_SECONDS))

    async def _call(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """In one of the threads for stores."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*arguments, **options))

    async def _look(self, bucket: Bucket, connection: Connection) -> Outcome:
        """Bring bucket, accounts and Secrets to what the spec says."""
        well, unchanged = _is_well(bucket), self.is_unchanged(bucket, *self._around(bucket))
        age = _ready_for(bucket, datetime.now(UTC))
        client, name = await self._call(self._stores.client, connection), bucket.spec["bucketName"]
        bucket, origin, untagged = await self._own(bucket, client, connection)
        lacking = bucket.status.get("unsupported", ()) if well else ()
        features = await self._call(ensure_features, client, connection, name, bucket.spec, lacking=lacking)
        keys = await self._secrets.ensure(bucket, connection, well=well and age > WHOLE_SECONDS, unchanged=unchanged)
        left = next_end(keys, now=datetime.now(UTC))
        check = self._check_seconds * random.uniform(0.9, 1.0)  # noqa: S311 - so that not all come at once
        if keys and age < CLEARING_SECONDS:
            check = min(check, CLEARING_SECONDS)
        return good(
            bucket,
            origin=origin,
            keys=keys,
            unsupported=[*untagged, *features.unsupported],
            full=_full(bucket, features),
            seconds=check if left is None else min(left, check),
        )

    async def _own(self, bucket: Bucket, client: S3Client, connection: Connection) -> tuple[Bucket, str, list[str]]:
        """Have the bucket, and have it marked as ours; how it became so, and what is lacking for the mark."""
        refusal, name = None, bucket.spec["bucketName"]
        try:
            seen = await self._call(buckets.look, client, connection, name)
            state = whose(bucket, seen, self._owner(bucket), lives=partial(self._lives, bucket))
        except StoreError as error:
            if error.reason == "BucketForeign":
                await self._hold(bucket, owed=False)
            if error.reason != "AccessDenied" or bucket.status.get("origin"):
                raise
            # Another account's bucket may not be looked at. Only an attempt to create it tells so.
            seen, state, refusal = Seen(exists=False), "Nobody", error
        bucket = await self._hold(bucket, owed=bucket.owed)
        if state == "Nobody":
            await self._create(bucket, client, connection, refusal)
            seen, state = Seen(exists=True, tags={}), "Created"
        if state == "Ours":
            origin = bucket.status.get("origin") or seen.origin or "Adopted"
            return bucket, origin, [UNTAGGED] if seen.tags is None else []
        try:
            await self._call(buckets.claim, client, connection, name, seen, self._owner(bucket), state)
        except UnsupportedError:
            # Told at once, since nothing else will: what comes next may fail.
            bucket = await self._note(bucket, origin=state, endpoint=connection.endpoint, creating=None)
            return bucket, state, [UNTAGGED]
        return bucket, state, []

    async def _create(
        self, bucket: Bucket, client: S3Client, connection: Connection, refusal: StoreError | None
    ) -> None:
        """Told before it is done: a crash before the claim then leaves no bucket of unknown origin.

        `refusal` is why nobody knows whether there is one.
        """
        name = bucket.spec["bucketName"]
        if refusal:
            try:
                await self._call(buckets.create, client, connection, name)
            except StoreError as error:
                if error.reason == "BucketTaken":
                    raise
            raise refusal  # also where it says "made", as some do of what is there
        bucket = await self._note(bucket, creating=connection.endpoint)
        try:
            made = await self._call(buckets.create, client, connection, name)
        except StoreError as error:
            if error.reason not in UNCLEAR:
                await self._note(bucket, creating=None)
            raise
        if not made:
            await self._note(bucket, creating=None)
            message = f"The bucket {name} was made by somebody else just now."
            raise StoreError(reason="BucketForeign", message=message, transient=True)

    async def _note(self, bucket: Bucket, **fields: str | None) -> Bucket:
        """Tell something at once, before the look is over."""
        status = {name: value for name, value in {**bucket.status, **fields}.items() if value is not None}
        written = await self._kube.set_status(bucket, status)
        if written is None:
            raise LookAgainError("the Bucket was deleted or made anew just now")
        self._store.see(self.kind, written, deleted=False)
        return Bucket(body=written)

    async def _hold(self, bucket: Bucket, *, owed: bool) -> Bucket:
        """Have the finalizer where a deletion is owed, before anything is made, and only there."""
        if owed == (FINALIZER in bucket.finalizers):
            return bucket
        if not bucket.owed:
            await self._secrets.let_go(bucket)
        others = [name for name in bucket.finalizers if name != FINALIZER]
        written = await self._kube.set_finalizers(bucket, [*others, FINALIZER] if owed else others)
        if written is None:
            raise LookAgainError("the Bucket was changed by somebody else just now")
        # With its last finalizer a deleted one is gone, and the watch may have told so before this answer came.
        gone = bucket.deleted_at is not None and not written["metadata"].get("finalizers")
        self._store.see(self.kind, written, deleted=gone)
        return self._store.bucket(bucket.key) or bucket

    def _owner(self, bucket: Bucket) -> Owner:
        return Owner(bucket="/".join(bucket.key), uid=bucket.uid, cluster=self._kube.cluster)

    def _lives(self, bucket: Bucket, other: Owner) -> bool:
        """Whether another owner may be there still, or may come back: only its own namespace is a Bucket's to judge."""
        namespace, _, name = other.bucket.partition("/")
        if other.cluster != self._kube.cluster or namespace != bucket.namespace:
            return True
        found = self._store.bucket((namespace, name))
        return found is not None and found.uid == other.uid

    async def _end(self, bucket: Bucket, connection: Connection) -> Outcome:
        """Delete what is ours, as the policy says."""
        client, name = await self._call(self._stores.client, connection), bucket.spec["bucketName"]
        seen = await self._call(buckets.look, client, connection, name)
        if not seen.exists or self._is_ours(bucket, seen):
            purge = bucket.spec["deletionPolicy"] == "Purge"
            if purge:
                await self._secrets.remove_accounts(bucket, connection)  # nobody shall fill what is being emptied
            if seen.exists and not await self._call(buckets.remove, client, connection, name):
                return await self._not_empty(bucket, client, connection, purge=purge)
            await self._secrets.remove_accounts(bucket, connection)
        return RELEASED

    def _is_ours(self, bucket: Bucket, seen: Seen) -> bool:
        try:
            return whose(bucket, seen, self._owner(bucket), lives=lambda _: True) in {"Ours", "Created"}
        except StoreError:
            return False

    async def _not_empty(self, bucket: Bucket, client: S3Client, connection: Connection, *, purge: bool) -> Outcome:
        name = bucket.spec["bucketName"]
        if not purge:
            message = (
                f"The bucket {name} is not empty: it holds objects, older versions of them, or unfinished uploads. "
                "Empty it, or set spec.deletionPolicy to Purge to have all of it deleted."
            )
            return stopped(bucket, "BucketNotEmpty", message, transient=False, seconds=NOT_EMPTY_SECONDS)
        count = await self._call(buckets.empty, client, connection, name, seconds=EMPTYING_SECONDS)
        logger.info("%s/%s: removed %d objects from the bucket %s", *bucket.key, count, name)
        message = f"The bucket {name} is being emptied."
        return stopped(bucket, "Purging", message, transient=True, seconds=0)

    async def _is_given_up(self, bucket: Bucket, outcome: Outcome) -> bool:
        """Whether its namespace has waited long enough: the Bucket goes, and the bucket stays as it is."""
        now = datetime.now(UTC)
        if outcome.verdict.reason == "Purging":
            return False  # it goes on, and to stop half-way helps nobody
        if not bucket.deleted_at or (now - bucket.deleted_at).total_seconds() < GIVE_UP_SECONDS:
            return False
        if not await self._kube.is_ending(bucket.namespace):
            return False
        logger.warning(
            "%s/%s: its namespace is being deleted; the bucket %s stays on its store: %s",
            *bucket.key,
            bucket.spec["bucketName"],
            outcome.verdict.message,
        )
        return True

    async def _release(self, bucket: Bucket) -> None:
        """Nothing is owed any more."""
        if FINALIZER in bucket.finalizers:
            await self._hold(bucket, owed=False)


def _unnamed(trouble: StoreError) -> StoreError:
    """What another Bucket met, without its name."""
    text = trouble.message.partition(": ")[2] or trouble.message
    return StoreError(reason=trouble.reason, message=f"The store is away: {text}", transient=True)


def _full(bucket: Bucket, features: Features) -> str | None:
    if not features.quota_exceeded:
        return None
    counted = f" when it was counted at {stamp(features.used_at)}" if features.used_at else ""
    return (
        f"The bucket {bucket.spec['bucketName']} held {features.used_bytes} bytes{counted}, its quota is "
        f"{bucket.spec['quota']}: the store refuses uploads. Delete objects, or raise spec.quota."
    )


def _ready_for(bucket: Bucket, now: datetime) -> float:
    """Seconds since it became ready; 0 where it is not."""
    ready = condition(bucket.status, "Ready")
    since = moment(ready.get("lastTransitionTime")) if ready.get("status") == "True" else None
    return (now - since).total_seconds() if since else 0.0


def _is_well(bucket: Bucket) -> bool:
    """Whether the last look found all as it should be, for all that is asked now."""
    asked, status = bucket.annotations, bucket.status
    ready = condition(status, "Ready")
    return bool(
        ready.get("status") == "True"
        and ready.get("observedGeneration") == bucket.generation
        and asked.get(ANNOTATION_ROTATE) in {None, status.get("rotatedFor")}
        and status.get("retriedFor") == asked.get(ANNOTATION_RETRY)
    )
