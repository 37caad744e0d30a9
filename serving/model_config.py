"""Write which models TensorFlow Serving shall serve.

    python -m serving.model_config saved_models --output serving/models.config

Each folder of a model's versions becomes a model of that name, of which the
newest version is served.
"""

import argparse
import pathlib
import sys

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.atomic import versions
from training.configuration import ConfigurationError
from training.resume import write_atomically

# Where the compose file mounts the folder of all models.
_MOUNTED = "/models"


def model_config(directory, mounted=_MOUNTED):
    """The text of a `ModelServerConfig`.

    Args:
        directory: Folder of all models, each with a folder for each version.
        mounted: Where the server sees it.

    Raises:
        ConfigurationError: If there is no model.
    """
    config = model_server_config_pb2.ModelServerConfig()
    for path in sorted(pathlib.Path(directory).glob("*")):
        if any(
            (path / str(number) / "saved_model.pb").is_file()
            for number in versions(path)
        ):
            config.model_config_list.config.add(
                name=path.name,
                base_path=f"{mounted}/{path.name}",
                model_platform="tensorflow",
            )
    if not config.model_config_list.config:
        raise ConfigurationError(
            "A folder is needed that holds models as "
            f"NAME/VERSION/saved_model.pb. Received: {directory}"
        )
    return text_format.MessageToString(config, as_utf8=True)


def main(argv=None):
    """Write the configuration of a folder."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.model_config",
        description="Write which models TensorFlow Serving shall serve.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", help="Folder of all models.")
    parser.add_argument("--output", help="File for it; else it is printed.")
    arguments = parser.parse_args(argv)
    try:
        text = model_config(arguments.directory)
        if arguments.output:
            write_atomically(
                arguments.output, lambda path: path.write_text(text, "utf-8")
            )
        else:
            print(text, end="")
    except (ConfigurationError, OSError) as error:
        print(f"serving.model_config: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
