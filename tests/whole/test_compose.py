"""The compose file of several nodes, as far as can be seen without starting containers."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from booper.config import Config, read_config
from tests.support.documents import DOCS, blocks_of

BLOCKS = blocks_of(DOCS["nodes"])
COMPOSE = next(text for kind, text in BLOCKS if kind == "yaml")
MOUNTED = BLOCKS[[kind for kind, _ in BLOCKS].index("yaml") - 1][1]
SETTING = re.compile(r"^      ([A-Z_]+): (.+)$", re.MULTILINE)


def services() -> dict[str, str]:
    """Return the text of each service of the compose file."""
    text = COMPOSE.partition("services:\n")[2].partition("\nvolumes:\n")[0]
    _, *parts = re.split(r"^  (\w+):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def environment(service: str) -> dict[str, str]:
    """Return the variables that a service is given."""
    return dict(SETTING.findall(services()[service]))


def configuration(folder: Path) -> Config:
    """Return the configuration that stands before the compose file."""
    path = folder / "booper.toml"
    path.write_text(MOUNTED, encoding="utf-8")
    return read_config(path, {})


def test_both_nodes_read_the_file_that_is_mounted() -> None:
    """It is the one before the compose file, under the path that BOOPER_CONFIG names."""
    [(source, target)] = re.findall(r'volumes: \["\./(.+?):(.+?):ro"\]', services()["booper"])
    assert "deploy: {replicas: 2}" in services()["booper"]
    assert environment("booper")["BOOPER_CONFIG"] == target
    assert f"one `{source}`, which is beside the\ncompose file" in DOCS["nodes"]


def test_the_file_names_the_database_of_the_compose_file(tmp_path: Path) -> None:
    """By the service's name, as its user, in the database that PostgreSQL makes for this user."""
    url = urlsplit(configuration(tmp_path).database.url)
    assert (url.scheme, url.hostname, url.password) == ("postgresql", "database", None)
    database, node = environment("database"), environment("booper")
    assert url.username == database["POSTGRES_USER"] == url.path.removeprefix("/")
    assert node["PGPASSWORD"] == database["POSTGRES_PASSWORD"]
    assert "database" in services()


def test_the_load_balancer_reaches_each_node(tmp_path: Path) -> None:
    """At the ports that the text names, which lead to the one where the image listens."""
    [(first, last, inner)] = re.findall(r'"127\.0\.0\.1:(\d+)-(\d+):(\d+)"', services()["booper"])
    assert f"in front of ports {first} and {last} of this machine" in DOCS["nodes"]
    assert int(last) - int(first) + 1 == 2
    assert int(inner) == configuration(tmp_path).server.port
    [image] = [text for kind, text in blocks_of(DOCS["deploying"]) if kind == "dockerfile"]
    assert f'"--port", "{inner}"' in image


def test_each_volume_that_is_named_is_made() -> None:
    """What is no path is listed at the end."""
    named = set(re.findall(r'volumes: \["(\w+):', COMPOSE))
    made = set(re.findall(r"^  (\w+): \{\}$", COMPOSE.partition("\nvolumes:\n")[2], re.MULTILINE))
    assert named == made != set()
