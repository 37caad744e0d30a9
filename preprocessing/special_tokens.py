"""The tokens that are no text, the same in every vocabulary."""

PADDING, UNKNOWN, START, END = "", "[UNK]", "[START]", "[END]"
SPECIAL_TOKENS = (PADDING, UNKNOWN, START, END)
PADDING_ID, UNKNOWN_ID, START_ID, END_ID = range(4)

# Stands for the blank before a token, as in SentencePiece, so that the text
# can be put together again exactly.
WORD_START = "\N{LOWER ONE EIGHTH BLOCK}"
