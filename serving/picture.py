"""An answer with its attention, as a PNG file."""

from serving.image_classifier import ImageClassification
from serving.text_classifier import TextClassification
from summaries import attention_map_png
from summaries import rollout_picture_png
from training.configuration import ConfigurationError


def picture_png(answer):
    """Draw the attention of an answer.

    A map of all heads of the last layer, with the tokens on its axes; for a
    picture its rollout over it, both side by side: drawn as in TensorBoard.

    Args:
        answer: A `Translation`, `TextClassification` or
            `ImageClassification` of `serving`.

    Returns:
        The bytes of a PNG file.

    Raises:
        ConfigurationError: If there is nothing to draw.
    """
    if isinstance(answer, ImageClassification):
        if not answer.valid:
            raise ConfigurationError(
                "The picture can't be read, so there is nothing to draw."
            )
        return rollout_picture_png(answer.rollout, answer.image)
    if answer.attention is None:
        raise ConfigurationError("This model has no attention to draw.")
    keys = (
        answer.tokens
        if isinstance(answer, TextClassification)
        else answer.source_tokens
    )
    return attention_map_png(answer.attention[-1], answer.tokens, keys)
