"""Images of the service's next releases: its own with further revisions, each a file in images/release."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from alembic.script import ScriptDirectory
from cluster import ROOT
from conftest import Once, build

REVISIONS = Path(__file__).parent / "images/release"


def make_image(once: Once, base: str, *revisions: str) -> str:
    """The service's image with these revisions after its own, and nothing else changed."""
    tag = f"{base}-{'-'.join(revisions)}"
    once(tag, lambda: _build(tag, base, revisions))
    return tag


def _build(tag: str, base: str, revisions: tuple[str, ...]) -> None:
    head = ScriptDirectory(str(ROOT / "backend/migrations")).get_current_head()
    assert head
    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory)
        for name in revisions:
            (context / f"{name}.py").write_text((REVISIONS / f"{name}.py").read_text().replace("HEAD", head))
        shutil.copy(REVISIONS / "Dockerfile", context)
        build(tag, dockerfile=context / "Dockerfile", context=context, BASE=base)
