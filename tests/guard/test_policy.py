"""The guard: which URLs, addresses and headers of strangers go out."""

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booper.engine.headers import check_header
from booper.errors import TargetRefused, UnresolvableHost
from booper.guard.addresses import SPECIAL_RANGES, special_range
from booper.guard.names import ip_literal
from booper.guard.policy import Guard, Resolve, Target
from booper.guard.target import parse_target
from tests.support.guard_corpus import ACCEPTED, PIECES, REFUSED


class Resolver:
    """Answers the given rounds of addresses in turn, and remembers what it was asked."""

    def __init__(self, *rounds: Sequence[str] | OSError) -> None:
        self._rounds = iter(rounds)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Answer the next round."""
        self.asked.append((host, port))
        response = next(self._rounds)
        if isinstance(response, OSError):
            raise response
        return response


def guard(
    *,
    require_https: bool = True,
    allow_private_networks: bool = False,
    allow: Sequence[str] = (),
    own: tuple[str, int] | None = None,
    also: tuple[str, int] | None = None,
    resolve: Resolve | None = None,
) -> Guard:
    """Return a guard of the default policy but for what is given; DNS knows no name."""
    return Guard(
        require_https=require_https,
        allow_private_networks=allow_private_networks,
        allow=allow,
        own=[address for address in (own, also) if address is not None],
        resolve=resolve or Resolver(),
    )


def verdict(checked_by: Guard, url: str) -> str:
    """Return "ok" or the reason of the refusal."""
    try:
        checked_by.check(url)
    except TargetRefused as error:
        return str(error)
    return "ok"


# --- the corpus ---------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "normal"), ACCEPTED)
def test_an_acceptable_url_is_read_into_its_normal_form(url: str, normal: str) -> None:
    """The default policy accepts it, and the target spells it in one way only."""
    assert guard().check(url).url == normal


@pytest.mark.parametrize(("url", "reason"), REFUSED)
def test_an_unacceptable_url_is_refused_with_the_reason(url: str, reason: str) -> None:
    """The default policy refuses it, and the error says what is wrong."""
    refused = verdict(guard(), url)

    assert reason in refused
    assert len(refused) < 500


def test_the_corpus_is_large_and_has_no_repeats() -> None:
    """Each row earns its place."""
    urls = [url for url, _ in ACCEPTED + REFUSED]

    assert len(urls) >= 220
    assert len(set(urls)) == len(urls)


def test_the_corpus_has_an_address_of_every_special_range() -> None:
    """No row of the table of ranges goes untried, nor is one hidden behind a wider one."""
    tried = set()
    for url, _ in REFUSED:
        try:
            address = ip_literal(parse_target(url).host)
        except TargetRefused:
            continue
        if address is not None:
            tried.add(special_range(address))

    assert tried >= set(SPECIAL_RANGES)


def test_a_normal_form_is_its_own_normal_form() -> None:
    """Reading what the guard wrote changes nothing, so redirects and retries see the same."""
    for _, normal in ACCEPTED:
        assert guard().check(normal).url == normal


def test_a_refusal_does_not_repeat_a_password() -> None:
    """Reasons are stored and shown, so a secret in the URL stays out of them."""
    assert "hunter2" not in verdict(guard(), "https://jane:hunter2@example.com/")


def test_a_url_of_exactly_the_longest_length_is_accepted() -> None:
    """8,192 characters are fine: 20 of "https://example.com/" and 8,172 more."""
    assert verdict(guard(), "https://example.com/" + "a" * 8172) == "ok"


# --- the target ---------------------------------------------------------------------------


def test_a_target_holds_the_parts_of_the_url() -> None:
    """Scheme, host, port, path and query are kept apart, the fragment is dropped."""
    target = guard().check("https://Bücher.example:8443/ü?q=1#part")

    assert target == Target("https", "xn--bcher-kva.example", 8443, "/%C3%BC", "q=1")
    assert target.origin == "https://xn--bcher-kva.example:8443"
    assert target.authority == "xn--bcher-kva.example:8443"


@pytest.mark.parametrize(
    ("target", "authority"),
    [
        (Target("https", "example.com", 443, "/", ""), "example.com"),
        (Target("http", "example.com", 80, "/", ""), "example.com"),
        (Target("http", "example.com", 443, "/", ""), "example.com:443"),
        (Target("https", "example.com", 80, "/", ""), "example.com:80"),
        (Target("https", "2606:4700::1", 443, "/", ""), "[2606:4700::1]"),
        (Target("https", "2606:4700::1", 8443, "/", ""), "[2606:4700::1]:8443"),
    ],
)
def test_the_authority_leaves_out_the_default_port(target: Target, authority: str) -> None:
    """The Host header has brackets around IPv6, and a port only where it is needed."""
    assert target.authority == authority


# --- options ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com/", "ok"),
        ("https://example.com/", "ok"),
        ("http://8.8.8.8/", "ok"),
        ("http://127.0.0.1/", "loopback"),
        ("http://localhost/", "is this machine"),
        ("ftp://example.com/", "must begin with"),
    ],
)
def test_plain_http_is_fine_where_https_is_not_required(url: str, expected: str) -> None:
    """Only the scheme is relaxed."""
    assert expected in verdict(guard(require_https=False), url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://10.0.0.1/", "ok"),
        ("https://172.16.0.1/", "ok"),
        ("https://192.168.0.1/", "ok"),
        ("https://100.64.0.1/", "ok"),
        ("https://127.0.0.1/", "ok"),
        ("https://[::1]/", "ok"),
        ("https://[fd12:3456::1]/", "ok"),
        ("https://localhost/", "ok"),
        ("https://app.localhost/", "ok"),
        ("http://10.0.0.1/", "must begin with https://"),
        ("https://169.254.169.254/", "metadata"),
        ("https://100.100.100.200/", "metadata"),
        ("https://168.63.129.16/", "metadata"),
        ("https://[fd00:ec2::254]/", "metadata"),
        ("https://[fd20:ce::254]/", "metadata"),
        ("https://169.254.1.1/", "link-local"),
        ("https://[fe80::1]/", "link-local"),
        ("https://0.0.0.0/", "this network"),
        ("https://[::]/", "unspecified"),
        ("https://224.0.0.1/", "multicast"),
        ("https://[ff02::1]/", "multicast"),
        ("https://255.255.255.255/", "broadcast"),
        ("https://240.0.0.1/", "reserved"),
        ("https://192.0.2.1/", "documentation"),
        ("https://[::ffff:10.0.0.1]/", "IPv4-mapped"),
        ("https://[64:ff9b::10.0.0.1]/", "NAT64"),
        ("https://127.1/", "looks like"),
    ],
)
def test_private_networks_open_without_the_rest(url: str, expected: str) -> None:
    """Loopback and private ranges open; metadata, link-local and unusable addresses do not."""
    assert expected in verdict(guard(allow_private_networks=True), url)


@pytest.mark.parametrize(
    ("allow", "url", "expected"),
    [
        ("hooks.example", "http://hooks.example/", "ok"),
        ("hooks.example", "http://HOOKS.example.:8080/", "ok"),
        ("hooks.example", "http://a.hooks.example/", "must begin with https://"),
        ("hooks.example", "http://hooks.example.evil/", "must begin with https://"),
        ("Hooks.Example.", "http://hooks.example/", "ok"),
        ("bücher.example", "http://xn--bcher-kva.example/", "ok"),
        ("hooks.example:8080", "http://hooks.example:8080/", "ok"),
        ("hooks.example:8080", "http://hooks.example/", "must begin with https://"),
        ("hooks.example:80", "http://hooks.example/", "ok"),
        ("localhost", "http://localhost:3000/", "ok"),
        ("localhost", "http://app.localhost/", "is this machine"),
        ("localhost", "http://127.0.0.1/", "loopback"),
        ("localhost:3000", "http://localhost:3001/", "is this machine"),
        ("127.0.0.1", "http://127.0.0.1:3000/", "ok"),
        ("127.0.0.1", "http://127.0.0.2/", "loopback"),
        ("127.0.0.1", "http://127.1/", "looks like"),
        ("127.0.0.1", "http://user@127.0.0.1/", "user name"),
        ("127.0.0.1:3000", "http://127.0.0.1:3000/", "ok"),
        ("127.0.0.1:3000", "http://127.0.0.1:3001/", "loopback"),
        ("10.0.0.0/8", "http://10.1.2.3/", "ok"),
        ("10.0.0.0/8", "http://11.1.2.3/", "must begin with https://"),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]/", "IPv4-mapped"),
        ("10.0.0.0/8", "http://ten.example/", "must begin with https://"),
        ("169.254.169.254", "http://169.254.169.254/latest/", "ok"),
        ("::1", "http://[::1]/", "ok"),
        ("[::1]", "http://[0:0::1]/", "ok"),
        ("[::1]:3000", "http://[::1]:3000/", "ok"),
        ("[::1]:3000", "http://[::1]:3001/", "loopback"),
        ("fd00::/8", "http://[fd00:1::1]/", "ok"),
        ("64:ff9b::/96", "https://[64:ff9b::808:808]/", "ok"),
    ],
)
def test_what_is_allowed_is_fine_and_nothing_beside_it(allow: str, url: str, expected: str) -> None:
    """An entry matches exactly the host, the port or the addresses it names."""
    assert expected in verdict(guard(allow=[allow]), url)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        " ",
        "https://example.com",
        "example.com/path",
        "*.example.com",
        "user@example.com",
        "example.com:",
        "example.com:0",
        "example.com:http",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0/8",
        "127.1",
        "0x7f.1",
        "example..com",
        "exa mple.com",
        "exa\x00mple.1",
        "::1:3000:zz",
    ],
)
def test_an_entry_that_is_no_host_and_no_network_is_an_error(entry: str) -> None:
    """A typo in the configuration stops the start, and the message names the entry."""
    with pytest.raises(ValueError, match="an entry of allow must be") as caught:
        guard(allow=["example.com", entry])

    assert repr(entry) in str(caught.value)


OWN = ("127.0.0.1", 2667)


@pytest.mark.parametrize(
    ("own", "url", "expected"),
    [
        (OWN, "http://127.0.0.1:2667/api/ping", "ok"),
        (OWN, "HTTP://127.0.0.1:2667/api/ping", "ok"),
        (OWN, "http://127.0.0.1:2667/api/ping?a=b", "ok"),
        (OWN, "http://127.0.0.1:2667/api/ping#part", "ok"),
        (OWN, "http://127.0.0.1:2667/api/echo", "ok"),
        (OWN, "http://127.0.0.1:2667/api/broadcast", "ok"),
        (OWN, "http://127.0.0.1:2667/api/channels/discord", "ok"),
        (OWN, "http://127.0.0.1:2667/api/channels/my-channel_2", "ok"),
        (OWN, "http://127.0.0.1:2667/api/channels/", "loopback"),
        (OWN, "http://127.0.0.1:2667/api/channels/a/b", "loopback"),
        (OWN, "http://127.0.0.1:2667/api/channels/..", "loopback"),
        (OWN, "http://127.0.0.1:2667/api/channels/%64iscord", "loopback"),
        (OWN, "http://127.0.0.1:2667/api/channels/ü", "loopback"),
        (OWN, "http://127.0.0.1:2667/api/jobs", "loopback"),
        (OWN, "http://127.0.0.1:2667/api/ping/", "loopback"),
        (OWN, "http://127.0.0.1:2667/api/ping/../jobs", "loopback"),
        (OWN, "http://127.0.0.1:2667/api/../api/ping", "loopback"),
        (OWN, "http://127.0.0.1:2667/api/%70ing", "loopback"),
        (OWN, "http://127.0.0.1:2667//api/ping", "loopback"),
        (OWN, "http://127.0.0.1:2667/API/ping", "loopback"),
        (OWN, "http://127.0.0.1:2667/", "loopback"),
        (OWN, "http://127.0.0.1:2667?/api/ping", "loopback"),
        (OWN, "http://127.0.0.1:2668/api/ping", "loopback"),
        (OWN, "http://127.0.0.1/api/ping", "loopback"),
        (OWN, "https://127.0.0.1:2667/api/ping", "loopback"),
        (OWN, "http://127.0.0.2:2667/api/ping", "loopback"),
        (OWN, "http://localhost:2667/api/ping", "is this machine"),
        (OWN, "http://127.1:2667/api/ping", "looks like"),
        (OWN, "http://\uff11\uff12\uff17.0.0.1:2667/api/ping", "loopback"),
        (OWN, "http://127.0.0.1x:2667/api/ping", "must begin with https://"),
        (OWN, "http://127x0.0.a:2667/api/ping", "must begin with https://"),
        (OWN, "http://[::1]:2667/api/ping", "loopback"),
        (OWN, "http://user@127.0.0.1:2667/api/ping", "user name"),
        (("0.0.0.0", 2667), "http://127.0.0.1:2667/api/ping", "ok"),
        (("0.0.0.0", 2667), "http://0.0.0.0:2667/api/ping", "this network"),
        (("::", 2667), "http://[::1]:2667/api/ping", "ok"),
        (("::", 2667), "http://[0:0::1]:2667/api/ping", "loopback"),
        (("::1", 2667), "http://[::1]:2667/api/ping", "ok"),
        (("127.0.0.1", 80), "http://127.0.0.1/api/ping", "ok"),
        (("127.0.0.1", 80), "http://127.0.0.1:80/api/ping", "ok"),
        (("localhost", 2667), "http://localhost:2667/api/ping", "ok"),
        (("LocalHost", 2667), "http://localhost:2667/api/ping", "ok"),
        (("localhost", 2667), "http://LOCALHOST:2667/api/ping", "is this machine"),
        (("localhost", 2667), "http://localhost.:2667/api/ping", "is this machine"),
    ],
)
def test_only_the_helper_paths_of_booper_itself_are_open(
    own: tuple[str, int], url: str, expected: str
) -> None:
    """Plain http to its own address works in exactly one spelling and for nothing else."""
    assert expected in verdict(guard(own=own), url)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_each_address_that_booper_listens_on_is_its_own(host: str) -> None:
    """One that serves both families is reached by both."""
    both = guard(own=("::", 2667), also=("0.0.0.0", 2667))
    assert verdict(both, f"http://{host}:2667/api/ping") == "ok"
    assert "loopback" in verdict(both, f"http://{host}:2668/api/ping")


# --- addresses ----------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_name_is_resolved_once_and_its_addresses_returned() -> None:
    """Each call asks DNS once, with host and port, and returns every address in order."""
    resolve = Resolver(["2606:4700::1", "8.8.8.8"])
    checked_by = guard(resolve=resolve)

    found = await checked_by.addresses(checked_by.check("https://example.com./"))

    assert found == ("2606:4700::1", "8.8.8.8")
    assert resolve.asked == [("example.com", 443)]


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["https://8.8.8.8/", "https://[2606:4700:0::1]/"])
async def test_an_ip_literal_is_not_resolved(url: str) -> None:
    """The literal is the address."""
    checked_by = guard(resolve=Resolver())
    target = checked_by.check(url)

    assert await checked_by.addresses(target) == (target.host,)


@pytest.mark.anyio
async def test_a_rebinding_name_is_caught_at_the_second_look() -> None:
    """Every call vets what it resolved itself: a good first response does not vouch for later."""
    resolve = Resolver(["8.8.8.8"], ["127.0.0.1"])
    checked_by = guard(resolve=resolve)
    target = checked_by.check("https://rebind.example/")

    assert await checked_by.addresses(target) == ("8.8.8.8",)
    with pytest.raises(TargetRefused, match="resolves to an address that is a loopback address"):
        await checked_by.addresses(target)
    assert len(resolve.asked) == 2


@pytest.mark.anyio
@pytest.mark.parametrize(
    "responses",
    [
        ["10.0.0.1"],
        ["8.8.8.8", "10.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "::1"],
        ["2606:4700::1", "::ffff:8.8.8.8"],
        ["8.8.8.8", "64:ff9b::7f00:1"],
        ["8.8.8.8", "fe80::1%eth0"],
        ["2606:4700::5efe:a00:1%eth0"],
        ["169.254.169.254"],
        ["0.0.0.0"],
        ["not an address"],
        [""],
    ],
)
async def test_one_forbidden_address_refuses_the_name(responses: list[str]) -> None:
    """A name with one forbidden address among good ones is refused as a whole."""
    checked_by = guard(resolve=Resolver(responses))
    target = checked_by.check("https://mixed.example/")

    with pytest.raises(TargetRefused, match=r"host mixed\.example"):
        await checked_by.addresses(target)


@pytest.mark.anyio
async def test_a_literal_that_was_never_checked_is_vetted_all_the_same() -> None:
    """Connecting never depends on an earlier check alone."""
    with pytest.raises(TargetRefused, match=r"host 10\.0\.0\.1 is in a private network"):
        await guard().addresses(Target("https", "10.0.0.1", 443, "/", ""))


@pytest.mark.anyio
@pytest.mark.parametrize("response", [OSError("no such name"), TimeoutError("slow"), []])
async def test_a_name_without_address_may_be_retried(response: list[str] | OSError) -> None:
    """DNS trouble is no refusal."""
    checked_by = guard(resolve=Resolver(response))
    target = checked_by.check("https://gone.example/")

    with pytest.raises(UnresolvableHost, match=r"gone\.example"):
        await checked_by.addresses(target)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("allow", "responses", "expected"),
    [
        (["hooks.example"], ["10.0.0.1", "127.0.0.1"], "ok"),
        (["hooks.example:443"], ["10.0.0.1"], "ok"),
        (["hooks.example:8443"], ["10.0.0.1"], "private network"),
        (["other.example"], ["10.0.0.1"], "private network"),
        (["10.0.0.0/24"], ["10.0.0.1", "8.8.8.8"], "ok"),
        (["10.0.0.0/24"], ["10.0.0.1", "10.0.1.1"], "private network"),
        (["10.0.0.1"], ["10.0.0.1"], "ok"),
        (["10.0.0.1:443"], ["10.0.0.1"], "private network"),
        (["::1"], ["::1"], "ok"),
    ],
)
async def test_allowed_names_and_networks_vouch_for_addresses(
    allow: list[str], responses: list[str], expected: str
) -> None:
    """A host entry vouches for what it resolves to, a network for its members from any name."""
    checked_by = guard(allow=allow, resolve=Resolver(responses))
    target = checked_by.check("https://hooks.example/")

    try:
        assert await checked_by.addresses(target) == tuple(responses)
    except TargetRefused as error:
        outcome = str(error)
    else:
        outcome = "ok"

    assert expected in outcome


@pytest.mark.anyio
async def test_private_networks_open_for_names_too() -> None:
    """The option holds for what DNS answers, and metadata stays closed there as well."""
    resolve = Resolver(["127.0.0.1", "::1"], ["169.254.169.254"])
    checked_by = guard(allow_private_networks=True, resolve=resolve)
    target = checked_by.check("https://localhost/")

    assert await checked_by.addresses(target) == ("127.0.0.1", "::1")
    with pytest.raises(TargetRefused, match="metadata"):
        await checked_by.addresses(target)


@pytest.mark.anyio
async def test_booper_itself_is_reached_at_its_helper_paths_only() -> None:
    """The exception for the own address holds when connecting, for the same paths."""
    checked_by = guard(own=OWN)
    target = checked_by.check("http://127.0.0.1:2667/api/ping?x#y")

    assert await checked_by.addresses(target) == ("127.0.0.1",)
    with pytest.raises(TargetRefused, match="loopback"):
        await checked_by.addresses(Target("http", "127.0.0.1", 2667, "/api/jobs", ""))


# --- headers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer abc"),
        ("X-Empty", ""),
        ("X-Tab", "a\tb"),
        ("X-Latin", "caf\xe9"),
        ("!#$%&'*+-.^_`|~09azAZ", "x"),
        ("Cookie", "a=b; c=d"),
        ("User-Agent", "mine"),
        ("Content-Type", "text/plain"),
        ("Trailers-Seen", "x"),
        ("A" * 256, "x"),
        ("X-Long", "x" * 8192),
    ],
)
def test_a_sound_header_passes(name: str, value: str) -> None:
    """A token with a field value may go out."""
    check_header(name, value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "must consist of"),
        (" X", "must consist of"),
        ("X ", "must consist of"),
        ("X\n", "must consist of"),
        ("X:", "must consist of"),
        ("X Y", "must consist of"),
        ("X\r\nY", "must consist of"),
        ("X\x00", "must consist of"),
        ("(X)", "must consist of"),
        ("Ü", "must consist of"),
        ("X\u212a", "must consist of"),
        ("A" * 257, "at most 256 bytes, got 257"),
        ("Transfer-Encoding", "cannot be set"),
        ("transfer-encoding", "cannot be set"),
        ("CONTENT-LENGTH", "cannot be set"),
        ("Host", "cannot be set: it follows from the url"),
        ("Connection", "cannot be set"),
        ("Keep-Alive", "cannot be set"),
        ("Proxy-Connection", "meant for a proxy"),
        ("proxy-authorization", "meant for a proxy"),
        ("Proxy-Anything", "meant for a proxy"),
        ("TE", "cannot be set"),
        ("Trailer", "cannot be set"),
        ("Upgrade", "cannot be set"),
        ("Expect", "cannot be set"),
    ],
)
def test_an_unsound_header_name_is_an_error(name: str, reason: str) -> None:
    """Names are tokens, and what frames or routes the message belongs to booper."""
    with pytest.raises(ValueError, match=r"^header ") as caught:
        check_header(name, "x")

    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\r\nX-Injected: b", "got '\\r' at position 1"),
        ("a\n", "got '\\n' at position 1"),
        ("a\rb", "got '\\r'"),
        ("\x00", "got '\\x00'"),
        ("a\x0bb", "got '\\x0b'"),
        ("a\x1bb", "got '\\x1b'"),
        ("a\x7fb", "got '\\x7f'"),
        ("\u0100", "beyond latin-1"),
        ("5 €", "beyond latin-1"),
        ("\u010a", "beyond latin-1"),
        ("\ud800", "beyond latin-1"),
        (" a", "without space around it"),
        ("a ", "without space around it"),
        ("\ta", "without space around it"),
        ("x" * 8193, "at most 8192 bytes, got 8193"),
    ],
)
def test_an_unsound_header_value_is_an_error(value: str, reason: str) -> None:
    """Nothing that could end the line, or that a parser would trim or not decode, goes out."""
    with pytest.raises(ValueError, match=r"^header 'X-Name'") as caught:
        check_header("X-Name", value)

    assert reason in str(caught.value)


def test_a_header_error_does_not_repeat_the_value() -> None:
    """Values may be secrets."""
    with pytest.raises(ValueError, match="X-Key") as caught:
        check_header("X-Key", "hunter2\n")

    assert "hunter2" not in str(caught.value)


# --- properties ---------------------------------------------------------------------------

_PIECES = st.sampled_from(PIECES.split(" "))
_URLISH = st.one_of(
    st.text(max_size=60),
    st.lists(_PIECES, max_size=9).map("".join),
    st.lists(_PIECES, max_size=8).map(lambda pieces: "https://" + "".join(pieces)),
    st.text(max_size=30).map(lambda text: "https://" + text),
    st.text(max_size=30).map(lambda text: "https://example.com/" + text),
    st.ip_addresses(v=4).map(lambda address: f"https://{address}/"),
    st.ip_addresses(v=6).map(lambda address: f"https://[{address}]/"),
    # Mostly public: 2000::/3 is all there is of global unicast.
    st.integers(2 << 124, (4 << 124) - 1).map(lambda bits: f"https://[{ip_address(bits)}]/"),
)


def _same_host(url: str, target: Target) -> None:
    """Assert that other parsers find the target's host and port in `url`."""
    read_by_httpx = httpx.URL(url)
    read_by_urllib = urlsplit(url)

    assert _normal(read_by_httpx.raw_host.decode("ascii")) == target.host
    assert _normal(read_by_urllib.hostname or "") == target.host
    assert (read_by_httpx.port or target.port) == target.port
    assert (read_by_urllib.port or target.port) == target.port


