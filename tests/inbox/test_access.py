"""Who may watch a feed: tokens, origins, and how many at a time."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.problem import assert_problem
from tests.inbox.conftest import APP, notify
from tests.inbox.watchers import Refused, event_source, socket, token_for
from tests.support.system import System
from tidings.api.problems import Code
from tidings.inbox.tokens import UserToken, open_token, seal_token
from tidings.settings import InboxSettings
from tidings.store.api_keys import Role
from tidings.store.keyring import KeyRing, Keys

pytestmark = pytest.mark.anyio

ROUTES = [
    ("GET", ""),
    ("GET", "/unread_count"),
    ("GET", "/events"),
    ("POST", "/seen"),
    ("POST", "/read"),
    ("POST", "/archive"),
]


def bearing(token: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **headers}


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_token_opens_its_users_feed_and_no_others(
    live: System, method: str, path: str
) -> None:
    token = await token_for(live, "ann")
    own = f"/users/ann/inbox{path}"
    answer = await live.call(method, own, role=None, headers=bearing(token))
    assert answer.status == 200, answer.body
    other = await live.call(method, own.replace("ann", "bob"), role=None, headers=bearing(token))
    assert_problem(other, Code.FORBIDDEN)
    for forged in (
        token[:-1],
        f"{token}A",
        token.replace("tdu_", "tdg_"),
        "tdu_",
        f"tdu_{'A' * 3000}",
    ):
        answer = await live.call(method, own, role=None, headers=bearing(forged))
        assert_problem(answer, Code.UNAUTHORIZED)
        assert token not in str(answer.body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users/ann/preferences"),
        ("GET", "/notifications"),
        ("POST", "/users/ann/inbox/tokens"),
    ],
)
async def test_a_token_opens_nothing_else(live: System, method: str, path: str) -> None:
    token = await token_for(live, "ann")
    answer = await live.call(
        method, path, {} if method == "POST" else None, role=None, headers=bearing(token)
    )
    assert_problem(answer, Code.UNAUTHORIZED)


async def test_a_token_in_the_query_is_for_streams_alone(live: System) -> None:
    token = await token_for(live, "ann")
    assert (
        await live.call("GET", f"/users/ann/inbox/events?token={token}", role=None)
    ).status == 200
    answer = await live.call("GET", f"/users/ann/inbox?token={token}", role=None)
    assert_problem(answer, Code.UNAUTHORIZED)


async def test_how_long_a_token_is_good(live: System) -> None:
    for wish in ({"expires_in": 86_401}, {"expires_in": 0}, {"expires_in": "x"}, {"for": 5}):
        answer = await live.call("POST", "/users/ann/inbox/tokens", wish)
        assert_problem(answer, Code.INVALID_REQUEST)
    answer = await live.call("POST", "/users/ann/inbox/tokens", {"expires_in": 7200})
    left = datetime.fromisoformat(answer.body["expires_at"]) - datetime.now(UTC)
    assert 3000 < left.total_seconds() <= 3600  # no more than the setting says
    token = await token_for(live, "ann", expires_in=1)
    path = "/users/ann/inbox"
    async with asyncio.timeout(20):
        while (
            answer := await live.call("GET", path, role=None, headers=bearing(token))
        ).status == 200:
            await asyncio.sleep(0.05)
    assert_problem(answer, Code.TOKEN_EXPIRED)


@pytest.mark.parametrize("watch", [event_source, socket], ids=["sse", "websocket"])
async def test_a_stream_ends_with_its_token(live: System, watch: Any) -> None:
    user = f"ends-{watch.__name__}"
    token = await token_for(live, user, expires_in=2)
    async with watch(live, user, token) as watcher:
        assert (await watcher.next())["event"] == "ready"
        assert await watcher.next() == {"event": "closing", "reason": "token_expired"}
        if watch is socket:
            assert await watcher.closed() == (4401, "token_expired")
        else:
            with pytest.raises(EOFError):
                await watcher.next()


RING = KeyRing(Keys.generate())
LATER = datetime(2030, 1, 1, tzinfo=UTC)


@given(st.text(min_size=1, max_size=255), st.data())
def test_a_changed_token_opens_nothing(user_id: str, data: st.DataObject) -> None:
    token = seal_token(UserToken(user_id, LATER), RING)
    assert open_token(token, RING) == UserToken(user_id, LATER)
    assert open_token(token, KeyRing(Keys.generate())) is None
    place = data.draw(
        st.integers(0, len(token) - 2)
    )  # some of the last character's bits say nothing
    other = data.draw(st.characters().filter(lambda one: one != token[place]))
    assert open_token(token[:place] + other + token[place + 1 :], RING) is None
    assert open_token(token[:place], RING) is None


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert open_token(text, RING) is None
    assert open_token(f"tdu_{text}", RING) is None


async def test_pages_of_other_origins(live: System) -> None:
    token = await token_for(live, "ann")
    path = "/users/ann/inbox"
    own = live.url
    for origin, status in ((APP, 200), (own, 200), ("https://evil.example", 403), ("null", 403)):
        answer = await live.call("GET", path, role=None, headers=bearing(token, Origin=origin))
        assert answer.status == status, origin
        allowed = answer.headers("access-control-allow-origin")
        assert allowed == (APP if origin == APP else None)
    # What a browser asks before it sends the token.
    asked = {
        "Origin": APP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = await live.call("OPTIONS", f"{path}/read", role=None, headers=asked)
    assert preflight.status == 200
    assert preflight.headers("access-control-allow-origin") == APP
    refused = await live.call(
        "OPTIONS", f"{path}/read", role=None, headers={**asked, "Origin": "https://evil.example"}
    )
    assert refused.headers("access-control-allow-origin") is None
    # No other route lets pages of other origins in, and an error can be read by the page.
    other = await live.call("GET", "/templates", headers={"Origin": APP})
    assert other.headers("access-control-allow-origin") is None
    wrong = await live.call("GET", path, role=None, headers=bearing("tdu_x", Origin=APP))
    assert (wrong.status, wrong.headers("access-control-allow-origin")) == (401, APP)


async def test_how_a_websocket_is_refused(live: System) -> None:
    ann, bob = await token_for(live, "ann"), await token_for(live, "bob")
    for token, options, refused in (
        (ann, {"origin": "https://evil.example"}, (4403, "forbidden")),
        (bob, {}, (4403, "forbidden")),
        ("tdu_x", {}, (4401, "unauthorized")),
        ("x", {}, (4401, "unauthorized")),
    ):
        async with socket(live, "ann", token, **options) as watcher:
            assert await watcher.closed() == refused
    async with socket(live, "ann", ann, "?after=x") as watcher:
        assert await watcher.closed() == (4400, "invalid_request")
    async with socket(live, "ann", ann, origin=APP) as watcher:
        assert (await watcher.next())["event"] == "ready"


async def test_an_api_key_watches_and_changes_as_its_role_allows(live: System) -> None:
    await notify(live, "keyed")
    for role, event in ((Role.VIEWER, "refused"), (Role.SENDER, "done")):
        headers = {"Authorization": f"Bearer {live.keys[role]}"}
        async with socket(
            live, "keyed", "", subprotocols=None, additional_headers=headers
        ) as watcher:
            await watcher.next()
            await watcher.ask(do="read", all=True)
            assert (await watcher.answer())["event"] == event


async def test_how_many_streams_a_user_may_have(live: System) -> None:
    token = await token_for(live, "greedy")
    async with contextlib.AsyncExitStack() as stack:
        opened: list[Any] = [
            await stack.enter_async_context(watch(live, "greedy", token))
            for watch in (event_source, socket, event_source)
        ]
        for one in opened:
            await one.next()
        with pytest.raises(Refused) as refused:
            async with event_source(live, "greedy", token):
                pytest.fail("one too many")
        assert refused.value.status == 429
        assert "too_many_streams" in refused.value.body
        async with socket(live, "greedy", token) as watcher:
            assert await watcher.closed() == (4429, "too_many_streams")
        # What is closed makes room.
        opened[0].close()
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(Refused):
                    async with event_source(live, "greedy", token) as again:
                        assert (await again.next())["event"] == "ready"
                        break


async def test_how_many_streams_a_process_may_have(dsn: str, tmp_path: Any) -> None:
    async with System.run(dsn, tmp_path, working=False, inbox={"connections": 1}) as system:
        token = await token_for(system, "ann")
        async with socket(system, "ann", token) as watcher:
            await watcher.next()
            with pytest.raises(Refused) as refused:
                async with event_source(system, "ann", token):
                    pytest.fail("one too many")
            assert refused.value.status == 503
            assert "no_room" in refused.value.body


async def test_what_is_too_long_for_a_command(live: System) -> None:
    async with socket(live, "long", await token_for(live, "long")) as watcher:
        await watcher.next()
        await watcher.connection.send("x" * 20_000)
        assert (await watcher.closed())[0] == 1009


async def test_no_token_is_logged(
    live: System, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG", "uvicorn")
    token = await token_for(live, "quiet")
    async with (
        event_source(live, "quiet", token) as one,
        socket(live, "quiet", token, f"?token={token}", subprotocols=None) as other,
    ):
        await one.next()
        await other.next()
    async with socket(live, "another", token, f"?token={token}", subprotocols=None) as other:
        await other.closed()
    written = capfd.readouterr()
    for text in (caplog.text, written.err, written.out):
        assert token not in text


@pytest.mark.parametrize(
    "origins",
    [("*",), ("https://app.example.com",), ("http://127.0.0.1:8090", "https://B.example")],
)
def test_origins(origins: tuple[str, ...]) -> None:
    assert InboxSettings(origins=origins).origins == tuple(one.lower() for one in origins)


@pytest.mark.parametrize(
    "wrong",
    [
        "app.example.com",
        "https://",
        "https://app.example.com/",
        "https://app.example.com/a",
        "x:y",
        "",
    ],
)
def test_what_is_no_origin(wrong: str) -> None:
    with pytest.raises(ValueError, match="allowed are origins"):
        InboxSettings(origins=(wrong,))
