"""install.yaml is what the chart makes."""

from __future__ import annotations

import os
import shutil

import pytest

import write_reference


def test_install_is_what_the_chart_makes() -> None:
    if not shutil.which("helm"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("helm is not on PATH: it makes install.yaml")
    assert write_reference.INSTALL.read_text() == write_reference.install_text(), "run: make reference"