def _normal(host: str) -> str:
    """Return the host as the guard spells it: other parsers keep IPv6 as it was typed."""
    return str(ip_address(host)) if ":" in host else host.removesuffix(".")


@given(_URLISH)
def test_no_text_makes_the_guard_fail_or_disagree_with_other_parsers(url: str) -> None:
    """Any text is accepted or refused, and what is accepted means one host to everybody."""
    try:
        target = guard().check(url)
    except TargetRefused:
        return

    _same_host(target.url, target)
    if url.isascii():
        _same_host(url, target)
    assert target.url.isascii()
    assert guard().check(target.url) == target
    assert httpx.URL(target.url).raw_host
    address = ip_literal(target.host)
    assert address is None or (address.is_global and not address.is_multicast)


@given(st.one_of(_URLISH, st.lists(_PIECES, max_size=5).map("".join)))
def test_no_text_makes_an_allow_entry_fail_in_another_way(entry: str) -> None:
    """A bad entry is a ValueError and nothing else."""
    try:
        guard(allow=[entry])
        outcome = "an entry of allow must be"
    except ValueError as error:
        outcome = str(error)

    assert outcome.startswith("an entry of allow must be")


@given(st.text(), st.text())
def test_a_header_that_passes_fits_on_one_line(name: str, value: str) -> None:
    """Whatever passes can be written as one line that no parser splits."""
    try:
        check_header(name, value)
    except ValueError:
        return

    line = f"{name}: {value}".encode("latin-1")
    assert line.splitlines() == [line]  # bytes split at CR and LF only
    assert b"\0" not in line
