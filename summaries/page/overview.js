// All layers by heads, as small maps with their diagnostics.

import { headColor, thumbnailColors } from "./colors.js";
import { ARROWS, node } from "./elements.js";
import { format } from "./numbers.js";
import { diagnosticsOf, headName } from "./state.js";

// Name, title, what it says, and the value that fills the bar; null: the
// greatest of all heads.
const DIAGNOSTICS = [
  ["entropy", "entropy", "over how many keys a row spreads, in nats, beside the greatest here", null],
  ["max_weight", "maximum", "mean of the greatest weight of each row", 1],
  ["padding_leak", "leak", "weight on padding; more than 0 is a mistake", 1],
  ["head_redundancy", "redundancy", "likeness to the other heads", 1],
];
const KINDS = {
  NaN: "has weights that are no numbers",
  uniform: "looks at all alike",
  "one token": "looks at one key from almost everywhere",
  diagonal: "looks at the same place, or beside it",
};

export class Overview {
  /** @param {(layer: number, head: number) => void} choose */
  constructor(choose) {
    this.choose = choose;
    this.element = node("section", "overview-area");
    this.element.setAttribute("aria-label", "layers by heads");
    this.table = node("div", "overview");
    this.table.addEventListener("keydown", moveFocus);
    this.table.addEventListener("click", (event) => {
      const cell = event.target.closest(".head");
      if (cell) this.choose(Number(cell.dataset.layer), Number(cell.dataset.head));
    });
    this.element.append(this.table, explanation());
    this.clear();
  }

  clear() {
    this.element.hidden = true;
    this.table.replaceChildren();
    this.forget();
  }

  /** Draws anew next time, as in other colours. */
  forget() {
    this.drawn = null;
  }

  /**
   * @param {object} index Of the step.
   * @param {object[]} thumbnails One for each layer, `{data, shape}`.
   */
  show(index, thumbnails, { sample, layer, head }) {
    this.element.hidden = false;
    if (this.drawn !== thumbnails) {
      const focused = this.table.contains(document.activeElement);
      this.draw(index, thumbnails, sample);
      this.drawn = thumbnails;
      if (focused) this.cell(layer, Math.max(head, 0))?.focus();
    }
    for (const cell of this.table.querySelectorAll(".head")) {
      const isChosen =
        Number(cell.dataset.layer) === layer && Number(cell.dataset.head) === head;
      cell.setAttribute("aria-pressed", String(isChosen));
      cell.tabIndex = -1; // the arrow keys go there
      if (isChosen) this.scrollTo(cell);
    }
    this.cell(layer, Math.max(head, 0)).tabIndex = 0;
  }

  /** Brings a head into sight, and moves nothing else. */
  scrollTo(cell) {
    const [area, box] = [this.element, cell.getBoundingClientRect()];
    const { top, bottom } = area.getBoundingClientRect();
    if (box.top < top) area.scrollTop += box.top - top;
    else if (box.bottom > bottom) area.scrollTop += box.bottom - bottom;
  }

  cell(layer, head) {
    return this.table.querySelector(
      `[data-layer="${layer}"][data-head="${head}"]`,
    );
  }

  draw(index, thumbnails, sample) {
    const colors = thumbnailColors();
    const values = index.layers.map((_, n) => diagnosticsOf(index, sample, n));
    const entropies = values.flatMap(({ entropy }) => entropy);
    const entropy = Math.max(...entropies, 0.001);
    const rows = index.layers.map((layer, number) => {
      const row = node("section", "overview-layer");
      const heads = node("div", "overview-heads");
      for (let head = 0; head < layer.num_heads; head++) {
        const cell = headButton(headName(layer, head), {
          picture: headPicture(head, thumbnails[number], colors),
          color: headColor(head, layer.num_heads),
          kind: index.samples[sample].kinds[number][head],
          bars: barsOf(values[number], head, entropy),
          layer: layer.name,
        });
        cell.dataset.layer = number;
        cell.dataset.head = head;
        heads.append(cell);
      }
      row.append(node("h2", "", layer.name), heads);
      return row;
    });
    this.table.replaceChildren(...rows);
  }
}

function explanation() {
  const details = node("details", "explanation");
  const list = node("dl");
  DIAGNOSTICS.forEach(([name, title, meaning]) => {
    const term = node("dt", "", title);
    const bar = node("span", `bar ${name}`);
    bar.style.setProperty("--part", 1);
    term.prepend(bar);
    list.append(term, node("dd", "", meaning));
  });
  for (const [kind, meaning] of Object.entries(KINDS)) {
    const term = node("dt");
    term.append(badge(kind));
    list.append(term, node("dd", "", meaning));
  }
  details.append(node("summary", "", "What the bars and marks say"), list);
  return details;
}

function headButton(name, { picture, color, kind, bars, layer }) {
  const button = node("button", "head");
  button.type = "button";
  const title = node("span", "head-name", name);
  title.style.borderColor = color;
  button.append(picture, title, bars.element, ...(kind ? [badge(kind)] : []));
  button.setAttribute(
    "aria-label",
    `${layer}, ${name}${kind ? `, ${kind}` : ""}: ${bars.text}`,
  );
  button.title = bars.text;
  return button;
}

function headPicture(head, { data, shape: [, rows, columns] }, colors) {
  const canvas = node("canvas");
  if (!rows || !columns) return canvas;
  Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const start = head * pixels.length;
  pixels.forEach((_, n) => (pixels[n] = colors[data[start + n]]));
  context.putImageData(image, 0, 0);
  return canvas;
}

function barsOf(diagnostics, head, entropy) {
  const element = node("span", "bars");
  const texts = DIAGNOSTICS.map(([name, title, , most]) => {
    const value = diagnostics[name]?.[head] ?? null;
    const bar = node("span", `bar ${name}`);
    const part = Math.min((value ?? 0) / (most || entropy), 1);
    bar.style.setProperty("--part", part.toFixed(3));
    element.append(bar);
    return `${title} ${format(value)}`;
  });
  return { element, text: texts.join(", ") };
}

function badge(kind) {
  const element = node("span", "badge", kind);
  element.title = KINDS[kind];
  return element;
}

/** Arrow keys go from head to head. */
function moveFocus(event) {
  const cell = event.target.closest(".head");
  const step = ARROWS[event.key];
  if (!cell || !step) return;
  const layer = Number(cell.dataset.layer) + step[0];
  const head = Number(cell.dataset.head) + step[1];
  const inLayer = event.currentTarget.querySelectorAll(
    `[data-layer="${layer}"]`,
  );
  // A layer with fewer heads is entered at its last one.
  const next = inLayer[step[0] ? Math.min(head, inLayer.length - 1) : head];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
