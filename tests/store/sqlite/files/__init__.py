"""Files of every schema so far, each of a booper that was killed, as `make.py` has written them."""

import gzip
from pathlib import Path

FILES = {
    int(path.name.split("-")[1].split(".")[0]): path for path in Path(__file__).parent.glob("*.gz")
}
"""The files by the numbers of their schemas."""


def put_file(schema: int, path: Path) -> None:
    """Write the file of a schema to a path."""
    path.write_bytes(gzip.decompress(FILES[schema].read_bytes()))
