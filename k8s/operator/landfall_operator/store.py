"""What the watches have shown: the operator reads from here and asks the API server for nothing at rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any

from landfall_operator.conditions import condition
from landfall_operator.constants import ANNOTATION_OWNER, GATE_REASON, LABEL_UID
from landfall_operator.resource import Bucket, Credential, Json, Key
from landfall_operator.views import Migration, Run, observe

OURS = ("Migration", "Bucket", "Credential")
KINDS = (*OURS, "Job", "Pod", "Deployment", "Watch")


class Store:
    """The newest seen version of each resource of ours, and of what is around them."""

    def __init__(self, namespace: str | None) -> None:
        """`namespace` is the one that is watched, None for all."""
        self._namespace = namespace
        self._objects: dict[str, dict[Key, Json]] = {kind: {} for kind in KINDS}
        self.last_event = monotonic()
        self.complete = False  # whether the first lists are here
        self.outdated: dict[str, list[str]] = {}  # what each kind's served CRD lacks

    def see(self, kind: str, body: Json, *, deleted: bool) -> None:
        """Take an event, unless it is no newer than what is known: our own writes come back, and so does all in lists.

        What is kept stays the object that it was, among those of its age: lists would leave memory full of holes.
        """
        self.last_event = monotonic()
        key = key_of(body)
        objects = self._objects[kind]
        known = objects.get(key)
        if deleted:
            # The end of an object may be told after the beginning of another one of its name.
            if known and known["metadata"]["uid"] == body["metadata"]["uid"]:
                del objects[key]
            return
        if known is None or _is_newer(body, known):
            objects[key] = _trimmed(kind, body)

    def replace(self, kind: str, bodies: Iterable[Json], *, version: str) -> None:
        """Take a whole list: what it does not show is gone, unless it is newer than the list.

        A watch that had to begin anew tells nothing of what was deleted meanwhile.
        """
        found = {key_of(body): body for body in bodies}
        for key, known in list(self._objects[kind].items()):
            if key not in found and _version(known) <= int(version):
                del self._objects[kind][key]
        for body in found.values():
            self.see(kind, body, deleted=False)
        self.last_event = monotonic()

    def forget(self, kind: str, key: Key) -> None:
        self._objects[kind].pop(key, None)

    def knows(self, claim: Json) -> bool:
        """Whether the Migration that wrote a claim is there, and not another of its name."""
        owner = self._objects["Migration"].get((str(claim.get("namespace")), str(claim.get("name"))))
        return owner is not None and owner["metadata"]["uid"] == claim.get("uid")

    def sees(self, namespace: str) -> bool:
        return self._namespace in {None, namespace}

    def migration(self, key: Key) -> Migration | None:
        body = self._objects["Migration"].get(key)
        return Migration(body=body, image=self._image(body)) if body else None

    def migrations(self) -> Iterator[Json]:
        yield from list(self._objects["Migration"].values())

    def bucket(self, key: Key) -> Bucket | None:
        body = self._objects["Bucket"].get(key)
        return Bucket(body=body) if body else None

    def buckets(self) -> list[Bucket]:
        return [Bucket(body=body) for body in self._objects["Bucket"].values()]

    def credential(self, key: Key) -> Credential | None:
        body = self._objects["Credential"].get(key)
        return Credential(body=body) if body else None

    def keys(self, kind: str) -> list[Key]:
        return list(self._objects[kind])

    def secret_uid(self, namespace: str, name: str) -> str | None:
        """Of a Secret of ours, as the ConfigMap tells that goes with it; None where there is none."""
        watch = self._objects["Watch"].get((namespace, f"{name}-landfall-watch"))
        owners = watch["metadata"].get("ownerReferences") or [] if watch else []
        return next((str(owner["uid"]) for owner in owners), None)

    def users_of(self, namespace: str, secret: str) -> Iterator[Key]:
        """The Buckets whose store's keys are in this Secret."""
        for bucket in self.buckets():
            if (bucket.namespace, bucket.spec["store"]["credentialsSecretRef"]["name"]) == (namespace, secret):
                yield bucket.key

    def runs(self, migration: Migration) -> list[Run]:
        jobs = [job for job in self._objects["Job"].values() if _labels(job).get(LABEL_UID) == migration.uid]
        pods = [pod for pod in self._objects["Pod"].values() if _labels(pod).get(LABEL_UID) == migration.uid]
        return [observe(job, (p for p in pods if _owner(p) == job["metadata"]["uid"])) for job in jobs]

    def migration_of(self, body: Json) -> Key | None:
        """The Migration that a Job or Pod belongs to."""
        uid = _labels(body).get(LABEL_UID)
        return next((key_of(m) for m in self.migrations() if m["metadata"]["uid"] == uid), None)

    def followers(self, deployment: Key) -> Iterator[Key]:
        """The Migrations that take their image from this Deployment."""
        for body in self.migrations():
            reference = (body["spec"].get("from") or {}).get("deploymentRef") or {}
            if (body["metadata"]["namespace"], reference.get("name")) == deployment:
                yield key_of(body)

    def in_conflict(self) -> Iterator[Key]:
        """The Migrations whose database another one owns: its end is their beginning."""
        for body in self.migrations():
            if condition(body.get("status") or {}, "Ready").get("reason") == "Conflict":
                yield key_of(body)

    def marker(self, deployment: Key) -> Json | None:
        """The condition that tells a Deployment of a stalled Migration."""
        body = self._objects["Deployment"].get(deployment) or {}
        found = condition(body.get("status") or {}, "Stalled")
        return found if found.get("reason") == GATE_REASON else None

    def marked(self, namespace: str | None) -> Iterator[Key]:
        """The Deployments of a namespace, or of all, that have such a marker."""
        keys = [key for key in self._objects["Deployment"] if namespace in {None, key[0]}]
        yield from (key for key in keys if self.marker(key))

    def _image(self, body: Json) -> str | None:
        spec = body["spec"]
        if spec.get("image"):
            return str(spec["image"])
        reference = spec["from"]["deploymentRef"]
        deployment = self._objects["Deployment"].get((body["metadata"]["namespace"], reference["name"]))
        containers = deployment["spec"]["template"]["spec"]["containers"] if deployment else []
        wanted = reference.get("container")
        return next((str(c["image"]) for c in containers if wanted in {None, c["name"]}), None)


