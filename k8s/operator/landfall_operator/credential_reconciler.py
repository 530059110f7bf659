"""Brings one Secret to what its Credential says. The Secret itself is the record: a lost status loses nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from landfall_operator.conditions import Verdict, condition, conditions
from landfall_operator.constants import (
    ANNOTATION_OWNER,
    ANNOTATION_RETRY,
    ANNOTATION_ROTATE,
    ANNOTATION_ROTATED_FOR,
    GROUP,
)
from landfall_operator.credential_values import (
    ANNOTATION_GENERATED,
    PREVIOUS,
    Record,
    TemplateError,
    generated_keys,
    lost_keys,
    next_values,
)
from landfall_operator.kube import RefusedError, Secret
from landfall_operator.reconciling import Reconciling
from landfall_operator.resource import Credential, Json, Key, stamp
from landfall_operator.schema import ADVICE

ANNOTATION_ROTATED_AT = f"{GROUP}/rotated-at"
READY_SECONDS = 6 * 3600.0  # until a look at what somebody may have edited by hand
STALLED_SECONDS = 60.0  # the remedy is mostly on the Secret, which nobody watches
CONFLICT_SECONDS = 0.5
# What is known of the Secret, while nothing can be done with it.
KEPT = ("secretName", "secretUid", "keys", "unlistedKeys", "rotatedFor", "rotatedAt")


@dataclass(frozen=True, kw_only=True)
class Step:
    """What the Secret is to be, and what to tell then."""

    data: Mapping[str, str | None] = field(repr=False)
    annotations: Mapping[str, str]
    references: list[Json] | None  # None: as they are
    fields: dict[str, Any]
    verdict: Verdict
    event: Verdict | None


class CredentialReconciler(Reconciling):
    """Of Credentials."""

    kind = "Credential"

    async def reconcile(self, key: Key) -> None:
        credential = self._store.credential(key)
        if credential is None or credential.deleted_at:
            self.forget(key)
            return
        watched = self._watched(credential)
        if self.is_known(credential, watched):
            return
        secret = await self._kube.get_secret(credential.namespace, credential.spec["secretName"])
        decided = decide(credential, secret, lacking=self._store.outdated.get(self.kind, []), now=datetime.now(UTC))
        if isinstance(decided, Step):
            try:
                secret = await self._write(credential, secret, decided)
            except RefusedError as error:
                decided = _refused(credential, error)
        if isinstance(decided, Verdict):
            await self._report(credential, decided, {name: credential.status.get(name) for name in KEPT})
            self.remember(credential, watched, seconds=STALLED_SECONDS)
        elif secret is None:  # somebody was there first
            self._queue.add_after(key, CONFLICT_SECONDS)
        else:
            await self._written(credential, secret, decided)
            self.remember(credential, secret.uid, seconds=READY_SECONDS)

    async def _write(self, credential: Credential, secret: Secret | None, step: Step) -> Secret | None:
        if secret is None:
            data = {key: value for key, value in step.data.items() if value is not None}
            name, owned = credential.spec["secretName"], credential.spec["deletionPolicy"] == "Delete"
            return await self._kube.create_secret(credential, name, data, annotations=step.annotations, owned=owned)
        if not (step.data or step.annotations or step.references is not None):
            return secret
        return await self._kube.update_secret(
            secret,
            data=step.data or None,
            annotations=step.annotations or None,
            owner_references=step.references,
        )

    async def _written(self, credential: Credential, secret: Secret, step: Step) -> None:
        known = secret.uid == credential.status.get("secretUid") == self._watched(credential)
        # Before the status: who sees the new values in it finds the Event that says so.
        if event := step.event:
            warning = event.kind == "stalled"
            await self._kube.tell(credential, warning=warning, reason=event.reason, message=event.message)
        await self._report(credential, step.verdict, {**step.fields, "secretUid": secret.uid})
        if not known:
            self._store.see("Watch", await self._kube.watch_secret(secret), deleted=False)

    async def _report(self, credential: Credential, verdict: Verdict, fields: Json) -> None:
        previous, generation = credential.status.get("conditions") or [], credential.generation
        made = conditions(verdict, previous=previous, generation=generation, now=datetime.now(UTC))
        status = {**fields, "observedGeneration": generation, "conditions": made}
        status["retriedFor"] = credential.annotations.get(ANNOTATION_RETRY)
        await self.tell(credential, status, verdict)
        self._metrics.ready(credential, ready=verdict.kind == "ready")

    def _watched(self, credential: Credential) -> str | None:
        return self._store.secret_uid(credential.namespace, credential.spec["secretName"])


def decide(
    credential: Credential, secret: Secret | None, *, now: datetime, lacking: Sequence[str] = ()
) -> Step | Verdict:
    """What to write into the Secret, or why nothing may be; `lacking` are the fields that the served CRD has not."""
    spec, status = credential.spec, credential.status
    if lacking:
        return _outdated(credential, lacking)
    if secret and secret.owner != _owner(credential):
        return _foreign(credential, secret)
    held: Mapping[str, str] = secret.data if secret else {}
    marks: Mapping[str, str] = secret.annotations if secret else {}
    record = Record.of(marks)
    lost = lost_keys(spec, held, record, known=status.get("keys") or [])
    if secret is None and status.get("secretUid"):
        lost = lost or generated_keys(spec)
    if lost and spec["onLoss"] == "Fail":
        return _lost(credential, lost, gone=secret is None)
    wish = credential.annotations.get(ANNOTATION_ROTATE)
    # The status knows it where an older Secret was restored: what a backup has is what is wanted.
    done = {None, marks.get(ANNOTATION_ROTATED_FOR), status.get("rotatedFor")}
    rotate = ANNOTATION_GENERATED in marks and wish not in done
    try:
        values = next_values(spec, held, record, rotate=rotate)
    except TemplateError as error:
        return _stalled("TemplateInvalid", f"{error} The Secret {spec['secretName']} is left as it is.")
    wanted = values.record.annotations()
    if wish is not None:
        wanted[ANNOTATION_ROTATED_FOR] = wish
    if rotate:
        wanted[ANNOTATION_ROTATED_AT] = stamp(now)
    return Step(
        data=values.changes(held, record),
        annotations={name: text for name, text in wanted.items() if marks.get(name) != text},
        references=_references(credential, secret),
        fields={
            "secretName": spec["secretName"],
            "keys": sorted(values.data),
            "unlistedKeys": values.unlisted or None,
            "rotatedFor": wanted.get(ANNOTATION_ROTATED_FOR, marks.get(ANNOTATION_ROTATED_FOR)),
            "rotatedAt": wanted.get(ANNOTATION_ROTATED_AT, marks.get(ANNOTATION_ROTATED_AT)),
        },
        verdict=_ready(credential, len(values.data), values.unlisted),
        event=_regenerated(credential, lost) if lost else _rotated(credential) if rotate else None,
    )


def _references(credential: Credential, secret: Secret | None) -> list[Json] | None:
    """The Secret's owners, where they are to change: of Credentials none, or the one that takes it with it."""
    owners = secret.owner_references if secret else ()
    ours = [o for o in owners if o["kind"] == credential.kind and o["apiVersion"].startswith(f"{GROUP}/")]
    wanted = [credential.owner_reference] if credential.spec["deletionPolicy"] == "Delete" else []
    if [owner["uid"] for owner in ours] == [owner["uid"] for owner in wanted]:
        return None
    return [*(owner for owner in owners if owner not in ours), *wanted]


