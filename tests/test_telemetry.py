"""Nothing secret leaves through a log line, wherever it stands; everything else arrives whole."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from datetime import UTC, datetime
from typing import Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from roadcall_payments import telemetry
from roadcall_payments.telemetry import (
    REDACTED,
    configure_logging,
    log_stripe_call,
    redact,
    redact_text,
    redact_texts,
)

ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def with_check_digit(digits: str) -> str:
    for last in "0123456789":
        number = digits + last
        doubled = (sum(divmod(2 * int(digit), 10)) for digit in number[-2::-2])
        if (sum(map(int, number[-1::-2])) + sum(doubled)) % 10 == 0:
            return number
    raise AssertionError("one of ten digits is the check digit")


def token(least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(ALPHANUMERIC, min_size=least, max_size=most)


# Bank cards begin with 2 to 6.
card_numbers = st.builds(
    lambda first, rest: with_check_digit(first + rest),
    st.sampled_from("23456"),
    st.text("0123456789", min_size=11, max_size=17),
)


@st.composite
def spaced_card_numbers(draw: st.DrawFn) -> str:
    number, separator = draw(card_numbers), draw(st.sampled_from(" -"))
    return separator.join(number[i : i + 4] for i in range(0, len(number), 4))


secrets = st.one_of(
    st.builds(
        "{}_{}_{}".format,
        st.sampled_from(["sk", "rk"]),
        st.sampled_from(["test", "live"]),
        token(8, 99),
    ),
    st.builds("whsec_{}".format, token(8, 64)),
    st.builds("pi_{}_secret_{}".format, token(8, 30), token(8, 30)),
    st.builds("seti_{}_secret_{}".format, token(8, 30), token(8, 30)),
    st.builds("eyJ{}.eyJ{}.{}".format, token(8, 60), token(8, 60), token(8, 60)),
    st.builds("Bearer {}".format, token(8, 60)),
    card_numbers,
    spaced_card_numbers(),
)

# What may stand beside a secret: no digits, which would make another number of a card's.
surroundings = st.text(
    st.characters(exclude_categories=["Cs", "Nd"], exclude_characters="-"), max_size=20
).map(lambda text: text + " ")


@st.composite
def nested(draw: st.DrawFn, secret: str) -> object:
    """A structure with the secret somewhere in it, as value, key, bytes or exception."""
    text = draw(surroundings) + secret + " " + draw(surroundings)
    value: object = draw(
        st.sampled_from([text, text.encode(), ValueError(text), {text: 1}, [text], (text,), {text}])
    )
    for _ in range(draw(st.integers(0, 4))):
        key = draw(st.sampled_from(["note", "data", "cause"]))
        value = draw(st.sampled_from([{key: value}, [1, value], (value, None)]))
    return value


@given(st.data())
def test_a_secret_never_survives_redaction(data: st.DataObject) -> None:
    secret = data.draw(secrets)
    assert secret not in json.dumps(redact(data.draw(nested(secret))), ensure_ascii=False)


@given(number=card_numbers)
def test_a_card_number_is_masked_as_a_number_too(number: str) -> None:
    assert number not in json.dumps(redact({"value": int(number)}))
    assert number not in json.dumps(redact({"value": [float(number)]}))


@given(
    key=st.sampled_from(
        "client_secret clientSecret apiKey api_key STRIPE_API_KEY password webhookSecret "
        "Authorization set-cookie push_token access_token card_number cvc smtp_url".split()
    ),
    value=st.one_of(st.text(min_size=6).filter(str.strip), st.lists(token(6, 9), min_size=1)),
)
def test_values_under_secret_names_are_never_shown(key: str, value: object) -> None:
    assert redact({"outer": [{key: value}]}) == {"outer": [{key: REDACTED}]}


@given(
    st.one_of(
        st.uuids().map(str),
        st.uuids().map("payment_{}".format),
        st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
        st.datetimes(min_value=datetime(2001, 10, 1)).map(str),  # noqa: DTZ001  # a local time as some libraries write it
        st.integers(1_000_000_000_000, 1_999_999_999_999).map(str),  # milliseconds
        st.integers(10**18, 2 * 10**18 - 1).map(str),  # nanoseconds
        st.binary(min_size=32, max_size=32).map(bytes.hex).filter(lambda d: not d.isdigit()),
        st.builds("evt_{}".format, token(24, 24)).filter(lambda i: sum(map(str.isdigit, i)) < 13),
        st.integers(-(10**12) + 1, 10**12 - 1).map(str),
    )
)
def test_ids_times_and_amounts_arrive_whole(text: str) -> None:
    assert redact_text(f"seen {text}, and done") == f"seen {text}, and done"
    assert redact({"at": text}) == {"at": text}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("4242424242424242", REDACTED),
        ("card 4242-4242-4242-4242.", f"card {REDACTED}."),
        ("on 2026-11-22 4242 4242 4242 4242 paid", f"on 2026-11-22 {REDACTED} paid"),
        ("7 4242 4242 4242 4242", f"7 {REDACTED}"),
        ("378282246310005", REDACTED),
        ("4242424242424241", "4242424242424241"),
        ("postgresql://ann:hunter2@db/x", f"postgresql://{REDACTED}db/x"),
        ("{'password': 'hunter2'}", f"{{'{REDACTED}'}}"),
        ("task_force risk_scored", "task_force risk_scored"),
    ],
)
def test_known_cases(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@given(st.lists(st.none() | st.text(max_size=20) | secrets, max_size=4))
def test_texts_are_redacted_together_as_each_would_be(texts: list[str | None]) -> None:
    assert list(redact_texts(*texts)) == [text and redact_text(text) for text in texts]


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_noise_of_any_size_is_cut_and_never_stalls(size: int) -> None:
    shown = redact("1 2-3" * 20 * size + "pi_" * 100 * size + "eyJ." * 100 * size)
    assert isinstance(shown, str)
    assert len(shown) < telemetry.TEXT_CHARS_MAX + 20


def test_a_secret_is_cut_only_after_it_was_masked() -> None:
    text = "x" * (telemetry.TEXT_CHARS_MAX - 10) + " sk_test_" + "a1" * 40
    assert "sk_test" not in str(redact(text))


def test_a_structure_that_holds_itself_ends() -> None:
    loop: dict[str, object] = {}
    loop["again"] = loop
    assert "[too deep]" in json.dumps(redact(loop))


def test_our_lines_are_one_json_object_each(written: io.StringIO) -> None:
    log = structlog.get_logger()
    outside = telemetry.REQUEST_ID.set("req-1")
    log.info("payment_processed", payment_id="0199a1b2-1234-7567-8901-123456789012", ms=12)
    telemetry.REQUEST_ID.reset(outside)
    (line,) = lines(written)
    assert line["event"] == "payment_processed"
    assert line["request_id"] == "req-1"
    assert line["payment_id"] == "0199a1b2-1234-7567-8901-123456789012"
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")


def test_a_requests_line_looks_as_all_do(written: io.StringIO) -> None:
    telemetry.log_request(
        "req-1", "POST", "/payments/{paymentId}", 200, 0.0123, caller="4242424242424242"
    )
    structlog.get_logger().info("other")
    told, other = lines(written)
    at, elsewhere = str(told.pop("timestamp")), str(other.pop("timestamp"))
    assert told == {
        "method": "POST",
        "route": "/payments/{paymentId}",
        "status": 200,
        "duration_ms": 12.3,
        "caller": REDACTED,
        "event": "request",
        "request_id": "req-1",
        "level": "info",
    }
    assert (at[:11], len(at), at[-1]) == (elsewhere[:11], len(elsewhere), "Z")


def test_a_requests_line_has_its_level_too(written: io.StringIO) -> None:
    configure_logging("WARNING", written)
    telemetry.log_request("req-1", "GET", "/health/live", 200, 0.001)
    assert not written.getvalue()


def a_try(
    request_id: str = "req_1", outcome: str = "done", level: Literal["info", "warning"] = "info"
) -> None:
    log_stripe_call(
        "transfer.create",
        "/v1/transfers",
        payment_id="0199a1b2-1234-7567-8901-123456789012",
        connected_account=None,
        idempotency_key="transfer_0199a1b2-1234-7567-8901-123456789012_1",
        request_id=request_id,
        http_status=200,
        replayed=False,
        attempt=1,
        outcome=outcome,
        seconds=0.0123,
        level=level,
    )


def test_the_line_of_a_try_at_stripe_looks_as_all_do(written: io.StringIO) -> None:
    a_try()
    structlog.get_logger().info("other")
    told, other = lines(written)
    at, elsewhere = str(told.pop("timestamp")), str(other.pop("timestamp"))
    assert told == {
        "event": "stripe_call",
        "operation": "transfer.create",
        "path": "/v1/transfers",
        "payment_id": "0199a1b2-1234-7567-8901-123456789012",
        "connected_account": None,
        "idempotency_key": "transfer_0199a1b2-1234-7567-8901-123456789012_1",
        "request_id": "req_1",
        "http_status": 200,
        "replayed": False,
        "attempt": 1,
        "outcome": "done",
        "duration_ms": 12.3,
        "level": "info",
    }
    assert (at[:11], len(at), at[-1]) == (elsewhere[:11], len(elsewhere), "Z")


def test_what_stripe_said_of_a_try_is_redacted_cut_and_always_written(
    written: io.StringIO,
) -> None:
    a_try(request_id="req_\udcff", outcome="refused: 4242 4242 4242 4242")
    a_try(outcome="refused: " + "sk_test_hidden " * 10_000)
    odd, long = lines(written)
    assert (odd["request_id"], odd["outcome"]) == ("req_\udcff", f"refused: {REDACTED}")
    assert long["path"] == "/v1/transfers"
    assert "sk_test" not in str(long)
    assert len(str(long["outcome"])) < telemetry.TEXT_CHARS_MAX + 20


def test_the_line_of_a_try_has_its_level(written: io.StringIO) -> None:
    configure_logging("WARNING", written)
    a_try(outcome="done")
    a_try(outcome="unknown: timeout", level="warning")
    assert [line["outcome"] for line in lines(written)] == ["unknown: timeout"]


def test_tracebacks_are_redacted_with_every_cause(written: io.StringIO) -> None:
    def refuse() -> None:
        raise ValueError("no such key: sk_live_abcdefgh12345678")

    try:
        try:
            refuse()
        except ValueError as cause:
            raise RuntimeError("paid with 4242 4242 4242 4242") from cause
    except RuntimeError:
        structlog.get_logger().exception("failed")
    assert "RuntimeError: paid with [redacted]" in str(lines(written)[0]["exception"])
    assert "sk_live" not in written.getvalue()
    assert "4242" not in written.getvalue()


@pytest.mark.parametrize(
    "name", ["uvicorn.error", "aiohttp.client", "alembic.runtime", "sqlalchemy.pool", "any.other"]
)
def test_libraries_write_through_the_same_pipeline(name: str, written: io.StringIO) -> None:
    library = logging.getLogger(name)
    try:
        raise OSError("whsec_abcdefghijklmnop")
    except OSError:
        library.warning(
            "to %s", "Bearer abcdefghijklmnop", exc_info=True, extra={"api_key": "sk_test_12345678"}
        )
    (line,) = lines(written)
    assert line["logger"] == name
    assert line["event"] == "to [redacted]"
    assert line["api_key"] == REDACTED
    assert "whsec_" not in written.getvalue()


def test_warnings_and_crashes_are_redacted_too(written: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old key sk_test_12345678", stacklevel=1)
    crash = ValueError("sk_test_12345678")
    sys.excepthook(ValueError, crash, None)

    def fail() -> None:
        raise crash

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert [line["event"] for line in lines(written)][1:] == ["process_crashed"] * 2
    assert "sk_test" not in written.getvalue()


def test_text_that_is_no_unicode_is_logged_all_the_same(written: io.StringIO) -> None:
    structlog.get_logger().info("odd", text="\ud800", raw=b"\xff\x00")
    assert lines(written)[0]["text"] == "\ud800"


def test_lines_below_the_level_are_left_out(written: io.StringIO) -> None:
    configure_logging("WARNING", written)
    structlog.get_logger().info("quiet")
    logging.getLogger("uvicorn.error").info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(written)] == ["loud"]


def test_the_metrics_page_names_every_metric() -> None:
    page, content_type = telemetry.metrics_page()
    assert content_type.startswith("text/plain")
    for name in ("stripe_calls", "unknown_outcomes", "queue_oldest_age_seconds", "webhook_lag"):
        assert f"roadcall_{name}" in page.decode()
