"""What a Telegram account is."""

from tidings.domain.channels import Channel
from tidings.domain.chat import TELEGRAM
from tidings.domain.provider import Field, Manifest
from tidings.providers.vendor import CA_FILE, endpoint_field

MANIFEST = Manifest(
    name="telegram",
    title="Telegram",
    channels=(Channel.CHAT,),
    docs_url="https://core.telegram.org/bots/api#sendmessage",
    address_field="chat",
    services=(TELEGRAM,),
    fields=(
        Field("token", "Token of the bot, from @BotFather.", required=True, secret=True),
        Field(
            "chat",
            "Chat for recipients without one of their own: telegram:CHAT_ID, telegram:@channel, or "
            "telegram:CHAT_ID/TOPIC_ID.",
        ),
        endpoint_field("https://api.telegram.org"),
        CA_FILE,
    ),
)
