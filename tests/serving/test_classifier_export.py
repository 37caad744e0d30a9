"""What is exported of classifiers: signatures, card, warm-up, loading."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

import serving
from serving.example import example_inputs
from serving.export import export_run
from serving.graphs import make_graph
from tests.serving.classifier_runs import IMAGE_CLASSES
from tests.serving.classifier_runs import image_model
from tests.serving.classifier_runs import make_run
from tests.serving.classifier_runs import pixels
from tests.serving.classifier_runs import TEXT_CLASSES
from training.configuration import ConfigurationError

TEXT, IMAGE = (tf.string, [None]), (tf.string, [None])
LABEL, VALID = (tf.string, [None]), (tf.bool, [None])

# For each model its signatures: inputs and outputs.
CONTRACT = {
    "text": {
        "serving_default": (
            {"text": TEXT},
            {"label": LABEL, "probabilities": (tf.float32, [None, 3])},
        ),
        "explain": (
            {"text": TEXT},
            {
                "label": LABEL,
                "probabilities": (tf.float32, [None, 3]),
                "tokens": (tf.string, [None, None]),
                "attention": (tf.float32, [None, 2, 3, None, None]),
                "pooling_attention": (tf.float32, [None, None]),
                "truncated": (tf.bool, [None]),
            },
        ),
        "embed": ({"text": TEXT}, {"embeddings": (tf.float32, [None, 12])}),
    },
    "encoder": {
        "serving_default": (
            {"text": TEXT},
            {"embeddings": (tf.float32, [None, 12])},
        ),
    },
    "image": {
        "serving_default": (
            {"image": IMAGE},
            {
                "label": LABEL,
                "probabilities": (tf.float32, [None, 5]),
                "valid": VALID,
            },
        ),
        "images": (
            {"images": (tf.float32, [None, None, None, 3])},
            {
                "label": LABEL,
                "probabilities": (tf.float32, [None, 5]),
                "valid": VALID,
            },
        ),
        "explain": (
            {"image": IMAGE},
            {
                "label": LABEL,
                "probabilities": (tf.float32, [None, 5]),
                "valid": VALID,
                "images": (tf.uint8, [None, 8, 12, 3]),
                "attention": (tf.float32, [None, 2, 3, 7, 7]),
                "rollout": (tf.float32, [None, 2, 3]),
            },
        ),
    },
}


@pytest.fixture
def saved(request, kind):
    return request.getfixturevalue(f"{kind}_saved_model")


@pytest.fixture
def run(request, kind):
    return request.getfixturevalue(f"{kind}_run")


@pytest.mark.parametrize("kind", CONTRACT)
def test_signatures_are_those_of_the_contract(kind, saved):
    loaded = tf.saved_model.load(str(saved))
    assert set(loaded.signatures) == set(CONTRACT[kind])
    for name, expected in CONTRACT[kind].items():
        signature = loaded.signatures[name]
        found = (
            signature.structured_input_signature[1],
            signature.structured_outputs,
        )
        for specs, wanted in zip(found, expected):
            assert set(specs) == set(wanted), name
            for key, (dtype, shape) in wanted.items():
                assert specs[key].dtype == dtype
                assert specs[key].shape.as_list() == shape, (name, key)


@pytest.mark.parametrize("kind", CONTRACT)
def test_warmup_requests_have_what_each_signature_takes(kind, run, saved):
    loaded = tf.saved_model.load(str(saved))
    path = saved / "assets.extra" / "tf_serving_warmup_requests"
    example = example_inputs(run)
    names = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        name = request.model_spec.signature_name
        names.append(name)
        inputs = {
            key: tf.constant(tf.make_ndarray(value))
            for key, value in request.inputs.items()
        }
        assert set(inputs) == set(CONTRACT[kind][name][0])
        for key, value in inputs.items():
            np.testing.assert_array_equal(value, example[key])
        answer = loaded.signatures[name](**inputs)
        if "valid" in answer:
            assert answer["valid"].numpy().tolist() == [True]
    assert sorted(names) == sorted(CONTRACT[kind])


def test_the_noted_picture_is_decoded(image_run):
    example = example_inputs(image_run)
    np.testing.assert_allclose(
        example["images"][0] * 255, pixels(99), atol=1e-4
    )


@pytest.mark.parametrize("kind", CONTRACT)
def test_model_card(kind, run, saved):
    card = json.loads((saved / "model_card.json").read_text("utf-8"))
    assert card["parameters"] == run.load_model().count_params()
    assert set(card["signatures"]) == set(CONTRACT[kind])
    for name, (inputs, outputs) in CONTRACT[kind].items():
        assert set(card["signatures"][name]["inputs"]) == set(inputs)
        assert set(card["signatures"][name]["outputs"]) == set(outputs)
    if kind != "image":
        assert card["max_sequence_length"] == 16
    if kind == "encoder":
        assert "class_names" not in card
        assert "explain_bytes" not in card
        assert card["embedding_dim"] == 12
        return
    names = TEXT_CLASSES if kind == "text" else IMAGE_CLASSES
    assert card["class_names"] == list(names)
    layers = card["attention_layers"]
    assert layers["attention"] == ["encoder/0/self", "encoder/1/self"]
    assert card["attention_heads"] == {"attention": [0, 1, 2]}
    length = 5 if kind == "text" else 7
    least = 2 * 3 * length * length * 4
    assert least < card["explain_bytes"]["bytes"] < least + 800
    if kind == "text":
        assert layers["pooling_attention"] == ["pooling"]
        assert card["explain_bytes"]["input"] == "a fine film"
    else:
        assert card["image_shape"] == [8, 12, 3]


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_saved_model_alone_knows_its_classes(kind, saved, tmp_path):
    shutil.copytree(saved, tmp_path / "alone")
    (tmp_path / "alone" / "model_card.json").unlink()
    shutil.rmtree(tmp_path / "alone" / "assets.extra")
    names = TEXT_CLASSES if kind == "text" else IMAGE_CLASSES
    assert serving.load(tmp_path / "alone").class_names == names


@pytest.mark.parametrize(
    ("kind", "client"),
    [
        ("text", serving.TextClassifier),
        ("encoder", serving.TextEncoder),
        ("image", serving.ImageClassifier),
    ],
)
def test_the_kind_is_found(kind, client, run, saved):
    for path in (run.directory, saved, saved.parent):
        assert type(serving.load(path)) is client


def test_a_foreign_saved_model_is_refused(tmp_path):
    module = tf.Module()
    module.run = tf.function(
        lambda x: {"y": x}, input_signature=[tf.TensorSpec([2])]
    )
    for name, signatures in (
        ("other", {"serving_default": module.run}),
        ("none", {}),
    ):
        path = tmp_path / name
        tf.saved_model.save(module, str(path), signatures=signatures)
        with pytest.raises(ConfigurationError, match=f"{name} has not the"):
            serving.load(path)


def test_pictures_without_a_head_have_no_signatures():
    model, preprocessor = image_model(num_classes=None)
    with pytest.raises(ConfigurationError, match="num_classes=None"):
        make_graph(model, preprocessor)


@pytest.mark.parametrize(
    "example",
    ["", None, {}, {"image_png_base64": "%"}, {"image_png_base64": "AAAA"}],
    ids=str,
)
def test_an_example_that_is_no_picture(example, tmp_path):
    run = make_run(
        tmp_path / "run", "vision_transformer_tiny", *image_model(), example
    )
    with pytest.raises(ConfigurationError, match="image_png_base64"):
        export_run(run, tmp_path / "models")
    assert not (tmp_path / "models").exists()
