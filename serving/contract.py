"""The signatures that exported models have, and where one differs."""

import dataclasses

import tensorflow as tf

# Rows of a request: `max_batch_size` of batching.config.
MOST_ROWS = 32


@dataclasses.dataclass(frozen=True)
class Signature:
    """Names of inputs and outputs, with type and number of axes of each.

    Attributes:
        inputs: `{name: (dtype, rank)}`.
        outputs: The same of outputs that are always there.
        more_outputs: The same of outputs that some models have.
    """

    inputs: dict
    outputs: dict
    more_outputs: dict = dataclasses.field(default_factory=dict)


_TEXT = {"text": ("string", 1)}
_IMAGE = {"image": ("string", 1)}
_CLASSES = {"label": ("string", 1), "probabilities": ("float32", 2)}
_VALID_CLASSES = {**_CLASSES, "valid": ("bool", 1)}
_EMBEDDINGS = {"embeddings": ("float32", 2)}
_TRANSLATION = {"translation": ("string", 1), "score": ("float32", 1)}
_TRUNCATED = {"truncated": ("bool", 1)}

# By kind of model: the signatures that it has, and those that it may have.
_KINDS = {
    "translator": (
        {
            "serving_default": Signature(_TEXT, _TRANSLATION),
            "explain": Signature(
                _TEXT,
                {
                    **_TRANSLATION,
                    **_TRUNCATED,
                    "source_tokens": ("string", 2),
                    "target_tokens": ("string", 2),
                },
                {
                    "attention": ("float32", 5),
                    "encoder_attention": ("float32", 5),
                    "decoder_attention": ("float32", 5),
                },
            ),
        },
        {
            "beam": Signature(
                _TEXT,
                {
                    "translations": ("string", 2),
                    "scores": ("float32", 2),
                    "log_probabilities": ("float32", 2),
                },
                {
                    "source_tokens": ("string", 2),
                    "target_tokens": ("string", 3),
                    "attention": ("float32", 6),
                    "encoder_attention": ("float32", 6),
                    "decoder_attention": ("float32", 6),
                },
            )
        },
    ),
    "classifier of texts": (
        {
            "serving_default": Signature(_TEXT, _CLASSES),
            "explain": Signature(
                _TEXT,
                {
                    **_CLASSES,
                    **_TRUNCATED,
                    "tokens": ("string", 2),
                    "attention": ("float32", 5),
                },
                {"pooling_attention": ("float32", 2)},
            ),
        },
        {"embed": Signature(_TEXT, _EMBEDDINGS)},
    ),
    "encoder of texts": (
        {"serving_default": Signature(_TEXT, _EMBEDDINGS)},
        {},
    ),
    "classifier of pictures": (
        {
            "serving_default": Signature(_IMAGE, _VALID_CLASSES),
            "images": Signature({"images": ("float32", 4)}, _VALID_CLASSES),
            "explain": Signature(
                _IMAGE,
                {
                    **_VALID_CLASSES,
                    "images": ("uint8", 4),
                    "attention": ("float32", 5),
                    "rollout": ("float32", 3),
                },
            ),
        },
        {},
    ),
}


def served_signatures(meta_graph):
    """The `{name: SignatureDef}` that a client may ask for."""
    return {
        name: signature
        for name, signature in meta_graph.signature_def.items()
        if signature.method_name
    }


def kind_of(signatures):
    """The kind of a model, by its `serving_default`; None for no kind."""
    default = signatures.get("serving_default")
    for kind, (needed, _) in _KINDS.items():
        expected = needed["serving_default"]
        if (
            default is not None
            and expected.inputs.keys() <= default.inputs.keys()
            and expected.outputs.keys() <= default.outputs.keys()
        ):
            return kind
    return None


def signature_problems(signatures):
    """Where signatures are not those of a model of the zoo, as messages.

    Args:
        signatures: `{name: SignatureDef}`.
    """
    kind = kind_of(signatures)
    missing = [
        f"{name}: a {kind} must have this signature"
        for name in (_KINDS[kind][0] if kind else ())
        if name not in signatures
    ]
    return missing + form_problems(signatures)


def form_problems(signatures):
    """The same of those signatures alone that are there."""
    kind = kind_of(signatures)
    if kind is None:
        return [
            "serving_default must take text or image and give translation, "
            "probabilities or embeddings. Received: "
            f"signatures={', '.join(signatures) or 'none'}"
        ]
    needed, more = _KINDS[kind]
    problems = []
    for name, signature in signatures.items():
        expected = {**needed, **more}.get(name)
        if expected is not None:
            problems += [
                f"{name}: {problem}"
                for problem in _differences(signature, expected)
            ]
    return problems


def _differences(signature, expected):
    """Messages for one signature, the type and rank of each tensor."""
    for name in sorted(set(signature.inputs) ^ set(expected.inputs)):
        told = "is no input" if name in signature.inputs else "is missing"
        yield f"the input {name} {told}"
    for name in sorted(expected.outputs.keys() - signature.outputs.keys()):
        yield f"the output {name} is missing"
    outputs = {**expected.outputs, **expected.more_outputs}
    for found, tensors in (
        (signature.inputs, expected.inputs),
        (signature.outputs, outputs),
    ):
        for name in sorted(found.keys() & tensors.keys()):
            dtype, rank = tensors[name]
            is_so = type_of(found[name]) == dtype
            if not is_so or _shape_of(found[name]).rank != rank:
                yield (
                    f"{name} must be {dtype} with {rank} axes. "
                    f"Received: {describe(found[name])}"
                )


def batch_problems(signatures):
    """Inputs and outputs whose first axis is not the batch, as messages."""
    problems = []
    for name, signature in signatures.items():
        for tensors in (signature.inputs, signature.outputs):
            problems += [
                f"{name}: the first axis of {tensor} must be free, the batch. "
                f"Received: {describe(info)}"
                for tensor, info in sorted(tensors.items())
                if not _has_batch(_shape_of(info))
            ]
    return problems


def _has_batch(shape):
    return bool(shape.rank) and shape[0] is None


def describe(info):
    """A `TensorInfo` as a model card writes it."""
    shape = _shape_of(info)
    axes = None if shape.rank is None else shape.as_list()
    return f"{type_of(info) or 'no type'} {axes}"


def type_of(info):
    """The name of the type of a `TensorInfo`, or "" if it has none."""
    try:
        return tf.as_dtype(info.dtype).name
    except TypeError:
        return ""


def _shape_of(info):
    try:
        return tf.TensorShape(info.tensor_shape)
    except ValueError:  # of a size below -1
        return tf.TensorShape(None)
