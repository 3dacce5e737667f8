"""A small web program that embeds booper, for `uvicorn --workers 2 worker_program:app`.

It reads the `booper.toml` of the folder where it is started, and imports nothing of the tests.
"""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from booper.app import Booper
from booper.config import read_config

booper = Booper(read_config(Path("booper.toml"), {}), api_key=os.environ["WORKERS_KEY"])


async def process(request: Request) -> JSONResponse:
    """Return which of the processes this is."""
    return JSONResponse({"process": os.getpid()})


app = Starlette(
    routes=[Route("/process", process), Mount("/booper", booper.asgi)],
    lifespan=booper.lifespan,
)
