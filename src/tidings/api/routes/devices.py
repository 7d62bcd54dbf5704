"""Users' devices, for push messages."""

import base64
import binascii
import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

import orjson
import uuid_utils.compat as uuids
from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, Field, model_validator

from tidings.api.authentication import CanEditUsers
from tidings.api.bodies import StrictJson
from tidings.api.parts import Wired
from tidings.api.problems import Code, Problem
from tidings.api.responses import problems
from tidings.domain.channels import Channel
from tidings.domain.suppressions import SuppressionReason
from tidings.intake.request import Address, UserId, Wire
from tidings.store import devices, suppressions
from tidings.store.database import borrow
from tidings.store.devices import Device, DeviceState, Platform

router = APIRouter(prefix="/users/{user_id}/devices", tags=["users"], route_class=StrictJson)


# As `WebPushSubscription.token` writes it.
_SUBSCRIPTION = re.compile(r'\{"endpoint":"([^"]+)"')


def _bytes(text: str, length: int) -> str:
    """Base64url with or without padding, as browsers give it. Raises ValueError."""
    try:
        decoded = base64.b64decode(
            text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), b"-_", True
        )
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != length:
        raise ValueError(f"must be {length} bytes in base64url")
    return text.rstrip("=")


class SubscriptionKeys(Wire):
    """As RFC 8291 names them: the browser's public key and its authentication secret."""

    p256dh: Annotated[str, AfterValidator(lambda text: _bytes(text, 65))]
    auth: Annotated[str, AfterValidator(lambda text: _bytes(text, 16))]


class WebPushSubscription(Wire):
    """What `PushSubscription.toJSON()` gives in a browser."""

    endpoint: Annotated[str, Field(max_length=2_000, pattern=r"^https://[^\s\x00-\x1f\x7f]+$")]
    keys: SubscriptionKeys
    expirationTime: float | None = None  # noqa: N815 - the browsers' name for it

    def token(self) -> str:
        """The address of a push message to it: the same text for the same subscription."""
        document = {"endpoint": self.endpoint, "keys": self.keys.model_dump()}
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()


class NewDevice(Wire):
    """token: of FCM or APNs; subscription: of a browser. One of them."""

    platform: Platform
    token: Address | None = None
    subscription: WebPushSubscription | None = None

    @model_validator(mode="after")
    def _one_address(self) -> "NewDevice":
        if (self.token is None) == (self.subscription is None):
            raise ValueError("either token or subscription must be given")
        if self.subscription is not None and self.platform is not Platform.WEB:
            raise ValueError("a subscription is for the platform web")
        return self

    def address(self) -> str:
        if self.subscription is not None:
            return self.subscription.token()
        assert self.token is not None
        return self.token


class DeviceView(BaseModel):
    """hint: the end of its token, to tell it from others. reason: why it is retired."""

    device_id: UUID
    platform: Platform
    hint: str | None
    state: DeviceState
    reason: str | None
    created_at: datetime
    updated_at: datetime


class DeviceList(BaseModel):
    devices: list[DeviceView]


@router.get("", responses=problems())
async def listed(user_id: UserId, parts: Wired, _: CanEditUsers) -> DeviceList:
    """The user's devices, the active before the retired."""
    found = await devices.of_user(parts.pool, user_id, parts.keyring)
    return DeviceList(devices=[_view(one) for one in found])


@router.post(
    "",
    status_code=201,
    responses={200: {"model": DeviceView, "description": "It is known."}, **problems(413)},
)
async def register(
    user_id: UserId, body: NewDevice, parts: Wired, _: CanEditUsers, response: Response
) -> DeviceView:
    """Register a device, as an app does each time it starts: 201 for a new one, 200 for one that is known. A token
    that another user had is this user's from now on, and one that was retired is active again."""
    token = body.address()
    async with borrow(parts.pool) as connection, connection.transaction():
        device, created = await devices.register(
            connection, uuids.uuid7(), user_id, body.platform, token, parts.keyring
        )
        await suppressions.lift(
            connection,
            Channel.PUSH,
            [parts.keyring.address_hash(Channel.PUSH, token)],
            SuppressionReason.BOUNCED,
        )
    if not created:
        response.status_code = 200
    return _view(device)


@router.delete("/{device_id}", status_code=204, response_class=Response, responses=problems(404))
async def remove(user_id: UserId, device_id: UUID, parts: Wired, _: CanEditUsers) -> None:
    """Forget a device, as after signing out."""
    if not await devices.remove(parts.pool, user_id, device_id):
        raise Problem(Code.NOT_FOUND, "This user has no such device.")


def _view(one: Device) -> DeviceView:
    return DeviceView(
        device_id=one.id,
        platform=one.platform,
        hint=one.token and _hint(one.token),
        state=one.state,
        reason=one.reason,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def _hint(token: str) -> str:
    """Of a subscription the end of its endpoint: that of the whole is the key's."""
    if (subscription := _SUBSCRIPTION.match(token)) is not None:
        token = subscription[1]
    return token[-6:] if len(token) >= 24 else "…"
