"""What the environment may hold: it never ends a command in a traceback, and the way is right."""

from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from booper.cli import main
from booper.client import AsyncClient, Client, InvalidArgument
from booper.client.environment import is_loopback, path_to
from tests.support.processes import listening_target, run

PROXY = "http://proxy.example:3128"
SOCKS = "socks5://ada:secret@socks.example:1080"
ELSEWHERE = "http://booper.example:2667"
ENCRYPTED = "https://booper.example"


def proxy_of(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy of the way to a server."""
    proxy = path_to(httpx.URL(url), environment).proxy
    return str(proxy.url) if proxy else None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.3.2.1",
        "127.1",
        "localhost",
        "LOCALHOST.",
        "booper.localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
    ],
)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
@pytest.mark.parametrize("value", [PROXY, SOCKS, "nonsense://x", "http://a:b"])
def test_this_machine_is_never_reached_through_a_proxy(
    host: str, variable: str, value: str
) -> None:
    """RFC 6890 and RFC 6761 §6.3 keep these names and addresses on the machine itself."""
    for scheme in ("http", "https"):
        assert proxy_of(f"{scheme}://{host}:2667", {variable: value}) is None


@pytest.mark.parametrize(
    "host", ["example.com", "localhost.example.com", "10.0.0.1", "128.0.0.1", "1271.example"]
)
def test_other_hosts_are_not_this_machine(host: str) -> None:
    """A name that only looks like a loopback address is another machine's."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        (ELSEWHERE, {}, None),
        (ELSEWHERE, {"HTTP_PROXY": PROXY}, PROXY),
        (ELSEWHERE, {"http_proxy": PROXY}, PROXY),
        (ELSEWHERE, {"HTTPS_PROXY": PROXY}, None),
        (ENCRYPTED, {"HTTPS_PROXY": PROXY}, PROXY),
        (ENCRYPTED, {"HTTP_PROXY": PROXY}, None),
        (ENCRYPTED, {"ALL_PROXY": PROXY}, PROXY),
        (ELSEWHERE, {"HTTP_PROXY": PROXY, "ALL_PROXY": SOCKS}, PROXY),
        (ELSEWHERE, {"http_proxy": "", "HTTP_PROXY": PROXY}, None),
        (ELSEWHERE, {"HTTP_PROXY": "proxy.example:3128"}, PROXY),
        (ELSEWHERE, {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, None),
        (ELSEWHERE, {"HTTP_PROXY": PROXY, "NO_PROXY": "*"}, None),
        (ELSEWHERE, {"HTTP_PROXY": SOCKS, "NO_PROXY": "a.example, booper.example"}, None),
        (ELSEWHERE, {"HTTP_PROXY": PROXY, "NO_PROXY": "example"}, None),
        (ELSEWHERE, {"HTTP_PROXY": PROXY, "NO_PROXY": ".example"}, None),
        (ELSEWHERE, {"HTTP_PROXY": PROXY, "NO_PROXY": "*.example"}, None),
        (ELSEWHERE, {"HTTP_PROXY": PROXY, "no_proxy": "Booper.Example"}, None),
        (ELSEWHERE, {"HTTP_PROXY": PROXY, "NO_PROXY": "oper.example"}, PROXY),
        (ELSEWHERE, {"HTTP_PROXY": PROXY, "NO_PROXY": "booper.example:2667"}, None),
        (ELSEWHERE, {"HTTP_PROXY": PROXY, "NO_PROXY": "booper.example:80"}, PROXY),
        ("http://10.1.2.3", {"HTTP_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://10.1.2.3", {"HTTP_PROXY": PROXY, "NO_PROXY": "10.1.2.3:80"}, None),
        ("http://11.1.2.3", {"HTTP_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, PROXY),
        ("http://[fd00::1]", {"HTTP_PROXY": PROXY, "NO_PROXY": "fd00::1"}, None),
        ("http://[fd00::1]", {"HTTP_PROXY": PROXY, "NO_PROXY": "[fd00::1]:80"}, None),
        ("http://[fd00::1]", {"HTTP_PROXY": PROXY, "NO_PROXY": ", ,fd00::/8"}, None),
    ],
)
def test_the_proxy_is_the_one_that_curl_would_take(
    url: str, environment: dict[str, str], proxy: str | None
) -> None:
    """By curl(1), "ENVIRONMENT" and --noproxy: lower case first, the scheme's before ALL_PROXY."""
    assert proxy_of(url, environment) == proxy


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"ALL_PROXY": SOCKS}, ("ALL_PROXY", "socks5://socks.example", PROXY)),
        ({"all_proxy": SOCKS}, ("all_proxy", "NO_PROXY")),
        ({"HTTPS_PROXY": "socks4://a.example"}, ("HTTPS_PROXY", "socks4://a.example", PROXY)),
        ({"HTTPS_PROXY": "ftp://a.example"}, ("HTTPS_PROXY", "ftp://a.example", PROXY)),
        ({"HTTPS_PROXY": "http://ada:secret@:"}, ("HTTPS_PROXY", PROXY)),
        ({"HTTPS_PROXY": "http://proxy:port"}, ("HTTPS_PROXY", PROXY)),
        ({"HTTPS_PROXY": "http://"}, ("HTTPS_PROXY", PROXY)),
        ({"SSL_CERT_FILE": "/nonexistent"}, ("SSL_CERT_FILE", "'/nonexistent'", "PEM")),
        ({"SSL_CERT_FILE": "/"}, ("SSL_CERT_FILE", "'/'", "PEM")),
        ({"SSL_CERT_FILE": __file__}, ("SSL_CERT_FILE", __file__, "PEM")),
        ({"SSL_CERT_DIR": "/nonexistent"}, ("SSL_CERT_DIR", "'/nonexistent'", "folder")),
        ({"SSLKEYLOGFILE": "/nonexistent/a"}, ("SSLKEYLOGFILE", "'/nonexistent/a'", "written")),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    environment: dict[str, str], told: tuple[str, ...]
) -> None:
    """With its value, and what would be right; but no password is repeated."""
    with pytest.raises(InvalidArgument) as raised:
        path_to(httpx.URL(ENCRYPTED), environment)
    message = str(raised.value)
    assert all(part in message for part in told), message
    assert "secret" not in message
    assert "\n" not in message
    command = ("status", "--url", ENCRYPTED)
    result = CliRunner().invoke(main, command, env=environment)
    assert (result.exit_code, result.stderr) == (2, f"booper: {message}\n")


