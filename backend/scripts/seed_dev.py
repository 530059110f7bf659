"""Add the demonstration data to the database that the settings name, as `landfall seed` does.

Run it by the environment that `make` prepares: .venv/bin/python backend/scripts/seed_dev.py
"""

from app.cli import app

if __name__ == "__main__":
    app(["seed"])
