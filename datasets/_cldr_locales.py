"""Languages of Unicode CLDR, by their tags."""

import babel


def parse_locale(tag, argument):
    """Returns the `babel.Locale` of a BCP-47 tag.

    Args:
        tag: Such as `"en"` or `"pt-PT"`.
        argument: Name of the argument that it came in, for the error.

    Raises:
        ValueError: CLDR has no such language.
    """
    try:
        return babel.Locale.parse(str(tag), sep="-" if "-" in str(tag) else "_")
    except (ValueError, TypeError, babel.UnknownLocaleError) as error:
        raise ValueError(
            "Not a language of Unicode CLDR (a BCP-47 tag such as 'en' or "
            f"'pt-PT'). Received: {argument}={tag!r}"
        ) from error


def tag_of(locale):
    """Returns the BCP-47 tag of a `babel.Locale`."""
    return str(locale).replace("_", "-")
