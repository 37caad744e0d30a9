// Saving a view as SVG or PNG, with the tokens as text.

import { differenceColor, weightColor } from "./colors.js";
import { node, svgElement } from "./elements.js";
import { label } from "./labels.js";
import { LineView } from "./lines.js";
import { AttentionMap, paint } from "./map.js";
import { PatchView } from "./patches.js";

const CELL = 18;
const MOST_CELLS = 10000; // more are one picture in the SVG
const MARGIN = 150;
const FONT = "12px system-ui, sans-serif";

/** Hands a view to the user; `kind` is "svg" or "png". */
export async function saveView(view, name, kind) {
  const shown = view.map || view;
  let svg;
  if (shown instanceof AttentionMap) svg = mapAsSvg(shown);
  else if (shown instanceof LineView) svg = linesAsSvg(shown);
  else if (shown instanceof PatchView) svg = await patchesAsSvg(shown);
  else throw new Error("there is nothing drawn");
  await save(svg, name, kind);
}

/** A map as an SVG element of its own. */
function mapAsSvg(map) {
  const longer = Math.max(map.rows, map.columns);
  const cell = Math.max(2, Math.min(CELL, Math.floor(1400 / longer)));
  const width = MARGIN + cell * map.columns + 20;
  const height = MARGIN + cell * map.rows + 40;
  const svg = blank(width, height, map.title);
  const every = Math.ceil(9 / cell);
  map.keys.forEach((token, n) => {
    if (n % every || n >= map.columns) return;
    const x = MARGIN + (n + 0.7) * cell;
    svg.append(
      text(label(token, 20), x, MARGIN - 6, {
        transform: `rotate(-60 ${x} ${MARGIN - 6})`,
      }),
    );
  });
  map.queries.forEach((token, n) => {
    if (n % every || n >= map.rows) return;
    const y = MARGIN + (n + 0.7) * cell;
    svg.append(text(label(token, 20), MARGIN - 6, y, { "text-anchor": "end" }));
  });
  const isLarge = map.rows * map.columns > MOST_CELLS;
  svg.append(...(isLarge ? [pixelsOf(map, cell)] : cellsOf(map, cell)));
  svg.append(
    svgElement("rect", {
      x: MARGIN,
      y: MARGIN,
      width: cell * map.columns,
      height: cell * map.rows,
      fill: "none",
      stroke: "#888",
    }),
    ...map.alignment.map(([row, column]) =>
      svgElement("rect", {
        x: MARGIN + column * cell + 1,
        y: MARGIN + row * cell + 1,
        width: cell - 2,
        height: cell - 2,
        fill: "none",
        stroke: "#2b8a3e",
        "stroke-width": 2,
      }),
    ),
  );
  if (map.alignment.length) {
    svg.append(text("framed: gold alignment", 10, height - 10, {}));
  }
  return svg;
}

function cellsOf(map, cell) {
  const cells = [];
  for (let row = 0; row < map.rows; row++) {
    for (let column = 0; column < map.columns; column++) {
      const weight = map.weight(row, column);
      if (Math.abs(weight) < 0.001) continue;
      const colorOf = map.isDifference ? differenceColor : weightColor;
      cells.push(
        svgElement("rect", {
          x: MARGIN + column * cell,
          y: MARGIN + row * cell,
          width: cell,
          height: cell,
          fill: `rgb(${colorOf(weight, "light").join(" ")})`,
        }),
      );
    }
  }
  return cells;
}

function pixelsOf(map, cell) {
  const canvas = node("canvas");
  paint(canvas, map, "light");
  return svgElement("image", {
    href: canvas.toDataURL(),
    x: MARGIN,
    y: MARGIN,
    width: cell * map.columns,
    height: cell * map.rows,
    preserveAspectRatio: "none",
    style: "image-rendering: pixelated",
  });
}

/** The lines that are shown, with their words. */
function linesAsSvg(view) {
  const lines = view.svg;
  const [width, height] = [+lines.getAttribute("width"), +lines.getAttribute("height")];
  const svg = blank(width + 2 * MARGIN, height + 40, view.title);
  const group = svgElement("g", { transform: `translate(${MARGIN} 30)` });
  group.append(...view.paths("light"));
  const row = height / Math.max(view.queries.length, view.keys.length);
  view.queries.forEach((token, n) => {
    const y = 30 + (n + 0.7) * row;
    svg.append(text(label(token), MARGIN - 6, y, { "text-anchor": "end" }));
  });
  view.keys.forEach((token, n) => {
    svg.append(text(label(token), MARGIN + width + 6, 30 + (n + 0.7) * row, {}));
  });
  svg.append(group);
  return svg;
}

/** A picture with what lies over it. */
async function patchesAsSvg(view) {
  const [width, height] = [view.scale * view.columns, view.scale * view.rows];
  const svg = blank(width + 20, height + 50, view.shown());
  for (const [address, opacity] of [
    [await asData(view.picture), 1],
    [view.overlay.toDataURL(), 1],
  ]) {
    svg.append(
      svgElement("image", {
        href: address,
        x: 10,
        y: 30,
        width,
        height,
        opacity,
        preserveAspectRatio: "none",
        style: "image-rendering: pixelated",
      }),
    );
  }
  return svg;
}

async function asData(image) {
  await image.decode();
  const canvas = node("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL();
}

function blank(width, height, title) {
  const svg = svgElement("svg", {
    xmlns: "http://www.w3.org/2000/svg",
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    style: `font: ${FONT}; background: white`,
  });
  svg.append(text(title, 10, 18, { "font-weight": "bold" }));
  return svg;
}

function text(content, x, y, attributes) {
  const element = svgElement("text", { x, y, fill: "#111", ...attributes });
  element.textContent = content;
  return element;
}

/** Hands an SVG to the user, as it is or as pixels. */
async function save(svg, name, kind) {
  const source = new XMLSerializer().serializeToString(svg);
  let blob = new Blob([source], { type: "image/svg+xml" });
  if (kind === "png") blob = await asPng(svg, source);
  const link = node("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replace(/[^\w.-]+/gu, "_")}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function asPng(svg, source) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(source)}`;
  await image.decode();
  const canvas = node("canvas");
  canvas.width = 2 * svg.getAttribute("width");
  canvas.height = 2 * svg.getAttribute("height");
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("it is too large for a PNG; an SVG has no limit");
  return blob;
}
