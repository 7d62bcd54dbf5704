"""What the sandbox holds: the last messages, and not more than there is room for."""

from tests.sandbox.test_recipients import send
from tests.support.sandbox import Box, fetch, sandbox
from tidings.domain.channels import Channel
from tidings.sandbox.messages import Content, Kept, Sent


def message(size: int) -> Sent:
    source = b"x" * size
    return Sent("smtp", Channel.EMAIL, "", ("ann@example.com",), "", source, Content)


def test_the_last_are_kept() -> None:
    with sandbox(keep=3) as box:
        for number in range(5):
            send(box, f"user-{number}@example.com")
        assert [one["number"] for one in box.messages()] == [3, 4, 5]
        assert fetch(f"{box.url}/sandbox/messages").document["taken"] == 5
        assert fetch(f"{box.url}/sandbox/messages/1").status == 404


def test_no_more_than_there_is_room_for() -> None:
    kept = Kept(100, size=10)
    for size in (4, 4, 4, 20):
        kept.add(message(size), 0.0)
        assert len([*kept.newest()]) == {4: min(kept.taken, 2), 20: 1}[size]


def test_found_by_vendor_channel_and_recipient(box: Box) -> None:
    send(box, "ann@example.com")
    send(box, "bob@example.com")
    assert box.message(to="bob@example.com")["number"] == 2
    assert len(box.messages(vendor="postmark", channel="email")) == 2
    assert box.messages(vendor="smtp") == box.messages(channel="sms") == []
    listed = fetch(f"{box.url}/sandbox/messages?limit=1").document["messages"]
    assert [one["number"] for one in listed] == [2]


def test_what_is_not_there(box: Box) -> None:
    for path in ("", "/html", "/source", "/files/0"):
        assert fetch(f"{box.url}/sandbox/messages/1{path}").status == 404
    send(box, "ann@example.com")
    assert fetch(f"{box.url}/sandbox/messages/1/files/0").status == 404
    assert fetch(f"{box.url}/sandbox/messages/1/source").body.startswith(b'{"From"')
