"""Why a run ended badly, in words for people."""

from __future__ import annotations

from typing import Any

from landfall_operator.views import Run


def why(run: Run) -> tuple[str, str, bool]:
    """Reason, message, and whether another attempt may help; without a report from what Kubernetes says."""
    report = run.report
    if run.overdue and not report:
        return "NotStarted", "The Job's pod did not start before its deadline.", True
    if run.overdue:
        doing = f" Last: {report['message']}" if report.get("message") else ""
        advice = "Raise spec.policy.deadline, or look at what the run waited for."
        return "DeadlineExceeded", f"The run was ended by its deadline.{doing} {advice}", False
    if report.get("reason"):
        revision = f"Revision {report['revision']}: " if report.get("revision") else ""
        statement = f" Statement: {report['statement']}" if report.get("statement") else ""
        message = f"{revision}{report.get('message')}{statement}"
        return str(report["reason"]), message, bool(report.get("transient"))
    return _unreported(run, run.trouble or "The Job's pod has gone without a report.")


def _unreported(run: Run, trouble: str) -> tuple[str, str, bool]:
    if "executable file not found" in trouble or "no such file or directory" in trouble:
        return "InterpreterMissing", f"{trouble} Name the interpreter that has Alembic in spec.alembic.python.", False
    if "OOMKilled" in trouble:
        return "OutOfMemory", f"{trouble} Raise the memory limit in spec.template.resources.", False
    if run.pod is None or run.disrupted or "exit code 137" in trouble or "exit code 143" in trouble:
        return "PodLost", trouble, True
    return "RunnerCrashed", f"{trouble} See the log: kubectl logs job/{run.job}", False


def start_advice(run: Run) -> str:
    if run.hopeless == "ImagePullFailed":
        return "Correct spec.image, or give its registry's credentials in spec.template.imagePullSecrets."
    if run.hopeless == "RunnerImagePullFailed":
        return "The operator's own image brings the runner: correct LANDFALL_RUNNER_IMAGE, or imagePullSecrets."
    if run.hopeless == "ConfigurationMissing" and ("not found" in run.trouble or "find key" in run.trouble):
        return "Create the Secret or ConfigMap, or its key: see spec.database.urlFrom and spec.template."
    if run.hopeless == "ConfigurationMissing":
        return "Correct spec.template.podSecurityContext or securityContext, or the image's user."
    if run.hopeless == "PodNotCreated":
        return "Correct spec.template (podSecurityContext, serviceAccountName, resources), or the namespace's quota."
    return "See the Job's pod."


def failure(run: Run) -> dict[str, Any]:
    names = {"revision": "revision", "sqlstate": "sqlstate", "statement": "statement", "log": "log"}
    return {name: run.report[key] for name, key in names.items() if run.report.get(key)}
