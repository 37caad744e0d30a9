"""Keeps TensorFlow's notes away where a module of `serving` is the command.

To be imported before TensorFlow is.
"""

import sys

from training.quiet_import import import_tensorflow

# What stands there while Python looks for the module of `python -m serving.X`.
if sys.argv[:1] == ["-m"]:
    import_tensorflow()
