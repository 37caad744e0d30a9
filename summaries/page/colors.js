// Colours of weights, differences and heads.

// From the background to the accent, through steps of even lightness.
const SEQUENTIAL = {
  light: [
    [255, 255, 255], [222, 235, 247], [158, 202, 225], [66, 146, 198],
    [8, 81, 156], [8, 30, 70],
  ],
  dark: [
    [24, 26, 32], [30, 52, 84], [36, 94, 140], [60, 150, 190],
    [140, 210, 210], [250, 250, 210],
  ],
};
const LESS = { light: [178, 60, 20], dark: [255, 140, 90] };
const MORE = { light: [10, 90, 160], dark: [110, 190, 255] };
const MISSING = [200, 0, 160]; // a weight that is no number

export const theme = () =>
  document.documentElement.dataset.theme === "dark" ? "dark" : "light";

/** A weight from 0 to 1 as `[red, green, blue]`. */
export function weightColor(weight, scheme = theme()) {
  if (Number.isNaN(weight)) return MISSING;
  const stops = SEQUENTIAL[scheme];
  const place = Math.min(Math.max(weight, 0), 1) * (stops.length - 1);
  const before = Math.min(Math.floor(place), stops.length - 2);
  return mix(stops[before], stops[before + 1], place - before);
}

/** What lies over a picture: one colour that pictures seldom have. */
export const OVER_PICTURE = [255, 200, 0];

/** A difference from -1 to 1. */
export function differenceColor(value, scheme = theme()) {
  if (Number.isNaN(value)) return MISSING;
  const end = (value < 0 ? LESS : MORE)[scheme];
  const part = Math.sqrt(Math.min(Math.abs(value), 1));
  return mix(SEQUENTIAL[scheme][0], end, part);
}

/** A table of 256 colours for bytes, four bytes each. */
export function byteColors(scheme = theme()) {
  const table = new Uint8ClampedArray(256 * 4);
  for (let byte = 0; byte < 256; byte++) {
    table.set([...weightColor(byte / 255, scheme), 255], byte * 4);
  }
  return table;
}

/** The colour of a head, the same in every layer. */
export function headColor(head, count) {
  const hue = Math.round((360 * head) / Math.max(count, 1) + 210) % 360;
  return `hsl(${hue} 75% ${theme() === "dark" ? 68 : 36}%)`;
}

function mix(left, right, part) {
  return left.map((value, n) => Math.round(value + (right[n] - value) * part));
}
