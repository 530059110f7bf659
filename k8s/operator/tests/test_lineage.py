"""Ahead is told from diverged by what images were seen to carry, however many revisions there are."""

from __future__ import annotations

from landfall_operator.lineage import MAX_LINES, descends, merge

OLD = [f"r{number}<r{number - 1}" for number in range(MAX_LINES + 100, 0, -1)]
NEW = [f"n{number}<{f'n{number - 1}' if number else 'r600'}" for number in range(2, -1, -1)]


def test_a_newer_revision_is_still_known_after_a_rollback_of_a_long_history() -> None:
    lines = merge(OLD, merge([*NEW, *OLD], []))
    assert descends(lines, "n2", ["r600"]) is True
    assert len(lines) <= MAX_LINES


def test_another_branch_does_not_descend_and_an_unseen_revision_is_unknown() -> None:
    lines = ["x9<a1", "b2<a1", "a1<"]
    assert descends(lines, "x9", ["b2"]) is False
    assert descends(lines, "zz", ["b2"]) is None
