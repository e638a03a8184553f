"""Signatures: the requests that the schemes' authors published, and everything that differs from them.

Real: all of it. The clock is given.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gata_assets.errors import DataRuleError, WebhookError, WebhookSignatureError
from gata_assets.ingestion.webhooks.flattening import flatten
from gata_assets.ingestion.webhooks.scheme_names import SCHEMES, Scheme
from gata_assets.ingestion.webhooks.schemes import REPLAY_WINDOW, verify

# The reference implementations of Standard Webhooks test with this request.
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
AT = datetime.fromtimestamp(1614265330, UTC)
# https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
GITHUB_SECRET, GITHUB_BODY = "It's a Secret to Everybody", b"Hello, World!"
GITHUB = {
    "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
}
PUBLISHED: dict[Scheme, tuple[str, dict[str, str], bytes, str]] = {
    "standard": (STANDARD_SECRET, STANDARD, STANDARD_BODY, "webhook-id"),
    "github": (GITHUB_SECRET, GITHUB, GITHUB_BODY, "x-github-delivery"),
}
OTHER = "whsec_b3RoZXItb3RoZXItb3RoZXI="


def test_every_scheme_has_a_published_request() -> None:
    assert set(PUBLISHED) == set(SCHEMES)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_published_request_is_verified_by_either_secret(scheme: Scheme) -> None:
    secret, headers, body, name = PUBLISHED[scheme]
    for secrets in ([secret], [OTHER, secret], [secret, OTHER]):
        assert verify(scheme, secrets, headers, body, AT) == headers[name]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_that_differs_from_it_is_verified(scheme: Scheme) -> None:
    secret, headers, body, _ = PUBLISHED[scheme]
    for wrong, wrong_secret in ((body + b" ", secret), (b"", secret), (b"\xff" + body, secret), (body, OTHER)):
        with pytest.raises(WebhookSignatureError, match="not signed by a secret of this source") as refused:
            verify(scheme, [wrong_secret], headers, wrong, AT)
        assert secret not in str(refused.value)
    for name in headers:
        with pytest.raises(WebhookSignatureError):
            verify(scheme, [secret], {**headers, name: ""}, body, AT)
        with pytest.raises(WebhookSignatureError):
            verify(scheme, [secret], {key: value for key, value in headers.items() if key != name}, body, AT)
    with pytest.raises(WebhookSignatureError):
        verify(scheme, [], headers, body, AT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "msg_other"),
        ("webhook-id", "two words"),
        ("webhook-id", "x" * 256),
        ("webhook-timestamp", "1614265331"),
        ("webhook-timestamp", "1614265330.5"),
        ("webhook-timestamp", "-1"),
        ("webhook-timestamp", "9" * 400),
        ("webhook-signature", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("webhook-signature", "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,ü"),
    ],
)
def test_a_wrong_header_of_the_standard_is_refused(name: str, value: str) -> None:
    with pytest.raises(WebhookSignatureError) as refused:
        verify("standard", [STANDARD_SECRET], {**STANDARD, name: value}, STANDARD_BODY, AT)
    assert not refused.value.is_stale


def test_a_sender_that_replaces_its_secret_signs_with_both() -> None:
    headers = {**STANDARD, "webhook-signature": f"v1,{'A' * 43}= v2,x {STANDARD['webhook-signature']}"}
    assert verify("standard", [STANDARD_SECRET], headers, STANDARD_BODY, AT) == STANDARD["webhook-id"]


@pytest.mark.parametrize("direction", [-1, 1])
def test_a_request_counts_within_the_replay_window_alone(direction: int) -> None:
    edge = AT + direction * REPLAY_WINDOW
    assert verify("standard", [STANDARD_SECRET], STANDARD, STANDARD_BODY, edge)
    with pytest.raises(WebhookSignatureError, match="300 seconds") as refused:
        verify("standard", [STANDARD_SECRET], STANDARD, STANDARD_BODY, edge + direction * timedelta(seconds=1))
    assert refused.value.is_stale


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_ü"])
def test_a_secret_that_is_none_is_a_fault_of_the_operator(secret: str) -> None:
    with pytest.raises(WebhookError, match="none of Standard Webhooks") as refused:
        verify("standard", [secret], STANDARD, STANDARD_BODY, AT)
    assert not isinstance(refused.value, WebhookSignatureError)


def test_fields_of_nested_objects_get_their_paths_as_names_and_values_stay() -> None:
    nested = b'{"type": "order.paid", "data": {"user": {"id": 1.50}, "tags": [{"a": 1}], "none": null}, "empty": {}}'
    flat = b'{"type":"order.paid","data.user.id":1.50,"data.tags":[{"a": 1}],"data.none":null}'
    assert flatten(nested, 1_000) == flat
    assert flatten(b"{}", 1_000) == b"{}"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b'{"a.b": 1, "a": {"b": 2}}', "same path"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "more than 16 levels"),
        (b'{"' + b"x" * 400 + b'": {' + b",".join(b'"%d": 1' % n for n in range(10)) + b"}}", "more than 1,000 bytes"),
    ],
)
def test_an_object_that_cannot_be_flattened_is_refused(payload: bytes, message: str) -> None:
    with pytest.raises(DataRuleError, match=message):
        flatten(payload, 1_000)
