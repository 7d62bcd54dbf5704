"""Unsubscribe, and the preferences of a person: pages that work without a script."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import parse_qs

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from tidings.domain.categories import Category
from tidings.domain.channels import Channel
from tidings.people.choosing import (
    EVERYTHING,
    Choice,
    Sheet,
    category_named,
    choose,
    sheet,
    subscribe_again,
    unsubscribe,
)
from tidings.people.times import TimesChange
from tidings.store import users
from tidings.store.database import UNAVAILABLE, Connection, Pool, borrow
from tidings.store.keyring import KeyRing
from tidings.store.links import Link, open_link
from tidings.web.languages import texts_for
from tidings.web.looks import Looks
from tidings.web.texts import ENGLISH, Texts
from tidings.web.times import Form, Option, TimeChoices, TimeFields, WrongTimesError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_MOST_FIELDS = 5_000


@dataclass(frozen=True, slots=True)
class Box:
    """A box to tick."""

    value: str
    label: str
    ticked: bool


@dataclass(frozen=True, slots=True)
class Group:
    """What can be chosen of a category. text: beside its name. often: how often it is told, where it can be
    gathered."""

    id: str
    title: str
    text: str
    boxes: Sequence[Box]
    often: Sequence[Option] = ()


class Pages:
    """channels: those over which anything can be sent to a person. name: who writes to them. timezone: of those who
    have none."""

    def __init__(
        self,
        pool: Pool,
        keyring: KeyRing,
        channels: Collection[Channel],
        name: str,
        timezone: str,
        now: Callable[[], datetime],
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._channels = channels
        self._looks = Looks(name)
        self._times = TimeChoices(timezone)
        self._now = now

    def routes(self) -> list[BaseRoute]:
        def route(path: str, endpoint: _Endpoint, method: str) -> Route:
            return Route(path, self._kept(endpoint), methods=[method], include_in_schema=False)

        return [
            route("/u/{token}", self._ask, "GET"),
            route("/u/{token}", self._unsubscribe, "POST"),
            route("/u/{token}/undo", self._undo, "POST"),
            route("/u/{token}/preferences", self._show, "GET"),
            route("/u/{token}/preferences", self._save, "POST"),
        ]

    def _kept(self, endpoint: "_Endpoint") -> Callable[[Request], Awaitable[Response]]:
        """With the link that the request's token stands for. Whatever is wrong gets a page, too."""

        async def answer(request: Request) -> Response:
            accepted = request.headers.get("accept-language", "")
            link = open_link(request.path_params["token"], self._keyring, self._now())
            if link is None:
                return self._looks.page("invalid.html", texts_for(None, accepted), status=404)
            if request.method == "POST":
                await request.body()  # all of it, before a connection is taken: it may come slowly
            try:
                async with borrow(self._pool) as connection:
                    locale = link.user_id and await users.locale_of(connection, link.user_id)
                    visit = Visit(request, link, connection, texts_for(locale or None, accepted))
                    return await endpoint(visit)
            except UNAVAILABLE as error:
                log.warning("database.unavailable", doing="page", error=type(error).__name__)
                texts = texts_for(None, accepted)
                return self._looks.page("unavailable.html", texts, status=503)

        return answer

    async def _ask(self, visit: "Visit") -> Response:
        category = await category_named(visit.connection, visit.link.category)
        page = "mandatory.html" if category.mandatory else "unsubscribe.html"
        return self._about(page, visit, category)

    async def _unsubscribe(self, visit: "Visit") -> Response:
        """By a button, or by a mail program (RFC 8058), whose body says nothing more."""
        category = await category_named(visit.connection, visit.link.category)
        if category.mandatory:
            return self._about("mandatory.html", visit, category)
        async with visit.connection.transaction():
            await unsubscribe(visit.connection, visit.link, self._keyring)
        log.info("person.unsubscribed", category=category.id, channel=str(visit.link.channel))
        return self._about("unsubscribed.html", visit, category)

    async def _undo(self, visit: "Visit") -> Response:
        category = await category_named(visit.connection, visit.link.category)
        async with visit.connection.transaction():
            await subscribe_again(visit.connection, visit.link, self._keyring)
        return self._about("undone.html", visit, category)

    def _about(self, page: str, visit: "Visit", category: Category) -> Response:
        names = {
            "category": visit.apart(_title(category)),
            "channel": visit.channel_name(visit.link.channel),
        }
        return self._looks.page(page, visit.texts, names=names, here=visit.here)

    async def _show(self, visit: "Visit") -> Response:
        found = await sheet(visit.connection, visit.link, self._keyring, self._channels)
        fields = TimeFields.of(found.times) if found.times else None
        return self._choices(visit, found, fields)

    def _choices(
        self, visit: "Visit", found: Sheet, fields: TimeFields | None, *, wrong: bool = False
    ) -> Response:
        """wrong: what the fields hold cannot be; they show it all the same."""
        texts = visit.texts
        times = fields and {
            "fields": fields,
            "weekdays": self._times.days({fields.weekday}, texts),
            "quiet_days": self._times.days(fields.quiet_days, texts),
            "zones": self._times.zones(fields.zone, texts),
        }
        return self._looks.page(
            "preferences.html",
            texts,
            status=400 if wrong else 200,
            groups=self._groups(found, fields, visit),
            fixed=[_title(one) for one in found.fixed],
            times=times,
            wrong=wrong,
            saved="saved" in visit.request.query_params and not wrong,
            here=visit.here,
        )

    async def _save(self, visit: "Visit") -> Response:
        body = (await visit.request.body()).decode("utf-8", "replace")
        try:
            form = parse_qs(body, max_num_fields=_MOST_FIELDS)
        except ValueError:  # more fields than any page of ours has
            return self._looks.page("invalid.html", visit.texts, status=400)
        async with visit.connection.transaction():
            found = await sheet(visit.connection, visit.link, self._keyring, self._channels)
            chosen = _chosen(found, form)
            fields = self._typed(found, form, visit.texts)
            try:
                times = fields and found.times and fields.read(found.times)
            except WrongTimesError:
                typed = replace(found, choices={**found.choices, **chosen})
                return self._choices(visit, typed, fields, wrong=True)
            change = TimesChange(found.times, times) if times and found.times else None
            await choose(visit.connection, visit.link, self._keyring, chosen, "page", change)
        # So that reloading the page does not send the form again.
        return RedirectResponse(f"{visit.here}/preferences?saved", 303, _PRIVATE)

    def _typed(self, found: Sheet, form: Form, texts: Texts) -> TimeFields | None:
        """None where the form has no such fields."""
        if found.times is None or "times" not in form:
            return None
        stored = TimeFields.of(found.times)
        typed = stored.typed(form)
        return (
            typed if self._times.zone_known(typed.zone, texts) else replace(typed, zone=stored.zone)
        )

    def _groups(self, found: Sheet, fields: TimeFields | None, visit: "Visit") -> list[Group]:
        groups = []
        if everything := found.channels(EVERYTHING):
            boxes = [_box(found, (channel, EVERYTHING), visit) for channel in everything]
            groups.append(
                Group(EVERYTHING, visit.texts.everything, visit.texts.everything_text, boxes)
            )
        for one in found.categories:
            boxes = [_box(found, (channel, one.id), visit) for channel in found.channels(one.id)]
            cadence = fields and fields.cadences.get(one.id)
            often = self._times.cadences(cadence, visit.texts) if cadence else ()
            groups.append(Group(one.id, _title(one), "", boxes, often))
        return groups