@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_a_client_of_this_machine_reads_none_of_them(
    monkeypatch: pytest.MonkeyPatch, make: Callable[..., object]
) -> None:
    """Nothing is encrypted and nothing is between, so nothing of it can be wrong."""
    for name in ("ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, SOCKS)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.setenv(name, "/nonexistent/file")
    make("http://127.0.0.1:2667")
    with pytest.raises(InvalidArgument, match="ALL_PROXY"):
        make(ENCRYPTED)


def test_a_server_elsewhere_is_asked_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy gets the whole URL (RFC 9112 §3.2.2)."""
    with listening_target() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with Client("http://booper.example", "sk_test_0123456789") as client:
            client._sender.http.get("/readyz")
        assert proxy.paths() == ["http://booper.example/readyz"]


URL = "http://127.0.0.1:2667"
WRONG_URLS = (
    "127.0.0.1:2667",
    "localhost",
    "ftp://a.example",
    "http://",
    "http://[",
    "http://a b",
    "http://127.0.0.1:99999",
    "http://127.0.0.1:0",
    "http://127.0.0.1/?a=b",
)


@pytest.mark.parametrize("wrong", WRONG_URLS)
def test_a_wrong_address_is_told_by_the_name_it_was_given_under(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """BOOPER_URL, --url, or base_url; with the value, and what would be right."""
    told = f"expected a URL such as {URL}, got {wrong!r}"
    with pytest.raises(InvalidArgument, match="base_url: ") as raised:
        Client(wrong)
    assert told in str(raised.value)
    monkeypatch.setenv("BOOPER_URL", wrong)
    for make in (Client.from_env, AsyncClient.from_env):
        with pytest.raises(InvalidArgument, match="BOOPER_URL: "):
            make()
    for arguments, name in (((), "BOOPER_URL"), (("--url", wrong), "--url")):
        result = CliRunner().invoke(main, ("status", *arguments))
        assert (result.exit_code, result.stderr) == (2, f"booper: {name}: {told}\n")


@pytest.mark.parametrize("wrong", ["sk a", "sk_é_0123456789abcd", "sk_0123456789\nabcdef", "\x1b"])
def test_a_wrong_key_is_told_by_the_name_it_was_given_under(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """BOOPER_API_KEY, --key, or api_key; it is not repeated, since most of it may be right."""
    monkeypatch.setenv("BOOPER_API_KEY", wrong)
    monkeypatch.setenv("BOOPER_URL", URL)
    with pytest.raises(InvalidArgument, match="api_key: "):
        Client(URL, wrong)
    with pytest.raises(InvalidArgument, match="BOOPER_API_KEY: "):
        Client.from_env()
    for arguments, name in (((), "BOOPER_API_KEY"), (("--key", wrong), "--key")):
        result = CliRunner().invoke(main, ("status", *arguments))
        assert result.exit_code == 2
        assert result.stderr.startswith(f"booper: {name}: expected a key such as sk_")
        assert wrong not in result.stderr


@pytest.mark.parametrize("command", ["status", "check", "serve", "keys list"])
def test_a_file_that_a_variable_names_wrongly_is_told_with_the_variable(command: str) -> None:
    """Whoever typed no --config would look for it in vain."""
    environment = {"BOOPER_CONFIG": "/nonexistent", "BOOPER_URL": "", "BOOPER_API_KEY": ""}
    result = CliRunner().invoke(main, command.split(), env=environment)
    expected = "booper: BOOPER_CONFIG: cannot read /nonexistent: No such file or directory\n"
    assert (result.exit_code, result.stderr) == (2, expected)


@pytest.mark.parametrize(
    ("command", "environment"),
    [
        (("serve", "--port", "0"), {"SSL_CERT_FILE": "/nonexistent"}),
        (("serve", "--port", "0"), {"SSL_CERT_DIR": "/nonexistent"}),
        (("serve", "--port", "0"), {"SSLKEYLOGFILE": "/nonexistent/a"}),
        (("serve", "--port", "0"), {"BOOPER_API_KEY": "sk a"}),
    ],
)
def test_a_daemon_is_not_started_with_a_wrong_variable(
    tmp_path: Path, command: tuple[str, ...], environment: dict[str, str]
) -> None:
    """Each request to an https target would fail, without a word about the variable."""
    done = run(tmp_path, *command, environment=environment)
    (variable,) = environment
    assert done.returncode == 2
    assert done.stderr.startswith(f"booper: {variable}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "environment",
    [
        {"ALL_PROXY": SOCKS, "SSL_CERT_FILE": "/nonexistent", "SSLKEYLOGFILE": "/nonexistent/a"},
        {"TZ": "Nowhere/None", "HOME": "", "TMPDIR": "/nonexistent"},
        {"LC_ALL": "C", "LANG": "xx_YY.nope", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        {"COLUMNS": "-1", "LINES": "x", "TERM": "", "NO_COLOR": "1"},
        {"COLUMNS": "0", "TERM": "nope", "FORCE_COLOR": "x", "PYTHONWARNINGS": "error"},
    ],
)
@pytest.mark.parametrize("command", [("keys", "list"), ("keys", "list", "--json"), ("--help",)])
def test_what_concerns_others_changes_nothing(
    tmp_path: Path, command: tuple[str, ...], environment: dict[str, str]
) -> None:
    """A command runs in whatever terminal, language and zone it finds."""
    run(tmp_path, "keys", "create", "one")
    done = run(tmp_path, *command, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
