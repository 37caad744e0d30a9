"""A server that speaks as TensorFlow Serving does, for tests of clients.

    python tests/serving/model_server.py NAME=FOLDER ...

Each FOLDER is a SavedModel, which is version 1 of the model NAME, with the
label `stable`. When all are loaded, a line of JSON with the ports is printed:
`{"grpc": 8500, "http": 8501}`. It answers Predict and GetModelMetadata, by
gRPC and by REST, and says by REST whether a model is available. It ends with
its standard input. Nothing of this project is imported.
"""

import base64
import collections
import concurrent.futures
import http.server
import json
import pathlib
import re
import sys
import threading
import urllib.parse

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the ops of the graphs
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

_VERSION, _LABEL = 1, "stable"
_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)"
    r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<what>/metadata|:predict)?"
)
Model = collections.namedtuple("Model", ["loaded", "signatures"])


class RefusedError(Exception):
    """What is answered in the place of an answer."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Models:
    """The models by their names."""

    def __init__(self, folders):
        self._models = {}
        for name, folder in folders.items():
            saved = saved_model_pb2.SavedModel.FromString(
                pathlib.Path(folder, "saved_model.pb").read_bytes()
            )
            signatures = get_model_metadata_pb2.SignatureDefMap(
                signature_def=saved.meta_graphs[0].signature_def
            )
            self._models[name] = Model(
                tf.saved_model.load(str(folder)), signatures
            )

    def find(self, name, version=None, label=None):
        if label not in (None, "", _LABEL):
            raise RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Unrecognized servable version label: {label}",
            )
        if name not in self._models or version not in (None, _VERSION):
            wanted = f"Specific({name}, {version})"
            if version is None:
                wanted = f"Latest({name})"
            raise RefusedError(
                grpc.StatusCode.NOT_FOUND,
                f"Servable not found for request: {wanted}",
            )
        return self._models[name]

    def find_spec(self, spec):
        version = spec.version.value if spec.HasField("version") else None
        return self.find(spec.name, version, spec.version_label)


def run(model, signature, inputs):
    """Outputs of a signature, `{name: array}`."""
    if signature not in model.signatures.signature_def:
        raise RefusedError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{signature}" not found.',
        )
    try:
        found = model.loaded.signatures[signature](
            **{name: tf.constant(value) for name, value in inputs.items()}
        )
    except (TypeError, ValueError, tf.errors.OpError) as error:
        raise RefusedError(
            grpc.StatusCode.INVALID_ARGUMENT, str(error)
        ) from error
    return {name: tensor.numpy() for name, tensor in found.items()}


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The same by gRPC."""

    def __init__(self, models):
        self._models = models

    def Predict(self, request, context):  # noqa: N802
        with _aborting(context):
            outputs = run(
                self._models.find_spec(request.model_spec),
                request.model_spec.signature_name or "serving_default",
                {
                    name: tf.make_ndarray(proto)
                    for name, proto in request.inputs.items()
                },
            )
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        return response

    def GetModelMetadata(self, request, context):  # noqa: N802
        with _aborting(context):
            model = self._models.find_spec(request.model_spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.metadata["signature_def"].Pack(model.signatures)
        return response


class _aborting:  # noqa: N801
    def __init__(self, context):
        self._context = context

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is RefusedError:
            self._context.abort(error.code, str(error))


class Handler(http.server.BaseHTTPRequestHandler):
    """The same by REST."""

    models = None

    def do_GET(self):
        self._answer("GET")

    def do_POST(self):
        self._answer("POST")

    def log_message(self, *_):
        pass

    def _answer(self, method):
        status, answer = 200, None
        try:
            answer = self._found(method)
        except RefusedError as refusal:
            numbers = {"NOT_FOUND": 404, "FAILED_PRECONDITION": 412}
            status = numbers.get(refusal.code.name, 400)
            answer = {"error": str(refusal)}
        content = json.dumps(answer, indent=1).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _found(self, method):
        path = _PATH.fullmatch(self.path)
        wanted = {"/metadata": "GET", ":predict": "POST", None: "GET"}
        if not path or wanted[path["what"]] != method:
            raise RefusedError(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Malformed request: {method} {self.path}",
            )
        name = urllib.parse.unquote(path["name"])
        version = int(path["version"]) if path["version"] else None
        model = self.models.find(name, version, path["label"])
        if path["what"] == ":predict":
            length = int(self.headers["Content-Length"])
            return predict(model, json.loads(self.rfile.read(length)))
        if path["what"] is None:
            state = {"version": str(_VERSION), "state": "AVAILABLE"}
            return {"model_version_status": [state]}
        signatures = json_format.MessageToDict(
            model.signatures,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        return {
            "model_spec": {"name": name, "version": str(_VERSION)},
            "metadata": {"signature_def": signatures},
        }


def predict(model, request):
    """The answer to a request by rows (`instances`) or by columns."""
    signature = request.get("signature_name", "serving_default")
    definition = model.signatures.signature_def[signature]
    by_row = "instances" in request
    if by_row:
        rows = request["instances"]
        if not all(isinstance(row, dict) and "b64" not in row for row in rows):
            (only,) = definition.inputs
            rows = [{only: row} for row in rows]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
    else:
        columns = request["inputs"]
        if not isinstance(columns, dict):
            (only,) = definition.inputs
            columns = {only: columns}
    inputs = {
        name: np.array(
            [_value(value) for value in values],
            tf.as_dtype(definition.inputs[name].dtype).as_numpy_dtype,
        )
        for name, values in columns.items()
    }
    outputs = {
        name: _lists(array.tolist(), as_bytes=name.endswith("_bytes"))
        for name, array in run(model, signature, inputs).items()
    }
    if by_row:
        rows = [dict(zip(outputs, row)) for row in zip(*outputs.values())]
        if len(outputs) == 1:
            rows = [value for row in rows for value in row.values()]
        return {"predictions": rows}
    if len(outputs) == 1:
        (outputs,) = outputs.values()
    return {"outputs": outputs}


def _value(value):
    """What a value of JSON stands for; an object holds base64."""
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def _lists(value, as_bytes):
    if isinstance(value, list):
        return [_lists(each, as_bytes) for each in value]
    if not isinstance(value, bytes):
        return value
    if as_bytes:
        return {"b64": base64.b64encode(value).decode()}
    return value.decode()


def main():
    models = Models(dict(each.split("=", 1) for each in sys.argv[1:]))
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(4),
        options=[("grpc.max_send_message_length", -1)],
    )
    service = Service(models)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        service, server
    )
    ports = {"grpc": server.add_insecure_port("127.0.0.1:0")}
    server.start()
    Handler.models = models
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    print(json.dumps({**ports, "http": rest.server_port}), flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
