"""MLflow in a real PostgreSQL, whose users have passwords with any letter."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from gaitpress.errors import StageError
from tracking.server import TrackingServer

pytest.importorskip("psycopg2", reason="needs the driver of PostgreSQL: pip install psycopg2-binary")
PASSWORD = "a/b?c#d@e[f"
PROGRAMS = [Path(program) for program in [shutil.which("initdb")] if program] or sorted(
    Path("/usr/lib/postgresql").glob("*/bin/initdb")
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server on loopback with the user `gait`, their PASSWORD, and the database `postgres`."""
    if not PROGRAMS:
        pytest.skip("there is no PostgreSQL here (Debian: apt install postgresql)")
    as_user: list[str] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        data, password = Path(folder) / "data", Path(folder) / "password"
        password.write_text(PASSWORD)
        if os.getuid() == 0:  # it refuses to run as root
            try:
                owner = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            for path in (Path(folder), password):
                os.chown(path, owner.pw_uid, owner.pw_gid)
            as_user = ["runuser", "-u", "postgres", "--"]
        initdb = [*as_user, str(PROGRAMS[-1]), "-D", str(data), "-U", "gait", "-A", "scram-sha-256", f"--pwfile={password}"]
        subprocess.run(initdb, check=True, cwd="/", stdout=subprocess.DEVNULL)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            number = free.getsockname()[1]
        server = PROGRAMS[-1].with_name("postgres")
        words = [*as_user, str(server), "-D", str(data), "-p", str(number), "-k", folder, "-c", "listen_addresses=127.0.0.1"]
        process = subprocess.Popen(words, cwd="/", stderr=subprocess.DEVNULL)
        try:
            for _ in range(300):
                with socket.socket() as link:
                    if link.connect_ex(("127.0.0.1", number)) == 0:
                        break
                time.sleep(0.1)
            yield number
        finally:
            subprocess.run(
                [*as_user, str(PROGRAMS[-1].with_name("pg_ctl")), "stop", "-D", str(data), "-m", "immediate"], cwd="/"
            )
            process.wait(30)


def address(port: int, password: str = PASSWORD, database: str = "postgres") -> str:
    return f"postgresql://gait:{quote(password, safe='')}@127.0.0.1:{port}/{database}"


@pytest.mark.parametrize(("password", "database"), [("tops3cret", "postgres"), (PASSWORD, "nowhere")])
def test_a_refused_login_is_reported_at_once_and_without_the_password(port: int, password: str, database: str) -> None:
    # MLflow itself tries for minutes, and then says something else.
    with pytest.raises(StageError) as raised:
        TrackingServer(address(port, password, database), "gait").open()
    said = str(raised.value)
    assert said.startswith(f"MLflow at postgresql://127.0.0.1:{port}/{database} cannot be opened: ")
    assert ("password authentication failed" if database == "postgres" else "does not exist") in said
    assert password not in said and quote(password, safe="") not in said
    assert "\n" not in said


def test_a_password_of_any_letters_opens_it(port: int) -> None:
    server = TrackingServer(address(port), "gait")
    server.open()
    assert server.client.get_experiment(server.experiment_id).name == "gait"
