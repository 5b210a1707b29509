"""The environment and a JSON file as sources; complaints name what is missing, never a value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roadcall_payments.domain.errors import CredentialsRejected
from roadcall_payments.ports import WebhookSecret
from roadcall_payments.stripe_gateway.secret_sources import (
    EnvironmentSecretSource,
    FileSecretSource,
    credentials_from_json,
)


async def test_the_environment_gives_key_secrets_and_switch() -> None:
    found = await EnvironmentSecretSource(
        {
            "STRIPE_API_KEY": " sk_test_1 ",
            "STRIPE_WEBHOOK_SECRET": "whsec_a, whsec_b,",
            "STRIPE_CONNECT_ENABLED": "False",
        }
    ).stripe_credentials()
    assert found.api_key == "sk_test_1"
    assert found.webhook_secrets == (WebhookSecret("whsec_a"), WebhookSecret("whsec_b"))
    assert not found.connect_enabled


async def test_connect_is_enabled_unless_switched_off() -> None:
    found = await EnvironmentSecretSource({"STRIPE_API_KEY": "sk_test_1"}).stripe_credentials()
    assert found.connect_enabled
    assert found.webhook_secrets == ()


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "STRIPE_API_KEY"),
        ({"STRIPE_API_KEY": " "}, "STRIPE_API_KEY"),
        ({"STRIPE_API_KEY": "sk_test_1\r\nX-Evil: 1"}, "STRIPE_API_KEY"),
        ({"STRIPE_API_KEY": "sk_test_ключ"}, "STRIPE_API_KEY"),
        ({"STRIPE_API_KEY": "sk_test_1", "STRIPE_CONNECT_ENABLED": "perhaps"}, "CONNECT_ENABLED"),
    ],
)
async def test_the_environments_gaps_are_named_without_values(
    environ: dict[str, str], named: str
) -> None:
    with pytest.raises(CredentialsRejected, match=named) as rejected:
        await EnvironmentSecretSource(environ).stripe_credentials()
    assert "sk_test_" not in rejected.value.message


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("whsec_a", (WebhookSecret("whsec_a"),)),
        ("", ()),
        (["whsec_a", "whsec_b"], (WebhookSecret("whsec_a"), WebhookSecret("whsec_b"))),
        (
            [{"value": "whsec_a", "origin": "connect"}, {"value": "whsec_b"}],
            (WebhookSecret("whsec_a", "connect"), WebhookSecret("whsec_b")),
        ),
    ],
)
def test_webhook_secrets_come_as_one_several_or_with_origin(
    listed: object, expected: tuple[WebhookSecret, ...]
) -> None:
    document = json.dumps({"apiKey": "sk_test_1", "webhookSecret": listed}).encode()
    assert credentials_from_json(document, origin="file").webhook_secrets == expected


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (b"{}", "apiKey"),
        (b"[]", "object"),
        (b"no json sk_test_hidden", "no JSON"),
        (b'{"apiKey": ""}', "apiKey"),
        (b'{"apiKey": 7}', "apiKey"),
        (b'{"apiKey": "sk_test_hidden", "connectEnabled": "yes"}', "connectEnabled"),
        (b'{"apiKey": "sk_test_hidden", "webhookSecret": {"value": "x"}}', "webhookSecret"),
        (b'{"apiKey": "sk_test_hidden", "webhookSecret": [{"origin": "connect"}]}', "value"),
        (
            b'{"apiKey": "sk_test_1", "webhookSecret": [{"value": "hidden", "origin": "x"}]}',
            "origin",
        ),
    ],
)
def test_a_wrong_document_is_named_without_values(document: bytes, named: str) -> None:
    with pytest.raises(CredentialsRejected, match=named) as rejected:
        credentials_from_json(document, origin="secrets.json")
    assert "secrets.json" in rejected.value.message
    assert "hidden" not in rejected.value.message


async def test_a_file_is_read_again_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "stripe.json"
    path.write_text('{"apiKey": "sk_test_1"}')
    source = FileSecretSource(path)
    first = await source.stripe_credentials()
    assert await source.stripe_credentials() is first
    path.write_text('{"apiKey": "sk_test_22"}')
    assert (await source.stripe_credentials()).api_key == "sk_test_22"


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.json"
    with pytest.raises(CredentialsRejected, match=r"absent\.json"):
        await FileSecretSource(path).stripe_credentials()


def test_no_representation_shows_a_secret() -> None:
    document = b'{"apiKey": "sk_test_hidden", "webhookSecret": ["whsec_hidden"]}'
    assert "hidden" not in repr(credentials_from_json(document, origin="file"))
