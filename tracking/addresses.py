"""Addresses of tracking servers and databases: what stands behind them, and how to show them without a password."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from urllib.request import url2pathname

from gaitpress.errors import StageError
from gaitpress.params.mlflow import MLflow

SQLITE = "sqlite:///"
HIDDEN = "***"
ANSWER_S = 5.0
SHORTEST_SECRET = 4  # letters of a value in an address's query; shorter ones are such as "on" or "20"
# A server takes what follows these for the rest of the address; SQLAlchemy takes them for letters of a password.
AMBIGUOUS = "/?#"
SEPARATORS = r"[@:/?#\[\]]"  # of the parts of addresses
ESCAPED = "in a user's name or password, write / as %2F, ? as %3F, # as %23, @ as %40 and [ as %5B"
PORTS = {"http": 80, "https": 443, "socks": 1080, "postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433}


def address(settings: MLflow) -> str:
    """The address of the tracking server or database: MLFLOW_TRACKING_URI goes before params.yaml."""
    return os.environ.get("MLFLOW_TRACKING_URI") or settings.tracking_uri


def is_server(uri: str) -> bool:
    """Whether an address is that of a tracking server, no database and no file."""
    return uri.lower().startswith(("http://", "https://"))


def local_store(uri: str) -> Path | None:
    """The SQLite file or the folder that an address stands for; None for a server's address."""
    if uri.startswith(SQLITE):
        return Path(uri.removeprefix(SQLITE).partition("?")[0])
    if uri.startswith("file:"):
        return Path(url2pathname(urlsplit(uri).path))
    return None if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", uri) else Path(uri)


def untracked(settings: MLflow, receipts: Iterable[str]) -> list[Path]:
    """The receipts of what was tracked in a database here that is no more, such as one that the user has removed."""
    store = local_store(address(settings))
    return [] if store is None or store.exists() else [path for path in map(Path, receipts) if path.exists()]


def without_credentials(uri: str) -> str:
    """An address that is safe to show: without user, password and query, which may hold a token.

    Where it is not clear which part is the password, nothing but the scheme is shown.
    """
    scheme, mark, rest = uri.partition("://")
    if not mark:
        return uri.partition("?")[0]
    credentials, at, place = rest.rpartition("@")
    if at and not rest.startswith("/") and _ambiguous(credentials):
        return f"{scheme}://{HIDDEN}"
    return f"{scheme}://{re.split('[?#]', rest if rest.startswith('/') else place)[0]}"


def cleared(text: str, uri: str) -> str:
    """A message without the credentials of an address, also where it names a page of the server."""
    text = text.replace(uri, without_credentials(uri))
    text = re.sub(r"://[^\s'\"]*@", "://", text)
    for secret in sorted(_secrets(uri), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def _ambiguous(credentials: str) -> bool:
    return any(letter in credentials for letter in AMBIGUOUS)


def _secrets(uri: str) -> set[str]:
    """Passwords and tokens of an address, whole and as the parts that a wrong reading makes of them, in each spelling."""
    rest = uri.partition("://")[2]
    credentials, query = rest.rpartition("@")[0], rest.partition("?")[2]
    password = credentials.partition(":")[2]
    secrets = {password, query, *(part for text in (password, unquote(password)) for part in re.split(SEPARATORS, text))}
    values = (part for _, value in parse_qsl(query) for part in (value, *re.split(SEPARATORS, value)))
    secrets |= {value for value in values if len(value) >= SHORTEST_SECRET}
    return {spelling for secret in secrets for spelling in (secret, unquote(secret), quote(secret, safe="")) if spelling}


def check_reachable(uri: str) -> None:
    """Fail at once where MLflow would try again for minutes, or keep runs where nobody looks for them.

    Raises:
        StageError: nothing answers, or the address cannot be read or is none that was meant.
    """
    _check_form(uri)
    if local_store(uri) is not None or uri.startswith("sqlite:"):
        return
    shown = without_credentials(uri)
    try:
        host, port, through = _behind(uri)
    except ValueError:
        raise StageError(f"MLflow at {shown}: the address cannot be read; {ESCAPED}") from None
    if host and port and "," not in host:  # else a socket's file, or several servers: the driver knows
        try:
            socket.create_connection((host, port), timeout=ANSWER_S).close()
        except (OSError, UnicodeError) as error:
            way = f" through the proxy {host}:{port} that the environment names" if through else ""
            hint = f"; {ESCAPED}" if HIDDEN in shown else ""
            raise StageError(
                f"MLflow at {shown} cannot be reached{way} ({cleared(str(error), uri)}); start it, or change "
                f"MLFLOW_TRACKING_URI or mlflow.tracking_uri in params.yaml{hint}"
            ) from None
    if not is_server(uri):
        _check_login(uri, shown)


def _check_form(uri: str) -> None:
    """Refuse addresses that MLflow takes for others than their writer."""
    shown = without_credentials(uri)
    if uri != uri.strip():
        raise StageError(f"MLflow at {shown!r}: the address begins or ends with a blank")
    if re.fullmatch(r"[\w.-]+:\d+(/.*)?", uri):
        raise StageError(f"MLflow at {shown}: the address of a server begins with http:// or https://: http://{shown}")
    file = uri.removeprefix(SQLITE) if uri.startswith(SQLITE) else ""
    if file.startswith("~"):
        whole = f"{SQLITE}{os.path.expanduser(file)}"
        raise StageError(f"MLflow at {shown}: ~ stands for no home there, but for a folder of this name; write {whole}")
    if file.partition("?")[0] == ":memory:" or uri == "sqlite://":
        raise StageError(f"MLflow at {shown}: a database in memory is gone at once; write {SQLITE}mlflow.db")


def _check_login(uri: str, shown: str) -> None:
    """Connect to a database once. MLflow tries a login that is refused again and again, for minutes.

    Raises:
        StageError: the database refuses user, password or its own name.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(uri, poolclass=NullPool)
    except (ImportError, NoSuchModuleError):
        return  # whoever opens it says which driver is missing
    try:
        engine.connect().close()
    except DBAPIError as error:
        reason = " ".join(cleared(str(error.orig), uri).split())
        raise StageError(f"MLflow at {shown} cannot be opened: {reason}; {ESCAPED}") from None


def _behind(uri: str) -> tuple[str | None, int | None, bool]:
    """Host and port to connect to, and whether they are those of a proxy.

    Raises:
        ValueError: the address cannot be read.
    """
    if not is_server(uri):
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            database = make_url(uri)
        except ArgumentError:
            return None, None, False  # whoever opens it says what it should be
        return database.host, database.port or PORTS.get(database.get_backend_name()), False
    from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy

    parts = urlsplit(uri)
    own = parts.port or PORTS[parts.scheme.lower()]
    if proxy := select_proxy(uri, get_environ_proxies(uri)):
        between = urlsplit(prepend_scheme_if_needed(proxy, "http"))
        usual = PORTS["socks" if between.scheme.startswith("socks") else "https" if between.scheme == "https" else "http"]
        return between.hostname, between.port or usual, True
    return parts.hostname, own, False
