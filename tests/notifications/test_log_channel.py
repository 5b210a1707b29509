"""A notice that only logs says that it went out, and nothing about whom."""

from structlog.testing import capture_logs

from roadcall_payments.notifications.log_channel import LogChannel
from roadcall_payments.ports import Channel, Message, Rendered


async def test_the_log_names_the_notice_and_no_person() -> None:
    message = Message("+15551234567", Rendered("Hello Ann, $125.00 is yours"), "n_1")
    with capture_logs() as logs:
        provider_id = await LogChannel(Channel.SMS).send(message)
    (line,) = logs
    assert (line["event"], line["channel"], line["notice"]) == ("notice_logged", "sms", "n_1")
    assert provider_id == "log:n_1"
    assert "5551234567" not in str(line)
    assert "Ann" not in str(line)
