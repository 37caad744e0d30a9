"""TensorFlow without what it says of itself at the start."""

import contextlib
import os
import sys
import tempfile


def import_tensorflow():
    """Import TensorFlow without its notes on processors and missing GPUs.

    They are written before any setting is read, so only closing the error
    stream keeps them away; if the import fails, they are shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stream = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            with contextlib.suppress(ImportError):
                import tensorflow as tf
                import tensorflow_text  # noqa: F401

                tf.zeros(())  # looks for devices
        finally:
            os.dup2(stream, 2)
            os.close(stream)
