"""`kubectl landfall`: what people ask of Migrations, Buckets and Credentials."""

from __future__ import annotations

from landfall_operator.cli.commands import main

__all__ = ["main"]
