"""Requests to TensorFlow Serving by gRPC."""

import json
import math

import grpc
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

# A server whose queue is full, or which starts anew, is UNAVAILABLE. Asking
# twice does no harm: an answer depends on nothing but its request.
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": "tensorflow.serving.PredictionService"}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
_MOST_ASKED_AGAIN = 64 * 2**20


class GrpcConnection:
    """A connection to one model.

    Args:
        endpoint: An `Endpoint`.
    """

    def __init__(self, endpoint):
        self.endpoint = endpoint
        options = [
            ("grpc.max_receive_message_length", endpoint.max_bytes),
            ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
            # What is larger is not asked again.
            ("grpc.per_rpc_retry_buffer_size", _MOST_ASKED_AGAIN),
        ]
        self._channel = grpc.insecure_channel(endpoint.address, options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )

    def signatures(self):
        """`{name: SignatureDef}` of the model.

        Raises:
            ServerError: If they can't be had.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        )
        response = self._call(self._stub.GetModelMetadata, request)
        found = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        return found.signature_def

    def predict(self, signature, definition, inputs):
        """Ask a signature.

        Args:
            signature: Its name.
            definition: Its `SignatureDef`, not needed here.
            inputs: `{name: array}`.

        Returns:
            `{name: array}` of the outputs.

        Raises:
            ServerError: If there is no answer that can be used.
        """
        request = predict_pb2.PredictRequest()
        request.model_spec.signature_name = signature
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
        response = self._call(self._stub.Predict, request)
        return {
            name: self._array(name, proto)
            for name, proto in response.outputs.items()
        }

    def _array(self, name, proto):
        count = math.prod(dim.size for dim in proto.tensor_shape.dim)
        try:
            # One value can stand for any number of them.
            if count > self.endpoint.max_bytes:
                raise ValueError(f"it says that it has {count} values")
            return tf.make_ndarray(proto)
        except (TypeError, ValueError) as error:
            raise self.endpoint.unusable(
                f"`{name}` can't be read: {error}"
            ) from error

    def _call(self, method, request):
        spec = request.model_spec
        spec.name = self.endpoint.model
        if self.endpoint.version is not None:
            spec.version.value = self.endpoint.version
        elif self.endpoint.label is not None:
            spec.version_label = self.endpoint.label
        try:
            return method(request, timeout=self.endpoint.timeout)
        except grpc.RpcError as error:
            raise self._error(error.code(), error.details() or "") from error

    def _error(self, code, details):
        if code == grpc.StatusCode.UNAVAILABLE:
            return self.endpoint.away(details)
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return self.endpoint.too_late()
        if (
            code == grpc.StatusCode.RESOURCE_EXHAUSTED
            and "larger than max" in details
        ):
            return self.endpoint.too_large()
        return self.endpoint.refused(f"{code.name}: {details}")
