"""Fill in what the reference pages take from the code: python docs/generate.py [--check]

A page holds regions between `<!-- generated: NAME -->` and `<!-- end -->`; the rest is written by hand. The pages of
providers are made whole.
With --check nothing is written, and the exit status is 1 when a page is not up to date.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import declared
import surfaces

import vendors
from tidings.providers.catalogue import MANIFESTS

REFERENCE = Path(__file__).parent / "reference"
_REGION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

GENERATORS: Mapping[str, Callable[[], str]] = {
    one.__name__: one
    for one in (
        declared.settings,
        declared.problems,
        declared.reasons,
        declared.events,
        declared.statuses,
        declared.metrics,
        surfaces.roles,
        surfaces.routes,
        surfaces.commands,
        vendors.compared,
        vendors.general,
    )
}


def filled(page: str) -> str:
    """The page with its regions made anew. Raises KeyError for a name that is not known."""
    return _REGION.sub(
        lambda found: f"{found[1]}\n{GENERATORS[found[2]]().strip()}\n\n{found[3]}", page
    )


def _pages() -> list[Path]:
    written = [*REFERENCE.glob("*.md"), *vendors.PAGES.glob("*.md")]
    return sorted({*written, *_made()})


def _made() -> Mapping[Path, Callable[[], str]]:
    """Pages that are made whole."""
    return {
        (vendors.PAGES / f"{name}.md").resolve(): partial(vendors.page, manifest)
        for name, manifest in MANIFESTS.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if not up to date")
    parser.add_argument("pages", nargs="*", type=Path, default=_pages())
    options = parser.parse_args(arguments)
    stale = 0
    made = _made()
    for path in options.pages:
        page = path.read_text(encoding="utf-8") if path.exists() else ""
        fresh = made[path.resolve()]() if path.resolve() in made else filled(page)
        if fresh == page:
            continue
        stale += 1
        if options.check:
            print(f"{path} is not up to date: run `python docs/generate.py`", file=sys.stderr)
        else:
            path.write_text(fresh, encoding="utf-8")
            print(f"wrote {path}")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
