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

    Raises:
        ValueError: If there is no answer, or no attention in one.
    """
    rows = [_row(answer) for answer in answers]
    if not rows:
        raise ValueError("There is no text and no picture in the input.")
    return {name: [row[name] for row in rows] for name in rows[0]}


def _row(answer):
    if answer.attention is None:
        raise ValueError("This model has no attention to look at.")
    row = {"attention": np.asarray(answer.attention)}
    names = ("encoder_attention", "decoder_attention", "pooling_attention")
    for name in names:
        if getattr(answer, name, None) is not None:
            row[name] = np.asarray(getattr(answer, name))
    if hasattr(answer, "source_tokens"):
        return row | {
            "translation": answer.text,
            "source_tokens": list(answer.source_tokens),
            "target_tokens": list(answer.tokens),
            "truncated": answer.truncated,
        }
    row |= {"label": answer.label, "probabilities": [answer.probability]}
    if hasattr(answer, "tokens"):
        return row | {
            "tokens": list(answer.tokens),
            "truncated": answer.truncated,
        }
    return row | {
        "images": np.asarray(answer.image),
        "rollout": np.asarray(answer.rollout),
        "valid": answer.valid,
    }


def card_of(model):
    """The model card beside a SavedModel, of the version that is loaded; or
    an empty one."""
    folder = pathlib.Path(model)
    versions = [path for path in folder.glob("*") if path.name.isdecimal()]
    if versions:
        folder = max(versions, key=lambda path: int(path.name))
    try:
        return json.loads((folder / "model_card.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # the page then counts the layers


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
    from serving.prediction import answers_of
    from serving.prediction import is_encoder
    from serving.prediction import sources_of
    from training.configuration import ConfigurationError
    from training.resume import write_atomically

    try:
        model = serving.load(arguments.model)
        if is_encoder(model):
            raise ConfigurationError(
                f"{arguments.model} embeds texts and shows no attention."
            )
        sources = sources_of(model, arguments.input)
        answers = [answer for _, answer in answers_of(model, sources)]
        card = card_of(arguments.model)
        page = standalone_page(
            pathlib.Path(arguments.model).resolve().name,
            outputs_of(answers),
            card.get("attention_layers"),
            card.get("attention_heads"),
        )
        path = pathlib.Path(arguments.output or "attention.html").resolve()
        write_atomically(path, lambda file: file.write_text(page, "utf-8"))
    except (ValueError, OSError) as error:
        print(f"summaries.view: {error}", file=sys.stderr)
        return 2
    print(path)
    if not arguments.output:
        webbrowser.open(path.as_uri())
    return 0


if __name__ == "__main__":
    sys.exit(main())
