import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator


class Events:
    """What event files hold, by TensorBoard's own reader."""

    def __init__(self, folder):
        # 0: keep every step.
        reader = event_accumulator.EventAccumulator(
            str(folder), size_guidance={"tensors": 0}
        )
        reader.Reload()
        self.by_tag = {
            tag: {
                event.step: tf.make_ndarray(event.tensor_proto)
                for event in reader.Tensors(tag)
            }
            for tag in reader.Tags()["tensors"]
        }
        self.steps = {tag: list(steps) for tag, steps in self.by_tag.items()}

    def scalar(self, tag, step):
        return float(self.by_tag[tag][step])

    def pictures(self, tag, step):
        """The images, decoded; their stated size is checked."""
        width, height, *encoded = self.by_tag[tag][step]
        decoded = [tf.io.decode_png(png).numpy() for png in encoded]
        for picture in decoded:
            assert picture.shape == (int(height), int(width), 3)
        return decoded


@pytest.fixture
def read_events():
    return Events
