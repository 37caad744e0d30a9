"""A search on JAX finds what it finds on TensorFlow."""

import os
import pathlib
import subprocess
import sys

import numpy as np

import zoo
from zoo import Decoding

ROOT = pathlib.Path(zoo.__file__).parent.parent
MAX_LENGTH = 12
DECODINGS = {
    "greedy": Decoding(),
    "greedy-rules": Decoding(min_length=4, no_repeat_ngram=2),
    "beam": Decoding("beam", beam_width=4, length_penalty=0.8),
    "beam-rules": Decoding(
        "beam", beam_width=3, min_length=3, no_repeat_ngram=2
    ),
    "sample": Decoding("sample"),
    "sample-few": Decoding("sample", temperature=1.5, top_k=6, top_p=0.9),
}
SOURCES = np.array(
    [
        [5, 6, 7, 3, 0, 0, 0],
        [4, 5, 6, 7, 8, 9, 3],
        [3, 0, 0, 0, 0, 0, 0],
        [16, 4, 12, 4, 3, 0, 0],
    ]
)
UNIFORMS = np.random.default_rng(3).random((4, MAX_LENGTH), "float32")


def search(paths):
    """What each search finds with each model, as a flat dictionary."""
    import keras

    found = {}
    for path in paths:
        model = keras.models.load_model(path)
        for name, decoding in DECODINGS.items():
            hypotheses = model.hypotheses(
                SOURCES, MAX_LENGTH, decoding, UNIFORMS
            )
            found |= _fields(f"{pathlib.Path(path).stem} {name}", hypotheses)
        # With a limit of its own for each sentence.
        hypotheses = model.hypotheses(SOURCES, None, DECODINGS["beam-rules"])
        found |= _fields(f"{pathlib.Path(path).stem} limits", hypotheses)
    return found


def _fields(name, hypotheses):
    return {
        f"{name} {field}": np.asarray(value)
        for field, value in hypotheses._asdict().items()
    }


def test_same_on_jax(make_translator, tmp_path, long_form):
    paths = []
    for kind in ("bahdanau", "transformer") if long_form else ("transformer",):
        paths.append(str(tmp_path / f"{kind}.keras"))
        make_translator(kind=kind).save(paths[-1])
    subprocess.run(
        [sys.executable, __file__, str(tmp_path / "jax.npz"), *paths],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": str(ROOT),
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        },
        check=True,
        timeout=600,
    )
    ours, theirs = search(paths), np.load(tmp_path / "jax.npz")
    assert set(ours) == set(theirs) and len(ours) == len(paths) * 7 * 3
    for name, value in ours.items():
        if name.endswith("tokens"):
            assert value.any(), name
            np.testing.assert_array_equal(theirs[name], value, err_msg=name)
        else:
            np.testing.assert_allclose(
                theirs[name], value, rtol=1e-4, atol=1e-5, err_msg=name
            )


if __name__ == "__main__":
    import keras

    assert keras.backend.backend() == "jax"
    assert "tensorflow" not in sys.modules
    np.savez(sys.argv[1], **search(sys.argv[2:]))
