"""The example that a run noted, as inputs of the signatures."""

import base64
import binascii

import tensorflow as tf

from preprocessing import ImagePreprocessor
from training.configuration import ConfigurationError


def example_inputs(run):
    """Inputs of one row for every signature of a run's model.

    They are what the warm-up requests and the model card show. A task notes
    an example of the validation data under `example` in `metrics.json`:

    - for texts the text, a string;
    - for pictures `{"image_png_base64": "..."}`, the bytes of a file in
      base64: PNG, or JPEG as well, where the data are such files.

    Args:
        run: A fitted `training.run.Run`.

    Returns:
        `{input name: tensor}`: `text` `(1,)`; or `image` `(1,)`, the bytes,
        and `images` `(1, height, width, channels)`, its pixels from 0 to 1.

    Raises:
        ConfigurationError: If no example of that form was noted.
    """
    example = run.metrics.get("example", "")
    preprocessor = run.load_preprocessor()
    if not isinstance(preprocessor, ImagePreprocessor):
        return {"text": tf.constant([example])}
    try:
        png = base64.b64decode(example["image_png_base64"], validate=True)
        image = tf.constant([png])
        images, valid = preprocessor.decode(image)
        readable = bool(valid[0])
    except (TypeError, KeyError, binascii.Error):
        readable = False
    if not readable:
        raise ConfigurationError(
            f"{run.directory}/metrics.json must note a picture under "
            "example.image_png_base64. "
            f"Received: example={str(example)!r:.100}"
        )
    return {"image": image, "images": images}
