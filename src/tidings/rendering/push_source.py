"""What an editor may write for push beside title, body and URL: how services and devices treat a message."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tidings.domain.documents import check_text

# Firebase, "Message.data": what a key must not be. The others are ours, or have a meaning to Apple.
_RESERVED = re.compile(
    r"google.*|gcm.*|from|notification|message_type|aps|title|body|url|tag|image|icon|badge|actions"
    r"|requireInteraction|silent|app_badge|notification_id|delivery_id"
)


def _data_name(name: str) -> str:
    if _RESERVED.fullmatch(name):
        raise ValueError(f"{name!r} is kept by Tidings or by the push services")
    return name


def _steady(text: str) -> str:
    """For what names a thing of the app, which must be known when the template is stored."""
    if "{{" in text or "{%" in text:
        raise ValueError("this is the same for all, and holds no placeholders")
    return text


Written = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(check_text)]
Named = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(check_text),
    AfterValidator(_steady),
]
DataName = Annotated[
    str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$"), AfterValidator(_data_name)
]


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class AndroidOptions(Options):
    """channel_id: of the app's notification channels. click_action: the intent that a tap starts. icon: a drawable of
    the app. color: of the icon."""

    channel_id: Named | None = None
    click_action: Named | None = None
    icon: Named | None = None
    color: Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")] | None = None


class IosOptions(Options):
    """category: of the actions that the app has declared. mutable_content: whether the app's extension may change the
    message; with an image it always may. thread_id: what groups messages."""

    category: Named | None = None
    interruption_level: Literal["passive", "active", "time-sensitive", "critical"] | None = None
    mutable_content: bool | None = None
    subtitle: Written | None = None
    thread_id: Written | None = None


class WebAction(Options):
    action: Named
    title: Written


class WebOptions(Options):
    """icon, badge: URLs of pictures. actions: the buttons; browsers show two."""

    icon: Written | None = None
    badge: Written | None = None
    actions: Annotated[list[WebAction], Field(min_length=1, max_length=4)] | None = None
    require_interaction: bool | None = None


class PushOptions(Options):
    """ttl: seconds for which the service keeps it; the account's where it is not given, and never longer than the
    notification is of use. priority: else of the notification and the account. badge: the number on the app's icon;
    0 takes it away. sound: a file of the app's, default, or none. data: what the app gets beside what is shown."""

    image: Written | None = None
    data: Annotated[dict[DataName, Written], Field(min_length=1, max_length=50)] | None = None
    ttl: Annotated[int, Field(ge=0, le=2_419_200)] | None = None
    priority: Literal["high", "normal"] | None = None
    badge: Annotated[int, Field(ge=0, le=99_999)] | None = None
    sound: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")] | None = None
    android: AndroidOptions | None = None
    ios: IosOptions | None = None
    web: WebOptions | None = None
