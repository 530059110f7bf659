"""module_missing a1"""

revision = "a1"
down_revision = None


def upgrade() -> None:
    import there_is_no_such_module  # noqa: F401
