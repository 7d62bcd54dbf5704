"""The job that every system does: one order has shipped, told by webhook or by email.

Needs nothing but the standard library, so that a rival's own environment can import it too.
"""

from typing import Any

TEMPLATE_ID = "order_shipped"
SENDER = "Shop <shop@example.com>"

# The mark [id:microseconds] is how the sink knows a message again, whichever way it came. It stands in
# the subject, which stays plain ASCII and short enough never to be folded.
SUBJECT = "Order {{ order }} has shipped [{{ id }}:{{ t }}]"

TEXT = """\
Hello {{ name }},

your order {{ order }} is on its way. {{ carrier }} brings it to you, most likely on {{ eta }}.
{% for item in items %}
  {{ item.qty }} x {{ item.name }}, {{ item.price }} EUR{% endfor %}

Follow the parcel: https://shop.example.com/parcels/{{ order }}

Kind regards
Your shop
"""

HTML = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Order {{ order }}</title></head>
<body style="margin:0;font-family:Helvetica,Arial,sans-serif;color:#1c1c1c">
<h1 style="font-size:22px">Your order is on its way</h1>
<p>Hello {{ name }},</p>
<p>your order <strong>{{ order }}</strong> is on its way. {{ carrier }} brings it to you,
most likely on <strong>{{ eta }}</strong>.</p>
<table cellpadding="6" style="border-collapse:collapse">
<tr><th align="left">Article</th><th align="right">Quantity</th><th align="right">Price</th></tr>
{% for item in items %}
<tr><td>{{ item.name }}</td><td align="right">{{ item.qty }}</td>
<td align="right">{{ item.price }} EUR</td></tr>
{% endfor %}
</table>
{% if eta %}<p><a href="https://shop.example.com/parcels/{{ order }}">Follow the parcel</a></p>{% endif %}
<p>Kind regards<br>Your shop</p>
</body>
</html>
"""

EVENT = "order.shipped"

TEMPLATE: dict[str, Any] = {
    "id": TEMPLATE_ID,
    "name": "Order shipped",
    "category": "transactional",
    "content": {
        "email": {"subject": SUBJECT, "html": HTML, "text": TEXT},
        "webhook": {
            "type": EVENT,
            "payload": {
                "subject": SUBJECT,
                "text": TEXT,
                "html": HTML,
                "ref": "{{ id }}",
                "t": "{{ t }}",
            },
        },
    },
}
"""What POST /templates takes."""


def reference(run: str, number: int) -> str:
    """The id of one request; the run in front tells what a late double belongs to."""
    return f"{run}-{number:06d}"


def data(run: str, number: int, microseconds: int) -> dict[str, Any]:
    """The template's data, about 400 bytes as JSON. microseconds: Unix time at which it was asked for."""
    return {
        "name": "Grace Hopper",
        "order": f"B-{number:06d}",
        "carrier": "Swift & Daughters Parcel Service",
        "eta": "Thursday, 14 May",
        "items": [
            {"name": "Walnut desk lamp with a linen shade", "qty": 1, "price": "74.50"},
            {"name": "Notebook, A5, dotted, 180 pages", "qty": 3, "price": "12.90"},
            {"name": "Fountain pen ink, midnight blue", "qty": 2, "price": "8.25"},
        ],
        "id": reference(run, number),
        "t": microseconds,
    }