def _owner(credential: Credential) -> str:
    return f"{credential.kind}/{credential.name}"


def _ready(credential: Credential, count: int, unlisted: list[str]) -> Verdict:
    message = f"The Secret {credential.spec['secretName']} holds {count} key{'s' if count > 1 else ''}."
    if unlisted:
        message += f" Generated, no longer in the spec, and kept: {', '.join(unlisted)}."
    return Verdict(kind="ready", reason="Ready", message=message)


def _outdated(credential: Credential, lacking: Sequence[str]) -> Verdict:
    ready = condition(credential.status, "Ready")
    if ready.get("status") == "True" and ready.get("observedGeneration") == credential.generation:
        return Verdict(kind="ready", reason=ready["reason"], message=ready["message"])
    return _stalled("CustomResourceDefinitionOutdated", f"The served CRD lacks {', '.join(lacking[:5])}. {ADVICE}")


def _foreign(credential: Credential, secret: Secret) -> Verdict:
    whose = f"belongs to {secret.owner}" if secret.owner else f"was not made by the Credential {credential.name}"
    hand_over = f"kubectl annotate --overwrite secret {secret.name} -n {secret.namespace} {_hand_over(credential)}"
    return _stalled(
        "SecretForeign",
        f"The Secret {secret.name} {whose}, and is left as it is. Make a Credential with another secretName; or hand"
        f" the Secret over, whose values for generated keys then stay: {hand_over}",
    )


def _lost(credential: Credential, keys: list[str], *, gone: bool) -> Verdict:
    name, listed = credential.spec["secretName"], ", ".join(keys)
    what = f"is gone, and with it the generated {listed}" if gone else f"has lost the generated {listed}"
    mend = f"Restore it from a backup under this name, with the annotation {_hand_over(credential)}"
    return _stalled(
        "SecretLost",
        f"The Secret {name} {what}. {mend if gone else 'Put the old values back'}; or set spec.onLoss: Regenerate for"
        " new values, which then have to be set wherever the old ones were.",
    )


def _refused(credential: Credential, error: RefusedError) -> Verdict:
    return _stalled(
        "SecretRefused",
        f"The Secret {credential.spec['secretName']} could not be written: {error}. Look whether it is immutable or too"
        " large, or whether a quota or an admission policy forbids it.",
    )


def _regenerated(credential: Credential, keys: list[str]) -> Verdict:
    return _stalled(
        "Regenerated",
        f"The Secret {credential.spec['secretName']} had lost {', '.join(keys)}: the values are new, and have to be set"
        " wherever the old ones were.",
    )


def _rotated(credential: Credential) -> Verdict:
    message = (
        f"The generated values of the Secret {credential.spec['secretName']} are new: set them wherever the old ones"
        f" are, which stay under KEY{PREVIOUS} until the next rotation."
    )
    return Verdict(kind="ready", reason="Rotated", message=message)


def _hand_over(credential: Credential) -> str:
    return f"{ANNOTATION_OWNER}={_owner(credential)}"


def _stalled(reason: str, message: str) -> Verdict:
    return Verdict(kind="stalled", reason=reason, message=message)
