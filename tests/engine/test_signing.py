"""Outgoing events carry Standard Webhooks signatures that the reference library accepts."""

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from booper.engine.signing import Secret, headers, sign

OLD = "whsec_" + base64.b64encode(bytes(range(24))).decode()
NEW = "whsec_" + base64.b64encode(bytes(range(100, 164))).decode()
MESSAGE_ID = "018a4d2e-7c1b-7e55-9c0a-5d1f6a2b3c4d"
BODY = '{"type":"job.started","data":{"job_id":29180,"name":"Zoë"}}'.encode()


def signed_now(*secrets: str) -> dict[str, str]:
    """Return the headers of `BODY` signed at the real time, to which the receiver compares."""
    parsed = [Secret.parse(secret) for secret in secrets]
    return headers(parsed, MESSAGE_ID, int(time.time()), BODY)


def test_a_signature_equals_the_published_one() -> None:
    """The example of the reference libraries' documentation gives its published signature."""
    secret = Secret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_headers_have_the_names_and_forms_of_the_specification() -> None:
    """The id goes out as it is, the timestamp as whole seconds, the signature as `sign` gives."""
    secret = Secret.parse(OLD)
    assert headers([secret], "msg_1", 1674087231, b"{}") == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1674087231",
        "webhook-signature": sign([secret], "msg_1", 1674087231, b"{}"),
    }


@pytest.mark.parametrize(
    ("phase", "sender", "accepting", "refusing"),
    [
        ("before", [OLD], [OLD], [NEW]),
        ("during", [NEW, OLD], [OLD, NEW], []),
        ("after", [NEW], [NEW], [OLD]),
    ],
)
def test_receivers_follow_a_rotation_of_the_secret(
    phase: str, sender: list[str], accepting: list[str], refusing: list[str]
) -> None:
    """While both secrets are live either one verifies; before and after, only the live one."""
    signed = signed_now(*sender)
    assert len(signed["webhook-signature"].split(" ")) == len(sender)
    for secret in accepting:
        Webhook(secret).verify(BODY, signed)
    for secret in refusing:
        with pytest.raises(WebhookVerificationError, match="No matching signature"):
            Webhook(secret).verify(BODY, signed)


def test_signatures_come_in_the_order_of_the_secrets() -> None:
    """Two secrets give the two single signatures, separated by one space."""
    old, new = Secret.parse(OLD), Secret.parse(NEW)
    both = sign([new, old], "msg_1", 1674087231, BODY)
    alone = [sign([secret], "msg_1", 1674087231, BODY) for secret in (new, old)]
    assert both == f"{alone[0]} {alone[1]}"


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp"])
def test_the_id_and_the_timestamp_are_signed(changed: str) -> None:
    """A receiver refuses an event whose id or time was changed on the way."""
    signed = signed_now(OLD)
    other = {"webhook-id": "another", "webhook-timestamp": f"{int(time.time()) - 60}"}
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(OLD).verify(BODY, signed | {changed: other[changed]})


def test_the_body_is_signed() -> None:
    """A receiver refuses an event whose body differs by a single space."""
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(OLD).verify(BODY + b" ", signed_now(OLD))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must begin with 'whsec_'"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must begin with 'whsec_'"),
        ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must begin with 'whsec_'"),
        ("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must begin with 'whsec_'"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa!!", "must be base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "must be base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSé", "must be base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA", "must be base64"),
        ("whsec_", "must have 24 to 64 bytes, got 0"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "must have 24 to 64 bytes, got 23"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "must have 24 to 64 bytes, got 65"),
    ],
)
def test_a_wrong_secret_is_refused_with_the_reason(text: str, message: str) -> None:
    """The error tells what is wrong and shows nothing of the secret."""
    with pytest.raises(ValueError, match=message) as caught:
        Secret.parse(text)
    assert "MfKQ" not in str(caught.value)


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_has_24_to_64_bytes(size: int) -> None:
    """Both ends of the specification's range are allowed."""
    text = "whsec_" + base64.b64encode(bytes(size)).decode()
    assert Secret.parse(text).key == bytes(size)


def test_a_secret_does_not_show_its_key() -> None:
    """Neither `repr` nor `str` gives the key away, so a log line cannot."""
    secret = Secret.parse(OLD)
    assert repr(secret) == str(secret) == "Secret()"


@pytest.mark.parametrize("message_id", ["", "msg.1", "msg 1", "msg\r\n1", "msg_ü"])
def test_an_id_that_could_be_misread_is_refused(message_id: str) -> None:
    """A full stop would shift what is signed; line breaks and spaces would break the header."""
    with pytest.raises(ValueError, match="message id must be"):
        sign([Secret.parse(OLD)], message_id, 1674087231, b"{}")


def test_signing_without_a_secret_is_refused() -> None:
    """An empty signature would look like a signed event and never verify."""
    with pytest.raises(ValueError, match="at least one webhook secret"):
        sign([], "msg_1", 1674087231, b"{}")
