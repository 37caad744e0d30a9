// All layers by heads, as small maps with their diagnostics.

import { headColor, thumbnailColors } from "./colors.js";
import { node } from "./elements.js";
import { format } from "./numbers.js";

// Name, title, what it says, and the value that fills the bar; null: the
// greatest of the layer.
const DIAGNOSTICS = [
  ["entropy", "entropy", "over how many keys a row spreads, nats", null],
  ["max_weight", "maximum", "mean of the greatest weight of each row", 1],
  ["padding_leak", "leak", "weight on padding; more than 0 is a mistake", 1],
  ["head_redundancy", "redundancy", "likeness to the other heads", 1],
];
const KINDS = {
  uniform: "looks at all alike",
  "one token": "looks at one key from almost everywhere",
  diagonal: "looks at the same place, or beside it",
};
const DEAD_ENTROPY = 0.98; // of that of even weights: looks everywhere alike
const SAME_KEY = 0.9; // share of queries whose strongest key is the same
const DIAGONAL = 0.7; // share of queries whose strongest key is in their place
const STEPS = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
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
  show(index, thumbnails, { layer, head }) {
    this.element.hidden = false;
    if (this.drawn !== thumbnails) {
      const focused = this.table.contains(document.activeElement);
      this.draw(index, thumbnails);
      this.drawn = thumbnails;
      if (focused) this.cell(layer, Math.max(head, 0))?.focus();
    }
    for (const cell of this.table.querySelectorAll(".head")) {
      const isChosen =
        Number(cell.dataset.layer) === layer && Number(cell.dataset.head) === head;
      cell.setAttribute("aria-pressed", String(isChosen));
      if (isChosen) this.scrollTo(cell);
    }
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

  draw(index, thumbnails) {
    const colors = thumbnailColors();
    const rows = index.layers.map((layer, number) => {
      const row = node("section", "overview-layer");
      const heads = node("div", "overview-heads");
      for (let head = 0; head < layer.num_heads; head++) {
        const cell = headButton(layer, head, thumbnails[number], colors);
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

function headButton(layer, head, { data, shape }, colors) {
  const [, rows, columns] = shape;
  const size = rows * columns;
  const weights = data.subarray(head * size, (head + 1) * size);
  const button = node("button", "head");
  button.type = "button";
  const canvas = node("canvas");
  Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  weights.forEach((weight, place) => (pixels[place] = colors[weight]));
  context.putImageData(image, 0, 0);
  const name = node("span", "head-name", `head ${head}`);
  name.style.borderColor = headColor(head, layer.num_heads);
  const found = kindOf(layer, head, weights, rows, columns);
  const list = diagnosticsOf(layer, head);
  button.append(canvas, name, list.element, ...(found ? [badge(found)] : []));
  button.setAttribute(
    "aria-label",
    `${layer.name}, head ${head}${found ? `, ${found}` : ""}: ${list.text}`,
  );
  button.title = list.text;
  return button;
}

function diagnosticsOf(layer, head) {
  const element = node("span", "bars");
  const texts = DIAGNOSTICS.map(([name, title, , most]) => {
    const values = layer.diagnostics[name] || [];
    const value = values[head] ?? null;
    const full = most || Math.max(...values, 0.001);
    const bar = node("span", `bar ${name}`);
    bar.style.setProperty("--part", Math.min((value ?? 0) / full, 1).toFixed(3));
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

/** `uniform`, `one token`, `diagonal` or nothing. */
function kindOf(layer, head, weights, rows, columns) {
  const entropy = layer.diagnostics.entropy[head];
  if (entropy === null || rows < 2 || columns < 2) return "";
  if (entropy > DEAD_ENTROPY * Math.log(columns) && columns < 64) return "uniform";
  let near = 0;
  const votes = new Map();
  for (let row = 0; row < rows; row++) {
    let best = 0;
    for (let column = 1; column < columns; column++) {
      const weight = weights[row * columns + column];
      if (weight > weights[row * columns + best]) best = column;
    }
    votes.set(best, (votes.get(best) || 0) + 1);
    const expected = (row * (columns - 1)) / (rows - 1);
    if (Math.abs(best - expected) <= 1) near += 1;
  }
  if (Math.max(...votes.values()) > SAME_KEY * rows) return "one token";
  return rows > 3 && near > DIAGONAL * rows ? "diagonal" : "";
}

/** Arrow keys go from head to head. */
function moveFocus(event) {
  const cell = event.target.closest(".head");
  const step = STEPS[event.key];
  if (!cell || !step) return;
  const layer = Number(cell.dataset.layer) + step[0];
  const head = Number(cell.dataset.head) + step[1];
  const next = event.currentTarget.querySelector(
    `[data-layer="${layer}"][data-head="${head}"]`,
  );
  if (!next) return;
  event.preventDefault();
  next.focus();
}
