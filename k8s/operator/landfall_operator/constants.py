"""Names and numbers that several modules share."""

from __future__ import annotations

GROUP = "landfall.dev"
VERSION = "v1alpha1"
FIELD_MANAGER = "landfall-operator"

LABEL_WATCHES = f"{GROUP}/watches"
LABEL_UID = f"{GROUP}/migration-uid"
LABEL_NAME = f"{GROUP}/migration"
LABEL_RUN = f"{GROUP}/run"
LABEL_PHASE = f"{GROUP}/phase"
LABEL_ATTEMPT = f"{GROUP}/attempt"

ANNOTATION_APPROVE = f"{GROUP}/approve"
ANNOTATION_APPROVED_BY = f"{GROUP}/approved-by"
ANNOTATION_RETRY = f"{GROUP}/retry"
ANNOTATION_ROTATE = f"{GROUP}/rotate"
ANNOTATION_OWNER = f"{GROUP}/owner"
ANNOTATION_ROTATED_FOR = f"{GROUP}/rotated-for"
ANNOTATION_PREVIOUS_KEY = f"{GROUP}/previous-key"
ANNOTATION_PREVIOUS_UNTIL = f"{GROUP}/previous-until"
FINALIZER = f"{GROUP}/finalizer"
MANAGED_BY = "app.kubernetes.io/managed-by"

CONTAINER = "migrate"
RUNNER_VOLUME = "landfall-runner"
RUNNER_PATH = "/landfall"

HISTORY_LENGTH = 10
MAX_ATTEMPTS = 20  # Jobs for one run that fails for what may pass: about half an hour with the pauses below
MAX_CHANGED_PLANS = 3
REFUSED_SECONDS = 60.0  # until a Job that a quota or a policy refused is offered again
FIRST_RETRY_SECONDS = 5.0  # doubles each time
LONGEST_RETRY_SECONDS = 120.0
CONNECT_WAIT_SECONDS = 60  # of one Job for a database that is away; the next Job waits on
DEADLINE_GRACE_SECONDS = 60  # the runner ends itself first, with a report
GATE_SECONDS = 10  # as long as Helm needs to see the marker
PLAN_BYTES = 900 * 1024  # a ConfigMap holds 1 MiB with its names and quotes
GATE_REASON = "MigrationStalled"
MESSAGE_CHARACTERS = 1500
