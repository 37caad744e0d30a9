"""How to search for translations, on the command line."""

import dataclasses

from training.configuration import ConfigurationError
from zoo import Decoding


def add_decoding_arguments(parser, skip=()):
    """Give a `jsonargparse` parser the fields of `zoo.Decoding`."""
    parser.add_class_arguments(Decoding, skip=set(skip))


def decoding_of(arguments, **fixed):
    """The `zoo.Decoding` that was asked for.

    Args:
        arguments: What the parser gave.
        **fixed: Fields that are no arguments.

    Returns:
        A `Decoding`; None if nothing but the defaults was asked for, which
        every model takes.

    Raises:
        ConfigurationError: If a value is impossible.
    """
    names = {field.name for field in dataclasses.fields(Decoding)}
    given = {k: v for k, v in vars(arguments).items() if k in names}
    try:
        decoding = Decoding(**{**given, **fixed})
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    return None if decoding == Decoding(**fixed) else decoding
