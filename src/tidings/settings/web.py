"""Settings of the pages for people, and of the links that lead there."""

from urllib.parse import urlsplit

from pydantic import field_validator

from tidings.settings.section import Seconds, Section


class WebSettings(Section):
    public_url: str | None = None
    """Where people reach the API's pages, as https://notify.example.com. Without it, no message has a link to
    unsubscribe."""
    name: str = ""
    """Who writes to them; stands at the head of the pages."""
    link_lifetime: Seconds = 31_536_000
    """Seconds for which the links of a message lead to its pages."""

    @field_validator("public_url")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        plain = value.isascii() and value.isprintable() and not set(value) & set(' <>"')
        if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
            raise ValueError("allowed is a URL like https://notify.example.com")
        if parts.query or parts.fragment or "?" in value or "#" in value:
            raise ValueError("allowed is a URL without a query, like https://notify.example.com")
        return value.rstrip("/")
