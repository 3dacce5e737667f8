"""The daemon that serves a database, for commands that look after that."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from booper.client import AsyncClient, ClientError, Refused, Unreachable
from booper.errors import BooperError, StartError
from booper.server.listener import socket_path


@asynccontextmanager
async def daemon_of(database: Path) -> AsyncIterator[AsyncClient | None]:
    """Yield a client of the daemon that serves a database, None if none responds.

    The lock tells apart what only looks as if there were none.

    Raises:
        BooperError: the daemon refused a call, or did not respond to it.
    """
    # Nothing is encrypted here; httpx would read certificates, from the environment too.
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transport = httpx.AsyncHTTPTransport(no_tls, uds=str(socket_path(database)), trust_env=False)
    async with AsyncClient("http://booper", transport=transport, retries=0) as client:
        try:
            yield client if await _is_served(client) else None
        except Refused as error:
            raise BooperError(error.detail) from error
        except ClientError as error:
            raise BooperError(str(error)) from error


def check_there(database: Path) -> None:
    """Check that there is a database. Raises: StartError."""
    if not database.exists():
        raise StartError(
            f"there is no database {database}; run this in booper's folder, or use --database"
        )


async def _is_served(client: AsyncClient) -> bool:
    """Return whether a daemon responds, if only that it is busy."""
    try:
        await client.ping()
    except Unreachable:
        return False
    except Refused:
        return True
    return True
