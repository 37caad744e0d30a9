// Tokens as labels: nothing in them is ever read as HTML, and none disturbs
// its neighbours.

import { node } from "./elements.js";

const LONGEST = 24;

/** One line of at most 24 characters, with signs for what can't be seen. */
export function label(token, longest = LONGEST) {
  const characters = Array.from(token.slice(0, 4 * longest));
  const cut = characters.length > longest || token.length > 4 * longest;
  const kept = cut ? characters.slice(0, longest - 1) : characters;
  const shown = kept.map(visible).join("");
  return (shown || "␣") + (cut ? "…" : "");
}

/** A label among others: signs of its own direction end with it. */
export const isolated = (token) => `\u2068${label(token)}\u2069`;

/** A text on one line, with blanks as they are. */
export function sentence(text, longest) {
  return label(text.replace(/\s+/gu, " "), longest).replaceAll("␣", " ");
}

function visible(character) {
  if (/\s/u.test(character)) return "␣";
  // Control and format characters, those of direction among them, and what
  // is no character.
  if (/[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}]/u.test(character)) return "\uFFFD";
  return character;
}

/** An element with a token; its direction does not reach what is around. */
export function tokenElement(name, token, longest = LONGEST) {
  const element = node(name);
  const inside = node("bdi", "", label(token, longest));
  element.append(inside);
  if (token.length > longest) element.title = label(token, 400);
  return element;
}

/** What stands along an axis, as strings. */
export function labelsOf(side) {
  if (side.kind !== "patches") return side.tokens;
  const before = Array.from(
    { length: side.num_prefix_tokens },
    (_, number) => (number ? `token ${number}` : "[CLASS]"),
  );
  const [rows, columns] = side.grid;
  const patches = Array.from(
    { length: rows * columns },
    (_, n) => `${Math.floor(n / columns)}, ${n % columns}`,
  );
  return [...before, ...patches];
}
