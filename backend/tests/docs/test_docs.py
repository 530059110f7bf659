"""The documentation says what is so: its pages from the code are current, its links resolve, its commands exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from dotenv import dotenv_values

from app.cli import app
from app.errors import SettingsError
from app.settings import Settings, load_settings
from scripts.write_reference import BACKEND, ENV_EXAMPLE, pages, sections

ROOT = BACKEND.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
MAKE_TARGET = re.compile(r"^(?:\$ )?make ([a-z]+)\b", re.MULTILINE)
# Helm's and kubectl's own words, up to what they run in a container: a release may be called landfall, too.
OTHERS = re.compile(r"\b(?:helm|kubectl) (?:(?! -- )[^`\n])*")
COMMAND = re.compile(r"\blandfall ((?:users |artifacts |sites )?[a-z]+)\b")


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code_of(text: str) -> str:
    """What stands in code blocks and between backticks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`]+)`", prose)])


def commands() -> Iterator[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from (f"{name} {inner}" for inner in command.commands)
        else:
            yield name


@pytest.mark.parametrize("page", pages(), ids=names)
def test_a_page_that_is_made_from_the_code_is_current(page: Path) -> None:
    assert page.read_text() == pages()[page], "run: .venv/bin/python backend/scripts/write_reference.py"


def test_every_setting_is_described() -> None:
    assert [variable.name for section in sections() for variable in section.variables if not variable.description] == []


def test_the_example_with_everything_uncommented_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for section in sections():
        for variable in section.variables:
            monkeypatch.delenv(variable.name, raising=False)
    file = tmp_path / ".env"
    file.write_text(re.sub(r"^#(?=[A-Z0-9_]+=)", "", ENV_EXAMPLE.read_text(), flags=re.MULTILINE))

    assert len(dotenv_values(file)) > 50
    assert load_settings(file) == Settings(_env_file=None)


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_within_the_repository_resolve(page: Path) -> None:
    targets = [match[1] for match in LINK.finditer(page.read_text()) if "://" not in match[1]]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_the_commands_that_a_page_names_exist(page: Path) -> None:
    code = code_of(page.read_text())
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(MAKE_TARGET.findall(code)) <= targets
    assert set(COMMAND.findall(OTHERS.sub("", code))) <= set(commands())


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs/README.md"
    linked = {(index.parent / match[1]).resolve() for match in LINK.finditer(index.read_text())}
    decisions = ROOT / "docs/decisions"
    assert {page for page in (ROOT / "docs").rglob("*.md") if decisions not in page.parents} - linked == {index}


def test_the_reference_names_every_command() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text()
    assert [command for command in commands() if f"`landfall {command}" not in text] == []


def test_the_public_passwords_of_compose_are_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    common = (BACKEND / "compose.yaml").read_text().partition("\nservices:")[0]
    for name, value in re.findall(r"^    ([A-Z_]+): (?:&\w+ )?(.+)$", common, re.MULTILINE):
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value).strip('"'))
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("AUTH_SIGNING_KEYS", "k" * 32)

    with pytest.raises(SettingsError) as refusal:
        load_settings(None)

    assert [line.split(":")[0] for line in str(refusal.value).split("; ") if "public" in line] == [
        "DATABASE_URL",
        "ARTIFACTS_SECRET_KEY",
    ]


def test_the_image_and_make_install_with_the_same_uv() -> None:
    versions = {
        match[1]
        for file in (ROOT / "Makefile", BACKEND / "Dockerfile")
        if (match := re.search(r"UV_VERSION\s*:?=\s*([\d.]+)", file.read_text()))
    }
    assert len(versions) == 1


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_no_tag_that_a_page_sets_is_a_number_to_helm(page: Path) -> None:
    """Which would send an integer, and the charts' schemas refuse it."""
    assert re.findall(r"--set \S*tag=\d+(?!\S)", code_of(page.read_text())) == []
