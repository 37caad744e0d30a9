"""Requests that TensorFlow Serving runs before it says it is ready."""

import pathlib

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_log_pb2


def write_warmup_requests(directory, signatures, inputs):
    """Write one request for each signature.

    Args:
        directory: Folder of the SavedModel.
        signatures: `{name: function}`.
        inputs: `{input name: tensor}` of an example, with the inputs of all
            signatures; each request has those that its signature takes.
    """
    folder = pathlib.Path(directory) / "assets.extra"
    folder.mkdir(exist_ok=True)
    path = str(folder / "tf_serving_warmup_requests")
    with tf.io.TFRecordWriter(path) as writer:
        for signature, function in signatures.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for name in input_specs(function):
                value = tf.convert_to_tensor(inputs[name]).numpy()
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def input_specs(function):
    """`{name: tf.TensorSpec}` of the inputs of a `tf.function`."""
    inputs, _ = function.get_concrete_function().structured_input_signature
    return {spec.name: spec for spec in inputs}
