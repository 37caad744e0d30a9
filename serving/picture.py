"""An answer with its attention, as a PNG file."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from serving.image_classifier import ImageClassification
from serving.text_classifier import TextClassification
from summaries import attention_map_png
from training.configuration import ConfigurationError

# Inches, and pixels of the larger side of a picture below which its pixels
# are shown as squares.
_SIDE = 3.0
_SMALL = 64


def picture_png(answer):
    """Draw the attention of an answer.

    A map of all heads of the last layer, with the tokens on its axes; for a
    picture its rollout over it, both side by side.

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
        return rollout_png(answer.image, answer.rollout)
    if answer.attention is None:
        raise ConfigurationError("This model has no attention to draw.")
    keys = (
        answer.tokens
        if isinstance(answer, TextClassification)
        else answer.source_tokens
    )
    return attention_map_png(answer.attention[-1], answer.tokens, keys)


def rollout_png(image, rollout):
    """A picture, and beside it the same under its rollout.

    The colours go from the smallest weight to the largest; a bar names them.
    It uses no state of pyplot, so threads may draw at the same time.

    Args:
        image: `(height, width, 3)`, uint8.
        rollout: `(rows, columns)`.

    Returns:
        The bytes of a PNG file.
    """
    height, width, _ = image.shape
    scale = _SIDE / max(height, width)
    figure = Figure(
        figsize=(2 * scale * width + 1, scale * height + 0.2),
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    for panel in axes:
        panel.set_axis_off()
        panel.imshow(
            image,
            interpolation="nearest" if max(image.shape) < _SMALL else None,
        )
    weights = axes[1].imshow(
        rollout,
        cmap="inferno",
        alpha=0.6,
        # Over the same pixels, whatever their number.
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="nearest",
    )
    bar = figure.colorbar(weights, ax=axes[1])
    bar.ax.tick_params(labelsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
