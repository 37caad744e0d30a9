"""Requests that TensorFlow Serving runs before it says it is ready."""

import pathlib

import tensorflow as tf
from google.protobuf.message import DecodeError
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
    path = warmup_path(directory)
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
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


def warmup_path(directory):
    """The file of a SavedModel that a server reads them from."""
    return pathlib.Path(directory, "assets.extra", "tf_serving_warmup_requests")


def read_warmup_requests(directory):
    """The requests in the folder of a SavedModel, a list of `PredictRequest`.

    Raises:
        ValueError: A record can't be read; its number is named.
    """
    requests = []
    records = tf.data.TFRecordDataset(str(warmup_path(directory)))
    records = records.as_numpy_iterator()
    while True:
        try:
            record = next(records)
            log = prediction_log_pb2.PredictionLog.FromString(record)
        except StopIteration:
            return requests
        except (tf.errors.DataLossError, DecodeError) as error:
            raise ValueError(
                f"record {len(requests) + 1} can't be read: {error}"
            ) from error
        if log.WhichOneof("log_type") != "predict_log":
            raise ValueError(
                f"record {len(requests) + 1} must hold a predict_log. "
                f"Received: {log.WhichOneof('log_type')}"
            )
        requests.append(log.predict_log.request)


def input_specs(function):
    """`{name: tf.TensorSpec}` of the inputs of a `tf.function`."""
    inputs, _ = function.get_concrete_function().structured_input_signature
    return {spec.name: spec for spec in inputs}
