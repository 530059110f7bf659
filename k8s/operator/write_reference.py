"""Writes install.yaml from the chart, by helm, and the pages under docs/reference/operator from the code and from it.

.venv/bin/python k8s/operator/write_reference.py
"""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from landfall_operator import constants
from landfall_operator.cli import commands
from landfall_operator.metrics import Metrics
from landfall_operator.settings import Settings

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGES = ROOT / "docs/reference/operator"
CHART = ROOT / "charts/landfall/charts/operator"
CRDS = CHART / "crds"
KINDS = {"Migration": "mig", "Bucket": "bkt", "Credential": "cred"}
INSTALL = HERE / "install.yaml"
INSTALL_HEAD = """\
# The operator for one namespace, without Helm: kubectl apply --server-side -n NAMESPACE -f install.yaml
# (the CRDs first, from charts/landfall/charts/operator/crds/).
# Made from that chart by k8s/operator/write_reference.py: change that, not this.
"""
MADE = "<!-- Made from the code by k8s/operator/write_reference.py: change that, not this. -->\n"

# Why the Role grants each verb; a test fails when install.yaml grants another, or one of these no more.
WHY = {
    ("migrations", "get"): "to ask whether the owner that a database's claim names still exists, before taking over",
    ("migrations", "list"): "to know all Migrations at the start, and every ten minutes again",
    ("migrations", "watch"): "to see changes at once",
    ("migrations/status", "patch"): "to tell where each stands; nothing else of a Migration is ever written",
    ("buckets", "list"): "to know all Buckets at the start, and every ten minutes again",
    ("buckets", "watch"): "to see changes at once",
    ("buckets", "patch"): "to set and remove the finalizer of a deletion that is owed; nothing else is ever written",
    ("buckets/status", "patch"): "to tell where each stands",
    ("credentials", "list"): "to know all Credentials at the start, and every ten minutes again",
    ("credentials", "watch"): "to see changes at once",
    ("credentials/status", "patch"): "to tell where each stands",
    ("jobs", "list"): "to find its own Jobs again after a restart",
    ("jobs", "watch"): "to see Jobs end",
    ("jobs", "create"): "to plan and to apply",
    ("jobs", "delete"): "to remove finished Jobs that left the history, and those that cannot ever start",
    ("pods", "list"): "to find the pods of its Jobs after a restart",
    ("pods", "watch"): "to read a run's report from its pod's end",
    ("pods/log", "get"): "to read plans, lineages and progress from the logs of its own Jobs",
    ("configmaps", "get"): "to read the CA that a Bucket's `store.caBundleRef` names",
    ("configmaps", "list"): "to find those that go with its Secrets after a restart",
    ("configmaps", "watch"): "to see that a Secret of its own was deleted: the ConfigMap beside it goes with it",
    ("configmaps", "create"): "to keep a plan's SQL, and to have one go with each Secret (the first time)",
    ("configmaps", "patch"): "the same (by server-side apply)",
    ("secrets", "get"): "to read a store's keys, and the Secrets that it wrote; never another one, and never a list",
    ("secrets", "create"): "to write the Secrets of Buckets' accesses and of Credentials",
    ("secrets", "patch"): "to rotate them, and to mend them",
    ("secrets", "delete"): "to remove the Secret of an access that a Bucket names no more",
    ("events", "create"): "to tell transitions as Events",
    ("events", "list"): "to say why Kubernetes makes no pod for a Job: its Events alone tell",
    ("deployments", "list"): "to know the images of the Deployments that `spec.from` follows",
    ("deployments", "watch"): "to see their images change",
    ("deployments/status", "patch"): "to mark the Deployments that `spec.gates` names, on a stall",
}
MARKS = {
    "ANNOTATION_APPROVE": "on a Migration, by people: the `status.plan.hash` that may be applied",
    "ANNOTATION_APPROVED_BY": "on a Migration, by people: who approves; copied to `status.plan.approvedBy`",
    "ANNOTATION_RETRY": "on any of the three, by people: any new value asks for another run, or another look",
    "ANNOTATION_ROTATE": "on a Bucket or Credential, by people: any new value asks for new keys or values",
    "ANNOTATION_OWNER": "on Secrets, and the ConfigMaps beside them: `KIND/NAME` of the resource that made them",
    "ANNOTATION_ROTATED_FOR": "on such Secrets: the value of `rotate` that they were last rotated for",
    "ANNOTATION_PREVIOUS_KEY": "on an access's Secret: the access key before the last rotation",
    "ANNOTATION_PREVIOUS_UNTIL": "on the same: when that one stops working",
    "LABEL_WATCHES": "on the ConfigMaps that go with Secrets: what the operator watches by",
    "LABEL_UID": "on Jobs, pods and plan ConfigMaps: the uid of their Migration; what the operator watches by",
    "LABEL_NAME": "on the same: the Migration's name, cut to 63 characters",
    "LABEL_RUN": "on Jobs and pods: which work it is; the same spec and image have the same",
    "LABEL_PHASE": "on Jobs and pods: `plan` or `apply`",
    "LABEL_ATTEMPT": "on Jobs and pods: which attempt, from 1",
}


