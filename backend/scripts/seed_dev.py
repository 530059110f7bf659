#!/usr/bin/env python3
"""Add the demonstration data to the database that the settings name, as `landfall seed` does."""

from app.cli import app

if __name__ == "__main__":
    app(["seed"])
