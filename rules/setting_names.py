"""Find misspelled settings among the environment variables."""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

# Allows for one or two wrong letters.
MIN_SIMILARITY = 0.85
# Other programs' names for these settings.
OTHER_NAMES = {
    "BUNDLE_DIR": "BUNDLE_FOLDER",
    "SMTP_HOST": "SMTP_URL",
    "TERMS": "TERMS_URL",
    "WEB_WORKERS": "WEB_CONCURRENCY",
}


def find_misspelled(variables: Collection[str], settings: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield variables that are probably misspelled names of settings, and the setting, unless it is set, too."""
    for variable in sorted(set(variables) - set(settings)):
        name = variable.upper().removeprefix("PROOFSTONE_")
        similar = [
            *[setting for setting in settings if setting == OTHER_NAMES.get(name)],
            *get_close_matches(name, settings, n=1, cutoff=MIN_SIMILARITY),
            *[
                setting
                for setting in settings
                if name.startswith(f"{setting}_") or _is_shortened(name, setting)
            ],
        ]
        # AWS_ACCESS_KEY_ID is no S3_ACCESS_KEY_ID.
        if similar and name[0] == similar[0][0] and similar[0] not in variables:
            yield variable, similar[0]


def _is_shortened(name: str, setting: str) -> bool:
    """Return whether the name lacks words of the setting after the first, such as S3_KEY."""
    first, *others = name.split("_")
    setting_first, *setting_others = setting.split("_")
    return first == setting_first and set() < set(others) < set(setting_others)
