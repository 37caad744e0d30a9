"""Runs of small classifiers with random weights, as a fit leaves them."""

import base64
import io
import json

import numpy as np
import PIL.Image
import yaml

import zoo
from preprocessing import ImagePreprocessor
from preprocessing import TextClassificationPreprocessor
from training.run import Run

TEXT_CLASSES = ("bad", "good", "so so")
LINES = [
    "a fine film , and a long one",
    "a dull story without an end",
    "fine music , dull words",
    "nobody knows why",
]
IMAGE_CLASSES = ("cat", "dog", "duck", "owl", "fox")

# Of the text; of the picture 2 by 3 patches of 4 by 4 pixels.
_SIZES = {
    "num_layers": 2,
    "num_heads": 3,
    "hidden_dim": 12,
    "intermediate_dim": 20,
}


def text_model(max_sequence_length=16, tokenizer="word", **overrides):
    """A model and its preprocessor, `(model, preprocessor)`."""
    preprocessor = TextClassificationPreprocessor.train(
        LINES,
        TEXT_CLASSES,
        tokenizer=tokenizer,
        vocabulary_size=60,
        max_sequence_length=max_sequence_length,
    )
    options = {
        **_SIZES,
        "vocabulary_size": preprocessor.vocabulary_size,
        "num_classes": len(TEXT_CLASSES),
        "max_sequence_length": max_sequence_length,
        "dropout": 0.1,
        **overrides,
    }
    model = zoo.create_model("transformer_classifier_tiny", **options)
    return with_random_weights(model), preprocessor


def image_model(channels=3, **overrides):
    """A model and its preprocessor, `(model, preprocessor)`."""
    preprocessor = ImagePreprocessor((8, 12), channels, 0.4, 0.3, IMAGE_CLASSES)
    options = {
        **_SIZES,
        "image_shape": preprocessor.image_shape,
        "num_classes": len(IMAGE_CLASSES),
        "patch_size": 4,
        **overrides,
    }
    model = zoo.create_model("vision_transformer_tiny", **options)
    return with_random_weights(model), preprocessor


def with_random_weights(model, seed=0):
    """Weights that all matter."""
    model.build()
    draw = np.random.default_rng(seed).normal
    for weight in model.trainable_variables:
        one = float(weight.path.endswith("gamma"))
        weight.assign(one + draw(scale=0.4, size=weight.shape))
    return model


def make_run(directory, preset, model, preprocessor, example):
    """Write the folder of a run that ended."""
    run = Run(directory)
    run.checkpoints.mkdir(parents=True)
    config = {"preset": preset, "validation_metric": "accuracy"}
    run.config_path.write_text(yaml.safe_dump(config), "utf-8")
    run.save_preprocessor(preprocessor)
    model.save(run.model_path)
    metrics = {
        "command": f"python train.py --preset {preset}",
        "hardware": "2 cores",
        "data": {"name": "random", "licence": "none"},
        "example": example,
        "best_epoch": 1,
        "chosen": "epoch 1",
        "validation": {"accuracy": 0.5},
        "training_seconds": 1.0,
    }
    (run.directory / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    return run


def pixels(seed, height=8, width=12, channels=3):
    """A picture, uint8."""
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (height, width, channels), "uint8")


def encoded(array, form="PNG", **options):
    """The bytes of a file with these pixels, by Pillow."""
    file = io.BytesIO()
    if array.shape[-1] == 1:
        array = array[..., 0]
    PIL.Image.fromarray(array).save(file, form, **options)
    return file.getvalue()


def image_example():
    """As a task notes it in `metrics.json`."""
    png = encoded(pixels(99))
    return {"image_png_base64": base64.b64encode(png).decode()}
