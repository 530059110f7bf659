"""s3-check tells what a server can do, and leaves nothing behind."""

from __future__ import annotations

import pytest
from s3.servers import ACCESS_KEY, SECRET_KEY, connection, free_port

from landfall_operator.s3.check import Check, main
from landfall_operator.s3.connection import Connection, Stores, minio_admin


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


def answers(output: str) -> dict[str, str]:
    rows = [line.split("  ") for line in output.splitlines()[1:]]
    return {row[0]: next(cell for cell in row[1:] if cell).strip() for row in rows}


def left_over(stores: Stores, store: Connection) -> list[str]:
    return [one["Name"] for one in stores.client(store).list_buckets()["Buckets"] if "check" in one["Name"]]


def test_a_plain_server_passes_and_what_it_lacks_is_told(
    gateway: Connection, stores: Stores, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--endpoint", gateway.endpoint]) == 0
    told = answers(capsys.readouterr().out)
    assert {feature for feature, answer in told.items() if answer == "no"} == {
        "versioning",
        "lifecycle",
        "lifecycle abortUploadsAfterDays",
        "quota",
        "accounts: Scoped",
    }
    assert left_over(stores, gateway) == []


def test_minio_can_all_but_two(minio_server: Connection, stores: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--endpoint", minio_server.endpoint]) == 0
    told = answers(capsys.readouterr().out)
    assert {feature for feature, answer in told.items() if answer == "no"} == {
        "cors",
        "lifecycle abortUploadsAfterDays",
    }
    assert told["access mode WriteOnly"] == "yes"
    assert left_over(stores, minio_server) == []
    with minio_admin(minio_server) as admin:
        assert "check" not in admin.user_list()


def test_an_interrupted_check_leaves_nothing(minio_server: Connection, stores: Stores) -> None:
    seen: list[list[str]] = []

    def interrupt(**_: object) -> None:
        if not seen:
            seen.append(left_over(stores, minio_server))
            raise KeyboardInterrupt

    check = Check(minio_server)
    check._stores.client(minio_server).meta.events.register("before-call.s3.DeleteBucket", interrupt)
    with pytest.raises(KeyboardInterrupt):
        check.run()
    assert len(seen[0]) == 1
    assert left_over(stores, minio_server) == []
    with minio_admin(minio_server) as admin:
        assert seen[0][0] not in admin.user_list()


def test_a_mode_that_is_not_enforced_is_told(minio_server: Connection) -> None:
    check = Check(minio_server)
    check._create()
    check._put_and_list()
    check._accounts()
    check._keys["readonly"] = check._keys["readwrite"]
    assert not check._try("access mode ReadOnly", lambda: check._mode("ReadOnly"))
    assert check._lines[-1].note == "put is allowed"
    check._clean_up()
    check._stores.close()


def test_a_server_that_is_not_there_fails_with_the_remedy_in_the_commands_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--endpoint", f"http://127.0.0.1:{free_port()}"]) == 1
    output = capsys.readouterr().out
    assert "nothing listens" in output
    assert "spec." not in output


def test_wrong_keys_fail_with_the_names_of_the_variables(
    gateway: Connection, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "seeded-wrong-secret")
    assert main(["--endpoint", gateway.endpoint]) == 1
    output = capsys.readouterr().out
    assert "Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in output
    assert "seeded-wrong-secret" not in output


def test_missing_keys_are_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SystemExit) as caught:
        main(["--endpoint", connection("http://127.0.0.1:9").endpoint])
    assert caught.value.code == 2
    assert "AWS_SECRET_ACCESS_KEY are not both set" in capsys.readouterr().err
