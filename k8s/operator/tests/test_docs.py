"""The operator's documentation says what is so, and all of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import write_reference
from landfall_operator.cli import commands
from write_reference import ROOT

OPERATOR = ROOT / "k8s/operator"
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    OPERATOR / "README.md",
    DOCS / "tutorial-operator.md",
    *(DOCS / "how-to/operator").glob("*.md"),
    *(DOCS / "reference/operator").glob("*.md"),
    DOCS / "explanation/operator.md",
]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
REASON = re.compile(r"^[A-Z][A-Za-z0-9]+$")
SEVERAL_WORDS = re.compile(r"^[A-Z][a-z]+(?:[A-Z][a-z]+)+$")
# Calls that begin with a reason.
ENDS = {"Stop", "Meaning", "_stalled", "_waiting", "_progress"}
ROW = 3  # the store's troubles stand in rows of reason, test and text
NO_REASONS = {
    # what a container waits for, in Kubernetes' words
    *("CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff"),
    "FailedCreate",
    *("InvalidImageName", "RunContainerError"),
    # kinds, types and classes
    *("ConfigMap", "DisruptionTarget", "InterfaceError", "OperationalError", "ProgrammingError", "RuntimeDefault"),
    *("ReadOnly", "ReadWrite", "WriteOnly", "FeaturesSupported", "QuotaExceeded"),  # modes and conditions
    "FEATURE",  # a table's head
    "NothingToDo",  # a report's, shown as UpToDate
}


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


def reasons() -> set[str]:
    """Every reason in the operator's and the runner's sources, and whatever looks like one."""
    found = {"Pending"}  # the CRD's own default
    for path in (OPERATOR / "landfall_operator").rglob("*.py"):
        if "cli" not in path.parts:
            # S3's own names look like reasons: those are told by where they stand.
            loose = "s3" not in path.parts
            found |= {text for text in _candidates(ast.parse(path.read_text()), loose=loose) if text not in NO_REASONS}
    return found


def _candidates(tree: ast.AST, *, loose: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        places: list[ast.AST | None] = []
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            places += node.args[:1] if called in ENDS else node.args[1:2] if called == "stopped" else []
            places += [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
        elif isinstance(node, ast.Assign):
            places += [node.value] if any(getattr(target, "attr", "") == "reason" for target in node.targets) else []
        elif isinstance(node, ast.Tuple) and not loose and len(node.elts) == ROW:
            places += node.elts[:1]
        choices = [part for p in places if isinstance(p, ast.IfExp) for part in (p.body, p.orelse)]
        for place in (*places, *choices):
            if isinstance(place, ast.Constant) and REASON.match(str(place.value)):
                yield str(place.value)
        if loose and isinstance(node, ast.Constant) and isinstance(node.value, str) and SEVERAL_WORDS.match(node.value):
            yield node.value


def explained() -> set[str]:
    rows = re.findall(r"^\| (`[^|]+) \|", (DOCS / "how-to/operator/recover.md").read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_reason_stands_in_the_table_with_its_remedy() -> None:
    assert sorted(reasons() - explained()) == []


def test_the_table_has_no_reason_that_is_never_given() -> None:
    assert sorted(explained() - reasons() - {"Applying"}) == []  # its name is put together


@pytest.mark.parametrize("page", write_reference.pages(), ids=names)
def test_a_page_that_is_made_from_the_code_is_current(page: Path) -> None:
    assert page.read_text() == write_reference.text_of(page), "run: .venv/bin/python k8s/operator/write_reference.py"


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_within_the_repository_resolve(page: Path) -> None:
    targets = [match[1] for match in LINK.finditer(page.read_text()) if "://" not in match[1]]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_the_commands_that_a_page_names_exist_with_their_options(page: Path) -> None:
    known = dict(commands.leaves(commands.parser()))
    for command, rest in re.findall(r"kubectl landfall (bucket [a-z]+|[a-z]+)([^\n`;|]*)", page.read_text()):
        assert command in known
        options = {option for action in known[command]._actions for option in action.option_strings}
        assert set(re.findall(r"(?<=\s)--?[a-zA-Z][a-z-]*", rest)) <= options


def test_every_example_is_named_in_the_operators_readme() -> None:
    text = (OPERATOR / "README.md").read_text()
    assert [path.name for path in (ROOT / "k8s/examples").glob("*.yaml") if path.name not in text] == []
