"""The links of a message: to unsubscribe with one click, and to all of a person's choices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tidings.domain.channels import PERSONAL
from tidings.domain.messages import Content, EmailContent
from tidings.store.deliveries import Work
from tidings.store.links import Link

_UNSUBSCRIBE = "List-Unsubscribe"


@dataclass(frozen=True, slots=True)
class Urls:
    """As a template sees them. unsubscribe_url: empty where the category is mandatory; both are empty where no
    public URL is configured."""

    unsubscribe_url: str = field(default="", repr=False)
    preferences_url: str = field(default="", repr=False)

    @property
    def names(self) -> Mapping[str, str]:
        return {
            "unsubscribe_url": self.unsubscribe_url,
            "preferences_url": self.preferences_url,
        }

    def on(self, content: Content) -> Content:
        """An email with the header fields by which mail programs unsubscribe (RFC 8058), unless its template has
        them."""
        if not self.unsubscribe_url or not isinstance(content, EmailContent):
            return content
        if any(name.lower() == _UNSUBSCRIBE.lower() for name in content.headers):
            return content
        own = {
            _UNSUBSCRIBE: f"<{self.unsubscribe_url}>",
            f"{_UNSUBSCRIBE}-Post": "List-Unsubscribe=One-Click",
        }
        return replace(content, headers={**content.headers, **own})


NO_URLS = Urls()


@dataclass(frozen=True, slots=True)
class Links:
    """public_url: where the pages are; without it there are no links. seal: makes the token of a link. lifetime:
    seconds."""

    public_url: str | None
    seal: Callable[[Link], str]
    lifetime: float

    def of(self, work: Work, now: datetime, *, mandatory: bool) -> Urls:
        if self.public_url is None or work.channel not in PERSONAL:
            return NO_URLS
        link = Link(
            user_id=work.user_id,
            channel=work.channel,
            address=work.address,
            category=work.category,
            expires_at=now + timedelta(seconds=self.lifetime),
        )
        page = f"{self.public_url}/u/{self.seal(link)}"
        return Urls("" if mandatory else page, f"{page}/preferences")
