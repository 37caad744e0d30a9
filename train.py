"""The one command: `train.py [fit | evaluate | predict | ... | list]`.

Without a command it fits, by default the smallest Bahdanau translator on
phrases that it generates itself.
"""

import argparse
import pathlib
import shlex
import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "Attention Zoo needs Python 3.11, 3.12 or 3.13, as TensorFlow does; "
        f"this is {sys.version_info[0]}.{sys.version_info[1]}."
    )

USAGE = """\
usage: train.py [fit] [--preset NAME] [--dataset NAME] [--FIELD VALUE ...]
       train.py evaluate RUN [--split test] [--decoder beam]
       train.py predict RUN_OR_SAVED_MODEL "a sentence" | FILE | PICTURE ...
       train.py align RUN SOURCE_FILE TARGET_FILE
       train.py export RUN_OR_PRETRAINED
       train.py list

`train.py COMMAND --help` tells all about a command. Without arguments the
default preset is fitted on its default data set."""


def fit(argv):
    """Fit a model, or go on with a run that was interrupted."""
    from training.cluster import distribution_arguments
    from training.distribution import start_distribution

    distribution = start_distribution(distribution_arguments(argv))
    with distribution.errors(), distribution.quiet():
        _fit(argv, distribution)


def _fit(argv, distribution):
    from training.configuration import default_name
    from training.fit_run import fit_run
    from training.fit_run import start_run
    from training.run_name import check_name
    from training.start import configure

    arguments, configuration = configure(argv)
    distribution.check_asked_for(arguments)
    name = arguments.name
    if name is None:
        name = default_name(configuration)
    check_name(name)
    directory = pathlib.Path(arguments.runs, name)
    run = start_run(directory, configuration, distribution)

    if run.metrics:
        print(f"{run.directory} is fitted to the end.")
    else:
        command = shlex.join(["python", "train.py", *argv])
        fit_run(
            configuration,
            run,
            arguments.data_dir,
            command,
            arguments.save_seconds,
            distribution,
        )
    # The others wait: a worker that is gone could not be started again alone.
    distribution.in_turn(
        lambda: _finish(run, configuration, arguments, name), lambda: None
    )


def _finish(run, configuration, arguments, name):
    """Show the scores, export, and show some answers."""
    from serving import export_run
    from serving import exported_version
    from training.configuration import card_texts
    from training.progress import score_table

    print(score_table(f"validation, {run.chosen}", run.metrics["validation"]))
    model = None
    if arguments.export:
        directory = f"saved_models/{name}"
        about = card_texts(arguments)
        model = exported_version(run, directory) or export_run(
            run, directory, about=about
        )
    _show_samples(model or run.directory, configuration, arguments.data_dir)
    print(f"\nrun          {run.directory}")
    if model:
        print(f"SavedModel   {model}")
    print(f"TensorBoard  tensorboard --logdir {arguments.runs}")
    print(f"test         python train.py evaluate {run.directory} --split test")


def _show_samples(path, configuration, data_dir, count=3):
    import serving
    from serving.terminal import show
    from training.task import load_task

    sources = load_task(configuration, data_dir).sources(count)
    answers = serving.load(path).explain(sources)
    for number, (source, answer) in enumerate(zip(sources, answers)):
        name = source if isinstance(source, str) else f"validation {number}"
        print(f"\n{show(name, answer)}")


