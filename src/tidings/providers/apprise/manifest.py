"""What an Apprise account is."""

from tidings.domain.channels import Channel
from tidings.domain.chat import OTHER
from tidings.domain.provider import Field, Manifest

HOSTED = (
    "dingtalk",
    "feishu",
    "flock",
    "gchat",
    "guilded",
    "lark",
    "line",
    "pbul",
    "pover",
    "threema",
    "webex",
    "wecombot",
)
"""Services at an address of their own: nothing in the URL says where the call goes."""

MANIFEST = Manifest(
    name="apprise",
    title="Apprise",
    channels=(Channel.CHAT,),
    docs_url="https://appriseit.com/services/",
    address_field="url",
    concurrency_field="connections",
    services=(OTHER,),
    shared_fate=False,
    fields=(
        Field(
            "url",
            "Apprise URL of any service, such as matrix://… or mmosts://…, for recipients without one of their own.",
            secret=True,
        ),
        Field(
            "schemas",
            "What the URLs that recipients bring may begin with. By default, services whose URL does not say which "
            "host is called; where it does, `hosts` must name it.",
            kind="list",
            default=HOSTED,
        ),
        Field(
            "hosts",
            "Hosts that recipients' URLs of other services may name, e.g. chat.example.com.",
            kind="list",
        ),
        Field(
            "connections",
            "Messages under way at the same time, in one worker process, each in a thread.",
            kind="whole_number",
            default=8,
            minimum=1,
            maximum=100,
        ),
    ),
)
