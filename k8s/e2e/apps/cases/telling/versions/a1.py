"""telling a1: tells its URL to whoever reads, and fails"""

from alembic import context

revision = "a1"
down_revision = None


def upgrade() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    print(f"connecting to {url}")
    raise RuntimeError(f"{url} is not what it was")
