"""Time zones and days of the week, as people know them: by name, in their language."""

from collections.abc import Sequence
from zoneinfo import available_timezones

from babel import Locale
from babel.core import get_global

_UTC = "Etc/UTC"


def zone_names(language: str) -> dict[str, str]:
    """By zone: its city and country, as the Unicode CLDR has them, in the order of these."""
    locale = Locale.parse(language)
    territories = get_global("zone_territories")
    named = {
        zone: _named(zone, territories[zone], locale)
        for zone in territories.keys() & available_timezones()
        # Of those that belong to no place, most have names whose sign means the opposite of what people take it for.
        if zone == _UTC or not zone.startswith("Etc/")
    }
    return dict(sorted(named.items(), key=lambda one: one[1].casefold()))


def current(zone: str) -> str:
    """The name that a zone goes by now: Asia/Kolkata for Asia/Calcutta."""
    aliases = get_global("zone_aliases")
    return str(aliases.get(zone, zone))


def weekdays(language: str) -> Sequence[str]:
    """From Monday on."""
    names = Locale.parse(language).days["stand-alone"]["wide"]
    return [str(names[day]) for day in range(7)]


def _named(zone: str, territory: str, locale: Locale) -> str:
    city = locale.time_zones.get(zone, {}).get("city") or zone.rpartition("/")[2].replace("_", " ")
    country = locale.territories.get(territory)
    # Zones of no country: those of the sea and of science.
    if country is None or territory in {"001", "ZZ"}:
        return str(city)
    return f"{city} ({country})"