def _trimmed(kind: str, body: Json) -> Json:
    """Without what is never read: it is most of an object, and a hundred of them are kept."""
    metadata = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    kept: dict[str, Any] = {"metadata": metadata}
    if kind in OURS:
        kept |= {"spec": body["spec"], "status": body.get("status") or {}}
    elif kind == "Pod":
        kept |= {"status": body.get("status") or {}}
    elif kind == "Watch":
        pass
    else:
        containers = [
            {"name": c["name"], "image": c.get("image")} for c in body["spec"]["template"]["spec"]["containers"]
        ]
        kept |= {"spec": {"template": {"spec": {"containers": containers}}}}
        status = body.get("status") or {}
        kept |= {"status": status if kind == "Job" else {"conditions": status.get("conditions") or []}}
    return kept


def key_of(body: Json) -> Key:
    return (body["metadata"]["namespace"], body["metadata"]["name"])


def _labels(body: Json) -> dict[str, Any]:
    return body["metadata"].get("labels") or {}


def _owner(body: Json) -> str | None:
    return next((str(o["uid"]) for o in body["metadata"].get("ownerReferences") or [] if o.get("controller")), None)


def _is_newer(body: Json, known: Json) -> bool:
    same = body["metadata"].get("resourceVersion") == known["metadata"].get("resourceVersion")
    return not same and _version(body) >= _version(known)


def _version(body: Json) -> int:
    """Resource versions compare as numbers (KEP-5504, Kubernetes 1.35); one that is no number is taken as newest."""
    text = body["metadata"].get("resourceVersion", "")
    return int(text) if text.isdecimal() else 2**63


def owner_of(watch: Json) -> tuple[str, Key] | None:
    """Kind and key of the resource whose Secret a ConfigMap of ours goes with."""
    kind, _, name = str((watch["metadata"].get("annotations") or {}).get(ANNOTATION_OWNER)).partition("/")
    return (kind, (watch["metadata"]["namespace"], name)) if kind in OURS else None