def pages() -> dict[Path, Callable[[], str]]:
    """What writes each page."""
    return {
        **{PAGES / f"{kind.lower()}.md": partial(_kind, kind, short) for kind, short in KINDS.items()},
        PAGES / "configuration.md": _configuration,
        PAGES / "metrics.md": _metrics,
        PAGES / "kubectl-landfall.md": _commands,
    }


def install_text() -> str:
    """What the chart makes, without what is Helm's own; the same from Helm 3 and 4."""
    values = ("image.tag=dev", "networkPolicy.enabled=false")
    options = [part for value in values for part in ("--set", value)]
    command = ["helm", "template", "landfall-operator", str(CHART), *options]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    helms = re.compile(r"^(# Source: .*| +app.kubernetes.io/managed-by: .*| +helm.sh/chart: .*|)\n", re.MULTILINE)
    return INSTALL_HEAD + helms.sub("", made).removeprefix("---\n")


def text_of(page: Path) -> str:
    return re.sub(r"[ \t]+$", "", pages()[page](), flags=re.MULTILINE)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _kind(kind: str, short: str) -> str:
    versions = yaml.safe_load((CRDS / f"{kind.lower()}s.landfall.dev.yaml").read_text())["spec"]["versions"]
    schema = versions[0]["schema"]["openAPIV3Schema"]["properties"]
    head = ("field", "type", "default", "what")
    return (
        f"# {kind}\n\n{MADE}\n`landfall.dev/v1alpha1`, namespaced, short name `{short}`. A field in bold is required. "
        f"`kubectl explain {kind.lower()}.spec` tells the same.\n\n"
        f"## spec\n\n{_table(head, _fields(schema['spec']))}\n"
        "Besides these, the API server checks:\n\n"
        + "".join(f"- {path}: {message}\n" for path, message in _rules(schema["spec"], "spec"))
        + f"\n## status\n\n{_table(head, _fields(schema['status']))}\n"
        "The conditions are `Ready`, and kstatus' `Reconciling` and `Stalled`; at most one of these two is true. "
        "What each reason means, and what to do: [recover from a stall](../../how-to/operator/recover.md).\n"
    )


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[Sequence[str]]:
    required = schema.get("required") or []
    for name, field in (schema.get("properties") or {}).items():
        shown = f"{path}{name}"
        yield (f"**`{shown}`**" if name in required else f"`{shown}`", _type(field), _default(field), _what(field))
        yield from _fields(field, f"{shown}.")
        yield from _fields(field.get("items") or {}, f"{shown}[].")
        yield from _fields(field.get("additionalProperties") or {}, f"{shown}.*.")


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {field['items']['type']}s"
    if "additionalProperties" in field:
        return f"map of {field['additionalProperties']['type']}s"
    return str(field.get("format") or ("duration" if "ms|s|m|h" in field.get("pattern", "") else field["type"]))


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value is None or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _what(field: dict[str, Any]) -> str:
    return str(field.get("description", "")).replace("\n", " ")


