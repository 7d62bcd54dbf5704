"""A template as the commands know it: read from a folder or from an answer of the API."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Content = Mapping[str, Mapping[str, Any]]
"""By channel."""

DEFAULTS = {"category": "transactional", "on_unknown": "resend", "engine": "jinja"}


@dataclass(frozen=True, slots=True)
class Template:
    """As the API takes it."""

    id: str
    name: str
    category: str
    on_unknown: str
    content: Content = field(repr=False)
    deduplicate_seconds: int | None = None
    locale: str | None = None
    locales: Mapping[str, Content] = field(default_factory=dict, repr=False)
    variables: Mapping[str, Any] | None = field(default=None, repr=False)
    sample: Mapping[str, Any] | None = field(default=None, repr=False)
    digest_window: int | str | None = None
    engine: str = DEFAULTS["engine"]
    track_opens: bool | None = None
    track_clicks: bool | None = None

    @classmethod
    def of_answer(cls, answer: Mapping[str, Any]) -> "Template":
        return cls(
            answer["id"],
            answer["name"],
            answer["category"],
            answer["on_unknown"],
            answer["content"],
            answer.get("deduplicate_seconds"),
            answer.get("locale"),
            answer.get("locales") or {},
            answer.get("variables"),
            answer.get("sample"),
            (answer.get("digest") or {}).get("window"),
            answer.get("engine", DEFAULTS["engine"]),
            answer.get("track_opens"),
            answer.get("track_clicks"),
        )

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "category": self.category,
            "on_unknown": self.on_unknown,
            "engine": self.engine,
            "deduplicate_seconds": self.deduplicate_seconds,
            "content": self.content,
            "locale": self.locale,
            "locales": self.locales,
            "variables": self.variables,
            "sample": self.sample,
            "digest": None if self.digest_window is None else {"window": self.digest_window},
            "track_opens": self.track_opens,
            "track_clicks": self.track_clicks,
        }
