"""Ten templates in three languages with a layout and a brand, as `tidings shared push` and
`tidings template push` take them; for the tests and the benchmark."""

from collections.abc import Iterator
from pathlib import Path

from tidings.cli import shared_folder, template_folder
from tidings.domain.channels import Channel
from tidings.domain.templates import ByChannel, Edition


def editions(folder: Path) -> Iterator[Edition]:
    """Named by their ids."""
    shared = shared_folder.shared(shared_folder.read(folder))
    for one in template_folder.find([folder / "templates"]):
        template = template_folder.read(one)
        yield Edition(
            name=template.id,
            category=template.category,
            on_unknown="resend",
            content=_by_channel(template.content),
            locale=template.locale,
            locales={tag: _by_channel(found) for tag, found in template.locales.items()},
            sample=template.sample,
            shared=shared,
        )


def _by_channel(content: template_folder.Content) -> ByChannel:
    return {Channel(name): source for name, source in content.items()}
