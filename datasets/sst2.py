"""SST-2: sentences of film reviews, positive or negative.

The Stanford Sentiment Treebank, whole sentences without the neutral ones,
lower-cased and tokenised: 6,920 to train on, 872 for validation, 1,821 for
the test.
"""

from datasets._classes import texts_dataset
from datasets._download import find_or_download
from datasets._errors import DataError
from datasets._pairs import decode_lines
from datasets._registry import LoadedDataset
from datasets._registry import register

_URL = (
    "https://raw.githubusercontent.com/clairett/"
    "pytorch-sentiment-classification/master/data/SST2/"
)
_SPLITS = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
_SHA256 = {
    "train.tsv": (
        "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"
    ),
    "dev.tsv": (
        "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"
    ),
    "test.tsv": (
        "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"
    ),
}
_SIZE_LIMIT = 2_000_000
_LABELS = {"0": 0, "1": 1}


@register("sst2")
def sst2(data_dir: str | None = None):
    """Loads SST-2, sentences of film reviews that are positive or negative.

    Args:
        data_dir: Folder in which `sst2/train.tsv` and its siblings are
            looked for before the cache and the network.

    Returns:
        A `LoadedDataset`.

    Raises:
        DataError: A file cannot be found, downloaded or read.
    """
    return LoadedDataset(
        name="sst2",
        task="text_classification",
        description="Sentences of film reviews, positive or negative.",
        class_names=("negative", "positive"),
        url="https://nlp.stanford.edu/sentiment/",
        citation=(
            "Socher et al. (2013), Recursive Deep Models for Semantic "
            "Compositionality Over a Sentiment Treebank"
        ),
        splits={
            split: texts_dataset(*_read(name, data_dir))
            for split, name in _SPLITS.items()
        },
    )


def _read(name, data_dir):
    """Returns the list of the sentences of a file and that of their labels."""
    path = find_or_download(
        f"sst2/{name}",
        url=f"{_URL}{name}",
        checksum=f"sha256:{_SHA256[name]}",
        size_limit=_SIZE_LIMIT,
        data_dir=data_dir,
    )
    sentences, labels = [], []
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(decode_lines(file, path), start=1):
                # Quotes mean nothing here.
                sentence, _, label = line.rpartition("\t")
                if not sentence.strip() or label not in _LABELS:
                    raise DataError(
                        f"{path}, line {number}: a sentence, a tab and 0 or 1 "
                        f"are needed. Received: {line[:80]!r}"
                    )
                sentences.append(sentence)
                labels.append(_LABELS[label])
    except OSError as error:
        raise DataError(
            f"The file cannot be read: {error}. Received: path={str(path)!r}"
        ) from error
    return sentences, labels
