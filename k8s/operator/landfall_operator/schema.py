"""Which fields this version needs of the served CRD, which Helm never upgrades."""

from __future__ import annotations

from landfall_operator.resource import Json

ADVICE = "Apply this release's CRDs: kubectl apply --server-side --force-conflicts -f crds/"
NEEDED = {
    "Migration": {
        "spec": "image from alembic database target baseline mode policy suspend gates template",
        "spec.alembic": "config section workingDir scriptLocation versionLocations x python",
        "spec.database": "urlFrom directUrlFrom env takeOver",
        "spec.policy": "lockTimeout lockWait deadline destructive onAhead invalidIndexes",
        "spec.template": (
            "serviceAccountName labels annotations imagePullPolicy imagePullSecrets nodeSelector priorityClassName env"
            " envFrom tolerations volumes volumeMounts affinity resources podSecurityContext securityContext"
        ),
        "status": (
            "observedGeneration state currentRevision targetRevision pendingCount pending plan attempts image"
            " imageDigest runner nextRetryAt lastRuns lineageSha256 lineage failure history conditions"
        ),
        "status.plan": "job hash configMap sha256 bytes statements findings unchecked approvedBy approvedAt note",
        "status.failure": "revision sqlstate statement log",
    },
    "Bucket": {
        "spec": "store bucketName deletionPolicy adopt versioning lifecycle cors quota access rotationOverlap",
        "spec.store": ("endpoint region forcePathStyle accounts caBundleRef credentialsSecretRef publicEndpoint"),
        "spec.store.caBundleRef": "kind name key",
        "spec.store.credentialsSecretRef": "name accessKeyIdKey secretAccessKeyKey",
        "status": "observedGeneration origin endpoint creating rotatedFor retriedFor access unsupported conditions",
    },
    "Credential": {
        "spec": "secretName values templates deletionPolicy onLoss",
        "status": (
            "observedGeneration secretName secretUid keys unlistedKeys rotatedFor retriedFor rotatedAt conditions"
        ),
    },
}


def missing(kind: str, schema: Json) -> list[str]:
    """The paths of the fields that a kind's served schema lacks; without a schema there is no such kind."""
    lacking = []
    for path, names in NEEDED[kind].items():
        here: Json = schema
        for step in path.split("."):
            here = (here.get("properties") or {}).get(step) or {}
        known = here.get("properties") or {}
        lacking += [f"{path}.{name}" for name in names.split() if name not in known]
    return lacking
