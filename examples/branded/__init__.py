"""Ten templates in three languages with a layout and a brand, as `tidings template push` takes them;
for the tests and the benchmark."""

from collections.abc import Iterator
from pathlib import Path

from tidings.cli import shared_folder, template_folder, template_paths
from tidings.cli.template_document import Content
from tidings.domain.channels import Channel
from tidings.domain.templates import ByChannel, Edition


def editions(folder: Path) -> Iterator[Edition]:
    """Named by their ids."""
    found = template_paths.find([folder / "templates"])
    shared = shared_folder.shared(map(shared_folder.read, found.shared))
    for one in found.templates:
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


def _by_channel(content: Content) -> ByChannel:
    return {Channel(name): source for name, source in content.items()}
