"""Write what transformers makes of texts and pictures, for the tests.

    python tests/preprocessing/golden/make_golden.py --picture FILE

needs `torch`, `transformers` (requirements-bench.txt) and Pillow; FILE is
`sklearn/datasets/images/flower.jpg` of scikit-learn. It writes the folders
`bert` and `vit` as `save_pretrained` leaves them, `word_piece.json` with texts
and their ids under different settings, and `pictures.npz` with what a ViT
would see.
"""

import argparse
import json
import pathlib
import random

import numpy as np
import PIL.Image
import transformers
from transformers.models.vit.image_processing_pil_vit import (
    ViTImageProcessorPil,
)

HERE = pathlib.Path(__file__).parent

SETTINGS = (
    {"do_lower_case": True},
    {"do_lower_case": False},
    {"do_lower_case": True, "strip_accents": False},
    {
        "do_lower_case": False,
        "strip_accents": True,
        "tokenize_chinese_chars": False,
    },
)
PIECES = (
    "the quick brown fox un believ able ##believ ##able ##ing jump ##ed ##s "
    "straße strasse ##ße ##ss été ete ##té ##te naïve naive Å a Σ σ ς "
    "οδος οδός ##ος İ i ı ##̇ 漢 字 漢字 仮 ##字 かな カ ##ナ 한 국 ##국 "
    "й и ##й ё е 10 ##0 ##10 ½ ² ! ? , . ; ' \" ( ) [ ] - _ $ ^ ` ~ < > # @ "
    "— … « » 。 、 😀 👩 ##💻 ☀ cls mask [unused0] ##] x ##x ##xx ▁ हिन ##्दी हन"
)
TEXTS = (
    *(
        "",
        " ",
        "\t\n\r",
        "\0",
        "\u200b\u00ad\ufeff",
        "\ufffd",
        "\u2028x\u3000x",
    ),
    *("The QUICK brown fox!", "unbelievable, unbelieving.", "jumped-jumps"),
    *("Été naïve STRASSE straße", "e\u0301te\u0301", "Å \u212b A\u030a"),
    *(
        "ΟΔΟΣ οδός Σ ΣΣ. οΣ",
        "İ ı I i\u0307",
        "漢字仮名 漢\u0301字",
        "カナ한국어",
    ),
    *("ЙЁ и\u0306", "10 100 10,10 1010", "½² ٣", "हिन्दी", "👩‍💻 😀☀\ufe0f"),
    *("$^`~<>#@_|+=", "a—b…«c»", "。、漢、", "▁the ▁ ##ing", "\u00a0the\u00a0"),
    *("[CLS] the [SEP]", "a[MASK]b", "[UNK]", "[mask] [ MASK ]", "[[MASK]]"),
    *("[MA\u200bSK]", "[MA\ue000SK] \ue000 \ue003x", "[unused0]", "[CLS][CLS]"),
    *("x" * 99, "x" * 100, "x" * 101, "é" * 100, "é" * 101, "a\u0301" * 51),
    *("x" * 101 + " fox " + "x" * 500, "the\x00 fo\x07x\x7f", "\U000e0041the"),
    *(
        "\uf900\U0002f800",
        "\U0002b820\U0002b920",
        "\u037e\u1fef",
        "a\u0345\u20dd",
    ),
    "fox " * 300,
)
ALPHABET = (
    " \tabxXthefoE!?.,'[]#-_$é\u0301ïÅßΣσİıйЁ漢字カ한½²٣😀👩"
    "\u200d\ufe0f\u00a0\u3000\0\u200bहनि्"
)


def texts():
    """Hard ones by hand, and mixtures."""
    generator = random.Random(0)
    words = [*PIECES.split(), "[MASK]", "[SEP]", " ", " ", " "]
    mixed = [
        "".join(
            generator.choice(words if generator.random() < 0.5 else ALPHABET)
            for _ in range(generator.randint(1, 25))
        )
        for _ in range(400)
    ]
    return [*TEXTS, *mixed]


def vocabulary():
    """Small, and not in the order of another."""
    letters = [chr(place) for place in range(33, 127)]
    pieces = dict.fromkeys(
        [*PIECES.split(), *letters, *("##" + letter for letter in letters)]
    )
    names = ("[SEP]", "[UNK]", "[MASK]", "[CLS]")
    pieces = list(pieces)
    for place, name in zip((3, 17, 30, 55), names):
        pieces.insert(place, name)
    return ["[PAD]", *pieces]


def word_piece():
    """The ids without [CLS] and [SEP] around them."""
    tokens = vocabulary()
    ids = {token: place for place, token in enumerate(tokens)}
    found = {"vocabulary": tokens, "texts": texts(), "settings": []}
    for settings in SETTINGS:
        tokenizer = transformers.BertTokenizer(vocab=ids, **settings)
        given = tokenizer(found["texts"], add_special_tokens=False)
        found["settings"].append({**settings, "ids": given["input_ids"]})
    tokenizer = transformers.BertTokenizer(vocab=ids, model_max_length=24)
    tokenizer.save_pretrained(HERE / "bert")
    labels = {"id2label": {0: "calm", 1: "angry", 2: "calm"}}
    transformers.BertConfig(
        vocab_size=len(tokens), max_position_embeddings=40, **labels
    ).save_pretrained(HERE / "bert")
    given = tokenizer(found["texts"], truncation=True)
    found["cut"] = given["input_ids"]
    return found


def pictures(path):
    """One of another size, and one of the right size."""
    photograph = PIL.Image.open(path).convert("RGB")
    size = {"height": 48, "width": 64}
    usual = {"size": size, "image_mean": [0.4, 0.5, 0.6], "resample": 3}
    usual["image_std"] = [0.2, 0.25, 0.3]
    ViTImageProcessorPil(**usual).save_pretrained(HERE / "vit")
    transformers.ViTConfig(
        image_size=[48, 64], id2label={0: "rose", 1: "tulip"}
    ).save_pretrained(HERE / "vit")
    small = np.random.default_rng(0).integers(0, 256, (48, 64, 3), "uint8")
    found = {"small": small}
    for name, more in (
        ("small", {}),
        ("factor", {"rescale_factor": 1 / 127.5}),
        ("plain", {"do_normalize": False}),
    ):
        processor = ViTImageProcessorPil(**usual, **more)
        found[f"{name}_seen"] = _seen(processor, small)
    for resample in (2, 3):
        processor = ViTImageProcessorPil(**{**usual, "resample": resample})
        found[f"resample_{resample}"] = _seen(processor, photograph)
    return found


def _seen(processor, picture):
    pixels = processor(picture, return_tensors="np")["pixel_values"]
    return np.moveaxis(pixels[0], 0, -1).astype("float32")


def main():
    """Write the files beside this one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--picture", metavar="FILE", required=True)
    path = parser.parse_args().picture
    text = json.dumps(word_piece(), ensure_ascii=False, separators=(",", ":"))
    (HERE / "word_piece.json").write_text(text + "\n", "utf-8")
    np.savez_compressed(HERE / "pictures.npz", **pictures(path))


if __name__ == "__main__":
    main()
