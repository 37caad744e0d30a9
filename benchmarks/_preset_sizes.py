"""Asks the zoo about a preset, in a process that imports Keras.

The benchmark itself imports no library: on Linux a child process counts the
memory that its parent held when it was started.
"""

import zoo


def create(preset):
    """See `_workers`."""
    return _Sizes(preset)


class _Sizes:
    def __init__(self, preset):
        self.preset = zoo.get_preset(preset)

    def architecture(self):
        """Arguments of the model that the preset sets."""
        return self.preset.architecture