def evaluate(argv):
    """Score the best model of a run on a split."""
    import jsonargparse

    from training.configuration import configuration_of
    from training.configuration import DATA_DIR_HELP
    from training.decoding import add_decoding_arguments
    from training.decoding import decoding_of
    from training.evaluate import evaluate_run
    from training.progress import score_table
    from training.run import Run

    parser = jsonargparse.ArgumentParser(
        prog="train.py evaluate",
        description=evaluate.__doc__,
        allow_abbrev=False,
    )
    parser.add_argument("run", type=str, help="Folder of the run.")
    parser.add_argument(
        "--split", default="validation", choices=["validation", "test"]
    )
    parser.add_argument("--data_dir", type=str, help=DATA_DIR_HELP)
    parser.add_argument(
        "--output",
        type=str,
        help="File for the answers: a line of names, then a row each, with "
        "tabs between the columns. Of translators they are source, "
        "translation, log_probability; of classifiers of texts text, class "
        "(the right one), label (the one found), probability (of that); of "
        "pictures the same with path or number for the text.",
    )
    add_decoding_arguments(parser)
    arguments = parser.parse_args(argv)
    run = Run.find(arguments.run)
    scores = evaluate_run(
        run,
        configuration_of(run.config),
        arguments.split,
        arguments.data_dir,
        arguments.output,
        decoding_of(arguments),
    )
    title = f"{run.name}, {arguments.split}"
    print(score_table(title, scores, run.drawings(arguments.split)))


def predict(argv):
    """Translate or classify, and show the attention."""
    parser = argparse.ArgumentParser(
        prog="train.py predict", description=predict.__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "model",
        help="A run, a SavedModel, or a folder of Hugging Face. One that "
        "embeds texts shows which of them are alike.",
    )
    parser.add_argument(
        "input",
        nargs="+",
        help="A sentence, or a text file with one a line; for a model of "
        "pictures a picture, or a folder of them.",
    )
    parser.add_argument(
        "--picture", help="PNG file for the attention of the first answer."
    )
    parser.add_argument(
        "--output",
        help="File for the answers, which are not shown then: a row each, "
        "with tabs between source, translation, log_probability; or text "
        "(of pictures path), label, probability; or text, embedding.",
    )
    arguments = parser.parse_args(argv)

    import serving
    from serving import prediction
    from serving.terminal import show
    from training.configuration import ConfigurationError

    model = serving.load(arguments.model)
    sources = prediction.sources_of(model, arguments.input)
    answers = prediction.answers_of(model, sources)
    if arguments.picture and sources:
        if prediction.is_encoder(model):
            raise ConfigurationError(
                "A model that embeds texts shows no attention. "
                f"Received: picture={arguments.picture}"
            )
        _draw(arguments.picture, model.explain(sources[:1])[0])
    if arguments.output:
        prediction.write_answers(arguments.output, model, answers)
    elif prediction.is_encoder(model):
        print(prediction.similarities(sources, [v for _, v in answers]))
    else:
        for source, answer in answers:
            print(show(source, answer), end="\n\n")


def _draw(path, answer):
    from serving.picture import picture_png
    from training.resume import write_atomically

    png = picture_png(answer)
    write_atomically(path, lambda file: file.write_bytes(png))


