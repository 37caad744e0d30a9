// All layers by heads, as small maps with their diagnostics.

import { byteColors, headColor } from "./colors.js";
import { format } from "./numbers.js";

// Name, tag, and the value that fills the bar; null: of the longest row.
const DIAGNOSTICS = [
  ["entropy", "entropy", null],
  ["max_weight", "maximum", 1],
  ["padding_leak", "leak", 1],
  ["head_redundancy", "redundancy", 1],
];
const DEAD_WEIGHT = 0.02; // below: looks everywhere alike
const DIAGONAL = 0.5; // share of a head's strongest weights near the diagonal

/**
 * Draws into `element`.
 * @param {object} index Of the step.
 * @param {object[]} thumbnails One for each layer, `{data, shape}`.
 * @param {(layer: number, head: number) => void} choose
 */
export function drawOverview(element, index, thumbnails, chosen, choose) {
  const colors = byteColors();
  const table = document.createElement("div");
  table.className = "overview";
  index.layers.forEach((layer, number) => {
    const row = document.createElement("section");
    row.className = "overview-layer";
    const title = document.createElement("h3");
    title.textContent = layer.name;
    const heads = document.createElement("div");
    heads.className = "overview-heads";
    for (let head = 0; head < layer.num_heads; head++) {
      const cell = headButton(layer, head, thumbnails[number], colors);
      const isChosen = chosen.layer === number && chosen.head === head;
      cell.setAttribute("aria-pressed", String(isChosen));
      cell.dataset.layer = number;
      cell.dataset.head = head;
      cell.addEventListener("click", () => choose(number, head));
      heads.append(cell);
    }
    row.append(title, heads);
    table.append(row);
  });
  table.addEventListener("keydown", moveFocus);
  element.replaceChildren(table);
}

function headButton(layer, head, { data, shape }, colors) {
  const [, rows, columns] = shape;
  const weights = data.subarray(
    head * rows * columns,
    (head + 1) * rows * columns,
  );
  const button = document.createElement("button");
  button.type = "button";
  button.className = "head";
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  weights.forEach((weight, place) => {
    image.data.set(colors.subarray(4 * weight, 4 * weight + 4), 4 * place);
  });
  context.putImageData(image, 0, 0);
  const name = document.createElement("span");
  name.className = "head-name";
  name.textContent = `head ${head}`;
  name.style.borderColor = headColor(head, layer.num_heads);
  const found = kindOf(layer, head, weights, rows, columns);
  const list = diagnosticsOf(layer, head);
  button.append(canvas, name, ...(found ? [badge(found)] : []), list.element);
  button.setAttribute(
    "aria-label",
    `${layer.name}, head ${head}${found ? `, ${found}` : ""}: ${list.text}`,
  );
  button.title = list.text;
  return button;
}

function diagnosticsOf(layer, head) {
  const element = document.createElement("span");
  element.className = "bars";
  const texts = [];
  for (const [name, title, most] of DIAGNOSTICS) {
    const value = (layer.diagnostics[name] || [])[head] ?? null;
    texts.push(`${title} ${format(value)}`);
    const bar = document.createElement("span");
    bar.className = `bar ${name}`;
    const full = most || Math.max(...layer.diagnostics[name], 0.001);
    const part = value === null ? 0 : Math.min(value / full, 1);
    bar.style.setProperty("--part", part.toFixed(3));
    element.append(bar);
  }
  return { element, text: texts.join(", ") };
}

function badge(text) {
  const element = document.createElement("span");
  element.className = `badge ${text}`;
  element.textContent = text;
  return element;
}

/** `diagonal`, `uniform`, `one token` or nothing. */
export function kindOf(layer, head, weights, rows, columns) {
  const most = layer.diagnostics.max_weight[head];
  const entropy = layer.diagnostics.entropy[head];
  if (most === null || rows < 2 || columns < 2) return "";
  const uniform = Math.log(columns);
  if (columns < 64 && entropy > uniform * (1 - DEAD_WEIGHT)) return "uniform";
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
  if (Math.max(...votes.values()) > 0.9 * rows) return "one token";
  return near > DIAGONAL * rows && rows > 3 ? "diagonal" : "";
}

/** Arrow keys go from head to head. */
function moveFocus(event) {
  const cell = event.target.closest(".head");
  const step = {
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
  }[event.key];
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
