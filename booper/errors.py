"""Every error booper expects, as one tree; each knows its HTTP status and its problem title.

    BooperError
    ├── MalformedRequest       400  what came in is not HTTP
    ├── MalformedBody          400  the body is not JSON or not a form
    ├── Unauthenticated        401  no key, an unknown one, a revoked one
    ├── Forbidden              403  the key is good, but not for this
    ├── NotFound               404  not there, or another user's
    │   └── UnknownPath             the API has no such path
    ├── MethodNotAllowed       405  the path has no such method; carries those that it has
    ├── Conflict               409  the thing is not in a state that allows this
    ├── RequestTimeout         408  the request did not arrive in time
    ├── BodyTooLarge           413
    ├── URLTooLong             414
    ├── UnsupportedMediaType   415
    │   └── UnsupportedEncoding     the body is compressed
    ├── InvalidRequest         422  a field is wrong; carries one FieldError for each
    ├── BatchRefused           422  some of many creates that must hold together cannot
    ├── TooManyRequests        429  the key's rate is used up; carries when to come again
    │   └── TooManyWaiting          as many of the user's jobs wait as may
    ├── HeadersTooLarge        431
    ├── Unimplemented          501  a method or a transfer coding that booper does not have
    ├── TooManyConnections     503
    ├── StoreUnavailable       503  the store cannot write now, or booper is stopping
    │   ├── StoreFull          507  the disk is full
    │   ├── StoreDamaged       503  the database file is damaged
    │   ├── PrunedElsewhere    503  another node deletes what is old just now
    │   └── HolderUnreachable  503  the process that writes is gone, or has not responded
    ├── TargetRefused          422  the guard does not let a request reach this target
    │   ├── AddressRefused          its name leads to such an address now (an attempt fails)
    │   └── MalformedURL            what was given is no URL
    ├── UnresolvableHost            the target's name has no address now (an attempt fails)
    ├── InvalidRedirect             a target redirects to what is no URL (an attempt fails)
    ├── SendError                   a request brought no response (`booper.http.errors`)
    ├── Shortage                    this process lacks descriptors, ports, threads or memory
    └── StartError                  booper cannot start; one line for the operator, exit 1
        └── ConfigError             the configuration is wrong; exit 2

What a target or the network does is no error but an outcome (`booper.model.job.Outcome`).
"""

from collections.abc import Sequence
from dataclasses import dataclass


class BooperError(Exception):
    """The root of all expected errors; `str(error)` is what a person reads."""

    status = 500
    title = "Internal error"


class MalformedRequest(BooperError):
    """The received bytes cannot be read as an HTTP request."""

    status = 400
    title = "Malformed request"


class MalformedBody(BooperError):
    """A request body cannot be read as JSON or as a form."""

    status = 400
    title = "Malformed body"


class Unauthenticated(BooperError):
    """A request carries no valid API key."""

    status = 401
    title = "Unauthenticated"


class Forbidden(BooperError):
    """A valid key does not allow this."""

    status = 403
    title = "Forbidden"


class NotFound(BooperError):
    """The thing is not there, or belongs to another user."""

    status = 404
    title = "Not found"


class UnknownPath(NotFound):
    """The API has no such path."""


class MethodNotAllowed(BooperError):
    """A path has no such method; `allowed` are those that it has, with commas between them."""

    status = 405
    title = "Method not allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class Conflict(BooperError):
    """The state of the thing does not allow this."""

    status = 409
    title = "Conflict"


class RequestTimeout(BooperError):
    """A request did not arrive in time."""

    status = 408
    title = "Request timeout"


class BodyTooLarge(BooperError):
    """A request body is over the limit."""

    status = 413
    title = "Body too large"


class URLTooLong(BooperError):
    """A request's URL is over the limit."""

    status = 414
    title = "URL too long"


class UnsupportedMediaType(BooperError):
    """A request body's content type is neither JSON nor a form."""

    status = 415
    title = "Unsupported media type"


