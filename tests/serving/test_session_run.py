"""Exported models in the session of a server."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from serving import preflight
from serving.contract import served_signatures
from serving.graph_ops import op_problems
from serving.graph_ops import version_problems
from serving.op_registry import SERVERS
from serving.saved_model_files import read_meta_graph
from serving.trial import example_request
from serving.trial import run_requests
from tests.serving.exported_models import CLASSIFIER
from tests.serving.exported_models import in_a_session
from tests.serving.exported_models import READER
from tests.serving.exported_models import save_function
from tests.serving.exported_models import TRANSLATOR


@pytest.mark.parametrize(
    "model",
    [
        *("tiny_saved_model", "text_saved_model"),
        *("encoder_saved_model", "image_saved_model"),
        "translator_saved_model",
    ],
)
def test_exports_answer_in_the_session_of_a_server(model, request):
    found = in_a_session(request.getfixturevalue(model))
    assert "serving_default" in found
    assert not any(found.values())


@pytest.mark.parametrize("model", [TRANSLATOR, CLASSIFIER, READER])
def test_shipped_models_answer_in_the_session_of_a_server(model):
    assert not any(in_a_session(model).values())
    meta_graph = read_meta_graph(model)
    for release in SERVERS:
        assert op_problems(meta_graph.graph_def, release) == []
        assert version_problems(meta_graph.graph_def, release) == []


def test_variables_that_a_session_does_not_restore(tmp_path):
    """As a `tf.Module` that holds the Keras model writes them."""
    module = tf.Module()
    module.model = keras.layers.Dense(2)
    module.model.build((None, 3))
    module.run = tf.function(
        lambda x: {"y": module.model(x)},
        input_signature=[tf.TensorSpec([None, 3])],
    )
    tf.saved_model.save(
        module, str(tmp_path), signatures={"serving_default": module.run}
    )
    signatures = served_signatures(read_meta_graph(tmp_path))
    ((name, signature),) = signatures.items()
    requests = [(name, example_request(signature))]
    _, (answer,), ended = run_requests(tmp_path, requests)
    assert not ended
    told = preflight.with_remedy(answer["problems"][0])
    assert told.startswith("a server restores other variables than it reads")


def test_a_process_that_ends_says_why(tmp_path):
    _, answers, ended = run_requests(tmp_path, [])
    assert answers == [] and "SavedModel file does not exist" in ended
    assert "no-python" in run_requests(tmp_path, [], "no-python")[-1]


def test_outputs_without_the_batch_first(tmp_path):
    function = lambda x: {"y": tf.strings.reduce_join(x)[None]}  # noqa: E731
    save_function(tmp_path, function, tf.TensorSpec([None], tf.string))
    assert in_a_session(tmp_path)["serving_default"] == [
        "y has the shape (1,) for 2 rows"
    ]


def test_examples_fit_their_signatures():
    for path in (TRANSLATOR, READER):
        for signature in served_signatures(read_meta_graph(path)).values():
            for name, value in example_request(signature).items():
                array = tf.make_ndarray(value)
                info = signature.inputs[name]
                assert tf.as_dtype(info.dtype) == tf.as_dtype(value.dtype)
                shape = tf.TensorShape(info.tensor_shape)
                assert shape.is_compatible_with(np.shape(array))
