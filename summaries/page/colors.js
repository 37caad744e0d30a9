// Colours of weights, differences and heads.

import { node } from "./elements.js";

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
const LEVELS = 512;

/** What lies over a picture: one colour that pictures seldom have. */
export const OVER_PICTURE = [255, 200, 0];

export const theme = () =>
  document.documentElement.dataset.theme === "dark" ? "dark" : "light";

/** A weight from 0 to 1 as `[red, green, blue]`; its square root counts, so
 * that small weights are seen. */
export function weightColor(weight, scheme = theme()) {
  if (Number.isNaN(weight)) return MISSING;
  const stops = SEQUENTIAL[scheme];
  const root = Math.sqrt(Math.min(Math.max(weight, 0), 1));
  const place = root * (stops.length - 1);
  const before = Math.min(Math.floor(place), stops.length - 2);
  return mix(stops[before], stops[before + 1], place - before);
}

/** A difference from -1 to 1, likewise. */
export function differenceColor(value, scheme = theme()) {
  if (Number.isNaN(value)) return MISSING;
  const end = (value < 0 ? LESS : MORE)[scheme];
  const part = Math.sqrt(Math.min(Math.abs(value), 1));
  return mix(SEQUENTIAL[scheme][0], end, part);
}

/** A function from a weight or difference to a pixel, as a Uint32Array over
 * the data of a picture takes it. */
export function colorsOf(isDifference, scheme = theme()) {
  const color = isDifference ? differenceColor : weightColor;
  const table = new Uint32Array(2 * LEVELS + 1);
  // By the square root, as the colours go.
  table.forEach((_, place) => {
    const root = (place - LEVELS) / LEVELS;
    table[place] = pixelOf(color(Math.sign(root) * root * root, scheme));
  });
  const missing = pixelOf(MISSING);
  return (weight) => {
    if (weight !== weight) return missing;
    const root = Math.sqrt(Math.min(Math.abs(weight), 1)) * LEVELS;
    return table[Math.round(weight < 0 ? LEVELS - root : LEVELS + root)];
  };
}

/** Pixels of the 256 levels of a small map, which are square roots. */
export function thumbnailColors() {
  return Uint32Array.from({ length: 256 }, (_, byte) =>
    pixelOf(weightColor((byte / 255) ** 2)),
  );
}

/** What the colours mean. */
export function legend(isDifference) {
  const ends = isDifference ? [-1, 1] : [0, 1];
  const element = node("span", "legend");
  const bar = node("canvas");
  Object.assign(bar, { width: 101, height: 1 });
  const colorOf = colorsOf(isDifference);
  const context = bar.getContext("2d");
  const image = context.createImageData(101, 1);
  const pixels = new Uint32Array(image.data.buffer);
  pixels.forEach((_, place) => {
    const root = ends[0] + ((ends[1] - ends[0]) * place) / 100;
    pixels[place] = colorOf(Math.sign(root) * root * root);
  });
  context.putImageData(image, 0, 0);
  bar.setAttribute("aria-hidden", "true");
  element.append(String(ends[0]).replace("-", "−"), bar, String(ends[1]));
  element.title = "The colours go by the square root of the weight.";
  return element;
}

/** The colour of a head, the same in every layer. */
export function headColor(head, count, scheme = theme()) {
  const hue = Math.round((360 * head) / Math.max(count, 1) + 210) % 360;
  return `hsl(${hue} 75% ${scheme === "dark" ? 68 : 36}%)`;
}

function mix(left, right, part) {
  return left.map((value, n) => Math.round(value + (right[n] - value) * part));
}

// All machines of today have their bytes in this order.
const pixelOf = ([red, green, blue]) =>
  ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
