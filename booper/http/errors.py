"""Why a request brought no response, as one tree; each is an outcome of an attempt.

SendError
├── ConnectError        no connection, so nothing was sent
├── WriteError          the connection was lost while the request was sent
├── ReadError           the connection was lost before the response was complete
├── ProtocolError       what came is no response of HTTP/1.1
└── UnsendableRequest   the request cannot be written as HTTP
"""

from booper.errors import BooperError


class SendError(BooperError):
    """A request brought no response; `kind` is the short stable word that log entries have."""

    kind = "network"


class ConnectError(SendError):
    """No connection could be opened, so nothing was sent."""

    kind = "connect"


class WriteError(SendError):
    """The connection was lost while the request was being sent."""

    kind = "write"


class ReadError(SendError):
    """The connection was lost, or given up, before the response was complete."""

    kind = "read"


class ProtocolError(SendError):
    """The received bytes are no response of HTTP/1.1, or end too early."""

    kind = "protocol"


class UnsendableRequest(SendError):
    """The request has a part that would break out of its place (RFC 9112 §11.2)."""

    kind = "request"
