"""A small file of texts for fits in tests."""


def write_texts(folder):
    """Texts of two kinds, told apart by one word."""
    words = ["red", "green", "blue", "old", "new"]
    rows = ["text,label"]
    for number in range(60):
        word = ("good", "bad")[number % 2]
        rest = [words[(number + k * k) % 5] for k in range(1 + number % 4)]
        rows.append(f"{' '.join(rest)} {word} {number},{word}")
    path = folder / "texts.csv"
    path.write_text("\n".join(rows), "utf-8")
    return path
