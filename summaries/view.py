"""The attention of a fitted model on one input, as a page to look at.

    python -m summaries.view saved_models/NAME "a sentence"
    python -m summaries.view saved_models/NAME picture.png --output page.html

The page is one file that needs neither network nor server.
"""

import argparse
import json
import pathlib
import sys
import webbrowser

import numpy as np

from summaries.standalone import standalone_page


def outputs_of(answers):
    """Answers of `serving.load(...).explain`, as outputs of the signature.

    Args:
        answers: A `Translation`, `TextClassification` or
            `ImageClassification` for each input, of one kind.

    Returns:
        A dictionary of lists, a value for each answer.
    """
    rows = [_row(answer) for answer in answers]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _row(answer):
    row = {"attention": np.asarray(answer.attention)}
    if hasattr(answer, "source_tokens"):
        row |= {
            "translation": answer.text,
            "source_tokens": list(answer.source_tokens),
            "target_tokens": list(answer.tokens),
        }
        for name in ("encoder_attention", "decoder_attention"):
            if getattr(answer, name) is not None:
                row[name] = np.asarray(getattr(answer, name))
        return row
    row |= {"label": answer.label, "probabilities": [answer.probability]}
    if hasattr(answer, "tokens"):
        return row | {"tokens": list(answer.tokens)}
    return row | {
        "images": np.asarray(answer.image),
        "rollout": np.asarray(answer.rollout),
        "valid": answer.valid,
    }


def layers_of(model):
    """Names of the layers, from the model card where there is one."""
    model = pathlib.Path(model)
    for path in sorted(model.glob("**/model_card.json"), reverse=True):
        return json.loads(path.read_text("utf-8")).get("attention_layers", {})
    return {}


def main(argv=None):
    """Write the page, and open it."""
    parser = argparse.ArgumentParser(
        prog="python -m summaries.view",
        description="Write a page that shows the attention of a model.",
        allow_abbrev=False,
    )
    parser.add_argument("model", help="A SavedModel or a run.")
    parser.add_argument(
        "input", nargs="+", help="Sentences, or for pictures their files."
    )
    parser.add_argument(
        "--output",
        help="The HTML file; by default attention.html here, which is also "
        "opened in the browser.",
    )
    arguments = parser.parse_args(argv)

    import serving
    from serving.prediction import sources_of
    from training.configuration import ConfigurationError
    from training.resume import write_atomically

    try:
        model = serving.load(arguments.model)
        if not hasattr(model, "explain"):
            raise ConfigurationError(
                f"{arguments.model} has no signature `explain`."
            )
        answers = model.explain(sources_of(model, arguments.input))
    except (ValueError, OSError) as error:
        print(f"summaries.view: {error}", file=sys.stderr)
        return 2
    page = standalone_page(
        pathlib.Path(arguments.model).name,
        outputs_of(answers),
        layers_of(arguments.model),
    )
    path = pathlib.Path(arguments.output or "attention.html").resolve()
    write_atomically(path, lambda file: file.write_text(page, "utf-8"))
    print(path)
    if not arguments.output:
        webbrowser.open(path.as_uri())
    return 0


if __name__ == "__main__":
    sys.exit(main())
