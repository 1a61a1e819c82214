"""Addresses with passwords that hold letters of addresses, and databases without a driver or an answer."""

from __future__ import annotations

import re
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from gaitpress.errors import StageError
from tests.support import commands
from tests.support.toy import ROOT
from tracking.addresses import check_reachable, cleared, local_store, without_credentials

PASSWORDS = (
    "tops/ecret",
    "tops?ecret",
    "tops#ecret",
    "tops@ecret",
    "to@ps/ecret",
    "tops[ecret",
    "tops]ecret",
    "tops:ecret",
    "tops%2Fecret",
)


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("scheme", ["postgresql", "mysql+pymysql", "http", "https"])
def test_no_letter_of_a_password_is_shown(password: str, scheme: str) -> None:
    for query in ("", "?token=token@secret"):
        uri = f"{scheme}://me:{password}@db.example:5432/mlflow{query}"
        said = f"cannot parse {uri}, nor {uri.replace('%2F', '/')}; user me:{password}, " + re.sub(
            r"[@/?#:\[\]]", " ", password
        )
        for text in (without_credentials(uri), cleared(said, uri)):
            assert not re.search("ecret|tops", text), text


def test_addresses_without_a_password_are_shown() -> None:
    for uri in (
        "http://server:5000",
        "postgresql://db/mlflow",
        "sqlite:///mlflow.db",
        "sqlite:////srv/a@b/mlflow.db",
        "mlruns",
    ):
        assert without_credentials(uri) == uri
    assert without_credentials("postgresql://me:secret@db/mlflow?a=b") == "postgresql://db/mlflow"
    assert local_store("postgresql://me:a[b@db/mlflow") is None


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        # Nobody has this driver, or one opens nothing; nothing listens at port 9; Python refuses a bracket; a port must be a
        # number.
        (
            "postgresql:///mlflow?host=/nowhere&password=tops3cret",
            "error: MLflow at postgresql:///mlflow"
            + (" cannot be opened: " if find_spec("psycopg2") else ": its driver is not"),
        ),
        ("postgresql://me:tops/3cret@127.0.0.1:9/mlflow", "error: MLflow at postgresql://*** cannot be reached (["),
        ("mysql+nosuch://me:tops3cret@/mlflow", "error: MLflow at mysql+nosuch:///mlflow: "),
        (
            "http://me:tops[3cret@127.0.0.1:9",
            "error: MLflow at http://127.0.0.1:9: the address cannot be read; in a user's name or",
        ),
        ("http://me:tops/3cret@127.0.0.1:9", "error: MLflow at http://***: the address cannot be read; in a user's name or"),
        ("http://me:12/tops3cret@127.0.0.1:9", "error: MLflow at http://*** cannot be reached ("),
        ("oracle://me:tops3cret@127.0.0.1:9/x", "error: MLflow at oracle://127.0.0.1:9/x"),
        ("htp://me:tops3cret@127.0.0.1:9/x", "error: MLflow at htp://127.0.0.1:9/x"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line_without_the_password(
    tmp_path: Path, uri: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    started = time.monotonic()
    done = commands.command("compare", "--params", ROOT / "params.yaml", "--no-start")
    assert done.stderr.startswith(said), done.stderr
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert not any(part in done.stdout + done.stderr for part in ("tops", "3cret"))
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (" sqlite:///mlflow.db", "MLflow at ' sqlite:///mlflow.db': the address begins or ends with a blank"),
        ("localhost:5000", "MLflow at localhost:5000: .* begins with http:// or https://: http://localhost:5000"),
        (
            "sqlite:///~/mlflow.db",
            "MLflow at sqlite:///~/mlflow.db: ~ stands for no home there, .* sqlite:////home/me/mlflow.db",
        ),
        ("sqlite:///:memory:", "MLflow at sqlite:///:memory:: a database in memory is gone at once"),
    ],
)
def test_an_address_that_means_something_else_than_it_seems_is_refused(
    uri: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    with pytest.raises(StageError, match=said):
        check_reachable(uri)
