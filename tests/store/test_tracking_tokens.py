"""Tokens of links: nobody makes one but us, and one leads where it led."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tidings.domain.tracking import MOST_LINKS, PIXEL
from tidings.store.keyring import KeyRing, Keys
from tidings.store.tracking_tokens import LENGTH, leads_to, read_token, token_of

RING = KeyRing(Keys.generate())
OTHER = KeyRing(Keys.generate())
LINKS = st.integers(1, MOST_LINKS)
TARGET = "https://a.example/secret?name=ann"


@given(st.uuids(), LINKS, st.text(min_size=1))
def test_what_a_token_says(delivery_id: UUID, link: int, target: str) -> None:
    target = target.encode("utf-8", "replace").decode()
    token = token_of(delivery_id, link, target, RING)
    read = read_token(token, RING)
    assert read is not None
    assert (read.delivery_id, read.link) == (delivery_id, link)
    assert leads_to(read, target, RING)
    assert len(token) == LENGTH
    assert token.isascii()
    assert read_token(token, OTHER) is None


@given(st.uuids(), LINKS, st.integers(0, LENGTH - 1), st.sampled_from("AZaz09-_"))
def test_a_changed_token_is_none(delivery_id: UUID, link: int, at: int, other: str) -> None:
    token = token_of(delivery_id, link, TARGET, RING)
    changed = token[:at] + other + token[at + 1 :]
    assert (read_token(changed, RING) is None) is (changed != token)


@given(st.text(max_size=60) | st.text("AZaz09-_", min_size=LENGTH, max_size=LENGTH))
def test_what_is_made_up_is_no_token(made_up: str) -> None:
    assert read_token(made_up, RING) is None


@given(st.uuids(), st.integers(0, LENGTH - 1))
def test_a_truncated_token_is_none(delivery_id: UUID, length: int) -> None:
    assert read_token(token_of(delivery_id, PIXEL, "", RING)[:length], RING) is None


def test_tokens_are_good_after_the_keys_were_rotated() -> None:
    token = token_of(UUID(int=7), 1, TARGET, RING)
    assert read_token(token, KeyRing(RING.keys.rotated())) is not None
