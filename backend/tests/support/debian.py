"""Debian's packages for the tests: clients and servers that the machine lacks."""

from __future__ import annotations

import os
import shutil

from tests.support.tools import MissingToolError, alone, run

APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300")
QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def install(*packages: str) -> None:
    """Install those that are missing, which only root may; raises `MissingToolError`."""
    missing = [package for package in packages if not _is_installed(package)]
    if not missing:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise MissingToolError(f"not installed, and not root on Debian to do so: {' '.join(missing)}")
    with alone("apt"):
        run([*APT, "update"], timeout_seconds=120)
        command = [*APT, "install", "--yes", "--no-install-recommends", *missing]
        run(command, timeout_seconds=600, environment=QUIET)


def _is_installed(package: str) -> bool:
    try:
        return run(["dpkg-query", "--show", "--showformat=${Status}", package]) == "install ok installed"
    except MissingToolError:
        return False
