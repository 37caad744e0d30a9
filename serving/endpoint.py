"""Where a model is served, and how long and how much to wait for."""

import dataclasses
import urllib.parse

from training.configuration import ConfigurationError
from training.printable import printable

SCHEMES = ("grpc", "http", "https")


class ServerError(RuntimeError):
    """A server is away, refuses, or gives what can't be used."""

    def __init__(self, message):
        # Parts of it come from a server: one line, nothing that steers.
        super().__init__(printable(" ".join(message.split()), 500))


class AnswerTooLargeError(ServerError):
    """An answer above the limit."""


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """A served model.

    Attributes:
        scheme: `grpc`, `http` or `https`.
        address: Host and port, behind them the path of a proxy if there is
            one: `127.0.0.1:8500`.
        model: Its name on the server.
        version: Number of a version; None is the newest.
        label: Label of a version, in the place of its number.
        timeout: Seconds to wait for an answer; by REST, for its next bytes.
        max_bytes: Largest answer.
    """

    scheme: str
    address: str
    model: str
    version: int | None
    label: str | None
    timeout: float
    max_bytes: int

    @property
    def shown(self):
        """The address without a password that may stand in it."""
        return f"{self.scheme}://{self.address.rpartition('@')[2]}"

    @property
    def shown_model(self):
        """The model with its version, as messages name it."""
        if self.version is not None:
            return f"{self.model}, version {self.version}"
        if self.label is not None:
            return f"{self.model}, label {self.label}"
        return self.model

    def away(self, reason):
        """The error of a server that can't be reached."""
        return ServerError(f"No server answers at {self.shown}: {reason}")

    def too_late(self):
        """The error of an answer that does not come."""
        return ServerError(
            f"{self.shown} gave no answer of {self.shown_model} within "
            f"{self.timeout:g} s. Wait longer by `timeout`."
        )

    def too_large(self):
        """The error of an answer above the limit."""
        return AnswerTooLargeError(
            f"The answer of {self.shown_model} is larger than "
            f"{self.max_bytes / 2**20:.4g} MiB. Raise `max_megabytes`."
        )

    def refused(self, reason):
        """The error of a server that says no."""
        return ServerError(f"{self.shown} refuses {self.shown_model}: {reason}")

    def unusable(self, reason):
        """The error of an answer that is not what was promised."""
        return ServerError(
            f"{self.shown} gave an answer of {self.shown_model} that can't be "
            f"used: {reason}"
        )


def parse_endpoint(
    url, version=None, label=None, timeout=30.0, max_megabytes=64
):
    """An `Endpoint` of an address such as `grpc://127.0.0.1:8500/NAME`.

    Raises:
        ConfigurationError: If it is none, or a value is out of range.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(
            f"{error}. Received: url={url!r:.300}"
        ) from error
    folder, _, model = parts.path.rpartition("/")
    complete = parts.scheme in SCHEMES and parts.hostname and model
    if not complete or (parts.scheme == "grpc" and (not port or folder)):
        raise ConfigurationError(
            "An address has the form grpc://HOST:PORT/MODEL or "
            f"http://HOST:PORT/MODEL. Received: url={url!r:.300}"
        )
    if version is not None and label is not None:
        raise ConfigurationError(
            "A version has a number or a label. "
            f"Received: version={version}, label={label!r}"
        )
    if version is not None and not 0 <= version < 2**63:
        raise ConfigurationError(
            f"A version is a number from 0. Received: version={version}"
        )
    for name, value in (("timeout", timeout), ("max_megabytes", max_megabytes)):
        if not 0 < value < 2**20:
            raise ConfigurationError(
                f"`{name}` must be above 0, and finite. "
                f"Received: {name}={value}"
            )
    return Endpoint(
        parts.scheme,
        parts.netloc + folder,
        urllib.parse.unquote(model),
        version,
        label,
        timeout,
        # gRPC counts in 32 bits.
        min(int(max_megabytes * 2**20), 2**31 - 1),
    )
