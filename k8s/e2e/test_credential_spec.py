"""What the API server refuses of a Credential, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from cluster import ClusterError, Namespace
from credentials import KIND, MADE, change, credential

CHARACTERS = "a key has 1 to 200 letters, digits, dots, hyphens and underscores"
ONE_OF_TWO = "give a key either generate or value"
WORDS: dict[str, tuple[dict[str, Any], str]] = {
    "no values": ({"values": {}}, "should have at least 1 properties"),
    "neither generated nor given": ({"values": {"a": {}}}, ONE_OF_TWO),
    "both generated and given": ({"values": {"a": {"generate": {}, "value": "x"}}}, ONE_OF_TWO),
    "a key with a blank": ({"values": {"a b": MADE}}, CHARACTERS),
    "a template's key with a blank": ({"templates": {"a b": "x"}}, CHARACTERS),
    "a key kept for rotations": ({"values": {"a.previous": MADE}}, "does not end with .previous"),
    "a key in both": ({"templates": {"user": "x"}}, "a key stands either in spec.values or in spec.templates"),
    "too short": ({"values": {"a": {"generate": {"length": 15}}}}, "greater than or equal to 16"),
    "too long": ({"values": {"a": {"generate": {"length": 1025}}}}, "less than or equal to 1024"),
    "another alphabet": ({"values": {"a": {"generate": {"alphabet": "Emoji"}}}}, "supported values"),
    "an empty template": ({"templates": {"t": ""}}, "at least 1 chars long"),
    "another policy": ({"deletionPolicy": "Purge"}, "supported values"),
    "another end of a loss": ({"onLoss": "Ignore"}, "supported values"),
    "no Secret's name": ({"secretName": "Under_Score"}, "secretName"),
}


@pytest.mark.parametrize("case", WORDS)
def test_what_the_api_server_refuses_and_in_which_words(stage: Namespace, case: str) -> None:
    changes, words = WORDS[case]
    body = credential("refused")
    body["spec"] |= changes
    with pytest.raises(ClusterError) as refused:
        stage.apply(body, dry_run=True)
    assert words in str(refused.value)


def test_the_secret_of_a_credential_cannot_change(stage: Namespace, unique: str) -> None:
    stage.apply(credential(unique, deletionPolicy="Delete"))
    with pytest.raises(ClusterError, match="make a new Credential for another one"):
        change(stage, KIND, unique, {"spec": {"secretName": f"{unique}-2"}})
    stage.kubectl("delete", KIND, unique)
