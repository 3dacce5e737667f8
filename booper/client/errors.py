"""What can go wrong with a call, as one tree; each says what, where, and what would be right.

ClientError
├── InvalidArgument        a value that cannot be sent; told before anything is (a ValueError)
├── Unreachable            no response; `may_have_happened` tells whether it was carried out
├── Unreadable             a response, but not one of booper's
└── Refused                booper said no; carries `status`, `title` and `detail`
    ├── Unauthenticated    401  no key, an unknown one, a revoked one
    ├── Forbidden          403  the key is good, but not for this
    ├── NotFound           404  not there, or another user's
    ├── Conflict           409  the thing is not in a state that allows this
    ├── Invalid            400, 413, 415, 422  carries `fields`, one for each wrong field
    ├── TooManyRequests    429  carries `retry_after`, in seconds
    └── ServerError        5xx  booper failed, or cannot do it now; carries `retry_after` too
"""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec


class ClientError(Exception):
    """The root of all errors of a call; `str(error)` is what a person reads."""


class InvalidArgument(ClientError, ValueError):
    """An argument that cannot be sent; the text says what would be right."""


class Unreadable(ClientError):
    """A response that is not booper's: something else may be listening there."""


class Unreachable(ClientError):
    """No response; the text says from where, and what to do.

    `may_have_happened` is true where the request may have left before the connection broke; it is
    false where there was no connection at all.
    """

    def __init__(self, call: str, url: str, reason: str, *, may_have_happened: bool) -> None:
        if may_have_happened:
            advice = "it may have been carried out, so check before you repeat it"
        else:
            advice = (
                "is booper running there? Start it with `booper serve`, or name another address "
                "with base_url, or BOOPER_URL and from_env()"
            )
        super().__init__(f"{call}: no response from {url} ({reason}): {advice}")
        self.url = url
        self.reason = reason
        self.may_have_happened = may_have_happened


class WrongField(msgspec.Struct, frozen=True):
    """One wrong field: a JSON Pointer (RFC 6901) into the body or the query, and what is right."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True):
    """The problem details of a response (RFC 9457 §3.1), as far as they were given."""

    title: str = ""
    detail: str = ""
    errors: tuple[WrongField, ...] = ()


class Refused(ClientError):
    """An error response of booper; the text says to which call, and why."""

    advice = ""

    def __init__(
        self, call: str, status: int, problem: Problem, retry_after: float | None = None
    ) -> None:
        self.status = status
        self.title = problem.title or _phrase(status)
        self.detail = problem.detail
        self.fields = problem.errors
        self.retry_after = retry_after
        said = f"{self.title}: {self.detail}" if self.detail else self.title
        foreign = (
            ""
            if problem.title
            else "; booper did not write this response: a proxy or another server did"
        )
        super().__init__(f"{call}: {status} {said}{foreign}{self.advice}")


class Unauthenticated(Refused):
    """The key is missing, unknown or revoked."""

    advice = " (set the key with api_key, or BOOPER_API_KEY and from_env())"


class Forbidden(Refused):
    """The key is valid, but not for this."""

    advice = " (`booper keys create NAME --scope SCOPE` makes another)"


class NotFound(Refused):
    """The thing is not there, or belongs to another user."""


class Conflict(Refused):
    """The state of the thing does not allow this."""


class Invalid(Refused):
    """Invalid input; `fields` has each wrong field and what would be right."""


class TooManyRequests(Refused):
    """The key's rate is used up; `retry_after` is the number of seconds until it is not."""


class ServerError(Refused):
    """booper failed, or cannot do it now; `retry_after` is when to try again."""


_BY_STATUS: Mapping[int, type[Refused]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: TooManyRequests,
}


def refusal(call: str, status: int, body: bytes, retry_after: float | None) -> Refused:
    """Return the error of a response whose status is not 2xx."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = Problem()  # a proxy's page, as a rule: the status says all
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else Refused)
    return kind(call, status, problem, retry_after)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"