@dataclass(frozen=True, slots=True)
class Visit:
    """A request by a link that is good."""

    request: Request
    link: Link
    connection: Connection
    texts: Texts

    @property
    def here(self) -> str:
        """Relative to where the pages are, which may be below the path of a proxy."""
        return f"{self.request.scope.get('root_path', '')}/u/{self.request.path_params['token']}"

    def apart(self, name: str) -> str:
        """A name within a sentence: where that runs from right to left, it keeps its own direction."""
        return f"\u2068{name}\u2069" if self.texts.right_to_left else name

    def channel_name(self, channel: Channel) -> str:
        return self.texts.channels.get(channel) or ENGLISH.channels.get(channel) or str(channel)


_Endpoint = Callable[[Visit], Awaitable[Response]]
_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def _chosen(found: Sheet, form: Form) -> dict[Choice, bool]:
    """What differs from how it is, of what the form showed."""
    shown, ticked = set(form.get("shown", ())), set(form.get("on", ()))
    return {
        choice: value in ticked
        for choice, now in found.choices.items()
        if (value := _value(choice)) in shown and (value in ticked) != now
    }


def _box(found: Sheet, choice: Choice, visit: Visit) -> Box:
    channel, _ = choice
    return Box(_value(choice), visit.channel_name(channel), found.choices[choice])


def _value(choice: Choice) -> str:
    channel, category = choice
    return f"{channel} {category}"


def _title(category: Category) -> str:
    """Its name; without one, its id as words."""
    if category.name:
        return category.name
    words = category.id.replace("_", " ").replace("-", " ").replace(".", " ").strip()
    return words[:1].upper() + words[1:]