class UnsupportedEncoding(UnsupportedMediaType):
    """A request body has a `Content-Encoding`."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: `pointer` is a JSON Pointer (RFC 6901) into the body or the query."""

    pointer: str
    detail: str

    def __str__(self) -> str:
        # An empty pointer means the whole (RFC 6901 §5), which needs no name.
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


def pointer_to(parent: str, name: str) -> str:
    """Point at a member of an object (RFC 6901 §3), cutting a name nobody would read."""
    return f"{parent}/{name[:100].replace('~', '~0').replace('/', '~1')}"


class InvalidRequest(BooperError):
    """Invalid fields, each with what is expected; at most a hundred of them."""

    status = 422
    title = "Invalid request"

    MAX_ERRORS = 100
    MAX_IN_WORDS = 3

    def __init__(self, errors: Sequence[FieldError], most: int = MAX_ERRORS) -> None:
        shown = [str(error) for error in errors[: self.MAX_IN_WORDS]]
        more = len(errors) - len(shown)
        super().__init__("; ".join(shown) + (f"; and {more} more" if more else ""))
        self.errors = errors[:most]


class BatchRefused(BooperError):
    """Some creates of an atomic batch cannot be made, so none was."""

    status = 422
    title = "Batch refused"

    def __init__(self, results: Sequence[object]) -> None:
        super().__init__("some jobs of the batch cannot be created")
        self.results = results


class TooManyRequests(BooperError):
    """A key has used up its rate; `retry_seconds` is when it may make a request again."""

    status = 429
    title = "Too many requests"

    def __init__(self, message: str, retry_seconds: float) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class TooManyWaiting(TooManyRequests):
    """As many jobs of a user wait as may; others must be sent or cancelled first."""


class HeadersTooLarge(BooperError):
    """A request's headers are too many or too large."""

    status = 431
    title = "Headers too large"


class Unimplemented(BooperError):
    """A request needs something that booper does not have (RFC 9110 §15.6.2)."""

    status = 501
    title = "Not implemented"


class TooManyConnections(BooperError):
    """booper accepts no further connection now."""

    status = 503
    title = "Too many connections"


class TooManyResponses(BooperError):
    """Other large responses that are still being read have taken the memory for one more."""

    status = 503
    title = "Too many responses"


class StoreUnavailable(BooperError):
    """The store cannot write now; the same call may succeed later."""

    status = 503
    title = "Store unavailable"


class StoreFull(StoreUnavailable):
    """The disk is full."""

    status = 507
    title = "Disk full"


class StoreDamaged(StoreUnavailable):
    """A damaged page of the database file is in the way."""

    title = "Store damaged"


class PrunedElsewhere(StoreUnavailable):
    """Another node deletes what is old just now."""

    title = "Pruned elsewhere"


class HolderUnreachable(StoreUnavailable):
    """The process that holds the database is gone, or has not responded in time."""

    title = "Holder unreachable"


class TargetRefused(BooperError):
    """The guard lets no request reach a target; final where its URL alone shows why."""

    status = 422
    title = "Target refused"


class AddressRefused(TargetRefused):
    """A target's name resolves to an address that may not be reached; it may not for long.

    A captive portal or a block list does so for every name until it is passed or mended.
    """


class MalformedURL(TargetRefused):
    """The text is not a URL: it has a host, a port or a length that a URL cannot have."""


class InvalidRedirect(BooperError):
    """A target redirects to what is no URL, which it may mend."""


class UnresolvableHost(BooperError):
    """A target's name has no address now; a later attempt may find one."""


class Shortage(BooperError):
    """This process or machine lacks what an attempt needs; the target has no part in it."""


class StartError(BooperError):
    """booper cannot start; the text says why, in one line."""

    exit_code = 1


class ConfigError(StartError):
    """A setting is wrong; the text says which, and what would be right, in one line."""

    exit_code = 2