def _rules(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get("x-kubernetes-validations") or []:
        yield f"`{path}`", rule["message"]
    for name, field in (schema.get("properties") or {}).items():
        yield from _rules(field, f"{path}.{name}")
    for inner, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if inner in schema:
            yield from _rules(schema[inner], f"{path}{mark}")


def _configuration() -> str:
    settings = (
        (f"`LANDFALL_{name.upper()}`", "" if field.is_required() else f"`{field.default}`", field.description or "")
        for name, field in Settings.model_fields.items()
    )
    marks = (
        (f"`{value}`", "annotation" if name.startswith("ANNOTATION") else "label", MARKS[name])
        for name, value in vars(constants).items()
        if name.startswith(("ANNOTATION_", "LABEL_"))
    )
    return (
        f"# The operator's settings, marks and rights\n\n{MADE}\n## Settings\n\n"
        "Environment variables of its Deployment, which the chart sets from its values. "
        "One without a default is required.\n\n"
        f"{_table(('variable', 'default', 'what'), settings)}\n## Annotations and labels\n\n"
        f"{_table(('key', 'kind', 'what'), marks)}\n## Rights\n\n"
        "A Role in each namespace that it watches, with no wildcard. It can list and watch no Secret. "
        "Whoever may create a Migration or a Bucket can have any Secret of that namespace used, a Bucket's also at an "
        "address of their choice: grant it to those who may create pods there.\n\n"
        f"{_table(('resource', 'verb', 'why'), _rights())}"
    )


def _rights() -> Iterator[Sequence[str]]:
    granted = {
        (resource, verb)
        for body in yaml.safe_load_all(INSTALL.read_text())
        if body["kind"] == "Role"
        for rule in body["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    if odd := granted ^ set(WHY):
        raise ValueError(f"install.yaml and WHY disagree about {sorted(odd)}")
    for (resource, verb), why in WHY.items():
        yield f"`{resource}`", verb, why


def _metrics() -> str:
    registry = CollectorRegistry()
    made = [value for value in vars(Metrics(registry)).values() if isinstance(value, MetricWrapperBase)]
    rows = ((f"`{_exported(m)}`", str(m._type), ", ".join(m._labelnames), str(m._documentation)) for m in made)  # noqa: SLF001 - it has no public names
    return (
        f"# Metrics\n\n{MADE}\n`/metrics` on the operator's port, in Prometheus' text format, beside `/healthz`. "
        "What is deleted leaves no series behind.\n\n"
        f"{_table(('metric', 'type', 'labels', 'what'), rows)}\n"
        "The chart brings [alerts](../../how-to/charts/alerts.md) on them, and a dashboard.\n"
    )


def _exported(metric: MetricWrapperBase) -> str:
    return str(metric._name) + ("_total" if metric._type == "counter" else "")  # noqa: SLF001 - as above


def _commands() -> str:
    parser = commands.parser()
    codes = " ".join((parser.epilog or "").split())
    rows = ((_usage(name, made), made.description or "", _options(made)) for name, made in commands.leaves(parser))
    return (
        f"# kubectl landfall\n\n{MADE}\nInstalled by `pip install ./k8s/operator`, a console script "
        "`kubectl-landfall` that kubectl finds on PATH. It needs no rights of the operator's, only your own.\n\n"
        f"{_table(('command', 'what', 'options'), rows)}\n"
        "NAME is a resource's name, or KIND/NAME where two kinds have that name: `migration/api`, `bucket/media`, "
        "`credential/db`. `bucket` reads the access Secrets with your own rights, and reaches a store inside the "
        "cluster by `kubectl port-forward` (get services, create pods/portforward).\n\n"
        "All take `-n NAMESPACE` and `--context CONTEXT`. Tables fit the terminal; elsewhere they are "
        "not cut, and there are no colours (nor with `NO_COLOR` set).\n\n"
        f"{codes}\n"
    )


def _usage(name: str, made: argparse.ArgumentParser) -> str:
    takes = [action for action in made._actions if not action.option_strings]  # noqa: SLF001 - it has no public names
    words = [f"[{action.dest.upper()}]" if action.nargs == "?" else action.dest.upper() for action in takes]
    return f"`{' '.join(['kubectl landfall', name, *words])}`"


def _options(made: argparse.ArgumentParser) -> str:
    own = [a for a in made._actions if a.option_strings and a.dest not in {"help", "namespace", "context"}]  # noqa: SLF001 - as above
    return "; ".join(f"`{', '.join(a.option_strings)}` {a.help}" for a in own)


def main() -> None:
    INSTALL.write_text(install_text())
    for page in pages():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text_of(page))


if __name__ == "__main__":
    main()
