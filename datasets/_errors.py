"""The error of data that cannot be read."""


class DataError(ValueError):
    """A file of a data set is missing, damaged or not what it should be.

    The message names the file, the line where there is one, and what to do.
    """