def align(argv):
    """Align the words of given translations by the attention of a run."""
    from training.configuration import DATA_DIR_HELP

    parser = argparse.ArgumentParser(
        prog="train.py align", description=align.__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add("run", help="Folder of the run.")
    add("source", help="Text file, a sentence a line.")
    add("target", help="Text file, the translation of each line.")
    add("--head", help="Name of the head, as `decoder/1/cross 3`.")
    add(
        "--shift",
        action="store_true",
        help="Look where the word was read, not where it was written.",
    )
    add(
        "--choose_on",
        metavar="DATASET",
        help="Choose head and shift on the validation split of this data "
        "set, which has gold alignments, as phrases.",
    )
    add("--data_dir", help=DATA_DIR_HELP)
    add("--output", help="File for the links, i-j, counted from 0.")
    add("--gold", help="File of gold links: 3-4 is sure, 3p4 possible.")
    add(
        "--gold_first_word",
        type=int,
        default=0,
        help="Number of the first word of a sentence in that file.",
    )
    arguments = parser.parse_args(argv)

    from training.align_files import align_files

    align_files(arguments)


def export(argv):
    """Export the best model of a run as the next version of a SavedModel."""
    import jsonargparse

    from serving import export_pretrained
    from serving import export_run
    from serving.pretrained import is_pretrained_folder
    from training.configuration import add_card_arguments
    from training.configuration import card_texts
    from training.decoding import add_decoding_arguments
    from training.decoding import decoding_of
    from training.run import Run

    parser = jsonargparse.ArgumentParser(
        prog="train.py export", description=export.__doc__, allow_abbrev=False
    )
    parser.add_argument(
        "run", type=str, help="Folder of the run, or one of Hugging Face."
    )
    parser.add_argument(
        "--to",
        type=str,
        help="Folder of all versions of the model; saved_models/<its name>.",
    )
    add_card_arguments(parser)
    parser.add_argument(
        "--beam_attention",
        type=bool,
        default=False,
        help="Whether the signature `beam` gives the attention of its "
        "hypotheses.",
    )
    sampling = ("decoder", "temperature", "top_k", "top_p", "seed")
    add_decoding_arguments(parser, skip=sampling)
    arguments = parser.parse_args(argv)
    beam = decoding_of(arguments, decoder="beam")
    options = {"beam": beam} if beam is not None else {}
    if arguments.beam_attention:
        options["beam_attention"] = True
    options["about"] = card_texts(arguments)
    directory = arguments.to
    if not directory:
        name = pathlib.Path(arguments.run).resolve().name
        directory = f"saved_models/{name}"
    if is_pretrained_folder(arguments.run):
        print(export_pretrained(arguments.run, directory, **options))
    else:
        print(export_run(Run.find(arguments.run), directory, **options))


def list_all(argv):
    """List the presets and the data sets."""
    argparse.ArgumentParser(
        prog="train.py list", description=list_all.__doc__
    ).parse_args(argv)

    import datasets
    import zoo

    print("presets")
    for name in zoo.list_presets():
        preset = zoo.get_preset(name)
        print(
            f"  {name:<28} {preset.parameters:>12,} parameters, "
            f"fitted on {preset.dataset}"
        )
    print("data sets")
    for name in datasets.list_datasets():
        print(f"  {name:<28} {datasets.summary(name)}")


COMMANDS = {
    "fit": fit,
    "evaluate": evaluate,
    "predict": predict,
    "align": align,
    "export": export,
    "list": list_all,
}


def main(argv=None):
    """Run a command.

    Args:
        argv: The arguments; those of the process by default.

    Returns:
        The exit status: 0, 2 if what was asked for can't be done, 75 if
        another worker or a data server of a fit is gone, 128 and the number
        of the signal if one stopped a fit.
    """
    argv = sys.argv[1:] if argv is None else argv
    argv = [_with_underscores(argument) for argument in argv]
    if argv and argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    command = "fit" if not argv or argv[0].startswith("-") else argv.pop(0)
    if command not in COMMANDS:
        print(f"train.py: no command {command!r}\n{USAGE}", file=sys.stderr)
        return 2
    from training.cluster import ClusterError
    from training.cluster import distribution_arguments
    from training.cluster import LostPeerError
    from training.cluster import TRY_AGAIN
    from training.quiet_import import import_tensorflow

    try:
        cluster = command == "fit" and distribution_arguments(argv).cluster
    except ClusterError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    import_tensorflow(look_for_devices=not cluster)
    from datasets import DataError
    from training.configuration import ConfigurationError
    from training.interruption import InterruptedFitError

    try:
        COMMANDS[command](argv)
    except InterruptedFitError as stop:
        print(f"train.py: {stop}", file=sys.stderr)
        return 128 + stop.signal
    except LostPeerError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return TRY_AGAIN
    except (
        ConfigurationError,
        DataError,
        FloatingPointError,
        OSError,  # such as a full disk
    ) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    return 0


def _with_underscores(argument):
    """`--data-dir=a-b` as `--data_dir=a-b`: fields are spelt so."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}"


if __name__ == "__main__":
    sys.exit(main())
