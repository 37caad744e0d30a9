// Computing with scores: small maps, diagnostics, differences.

const THUMBNAIL = 64;
const [UNIFORM, SAME_KEY, DIAGONAL] = [0.98, 0.9, 0.7];

/** Maps of all heads made small: the greatest weight of each part. */
export function thumbnail({ data, shape: [heads, rows, columns] }) {
  const height = Math.min(rows, THUMBNAIL);
  const width = Math.min(columns, THUMBNAIL);
  const small = new Uint8Array(heads * height * width);
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < rows; row++) {
      const y = Math.floor((row * height) / rows);
      for (let column = 0; column < columns; column++) {
        const x = Math.floor((column * width) / columns);
        const place = (head * height + y) * width + x;
        const weight = data[(head * rows + row) * columns + column];
        const shown = Math.round(255 * Math.sqrt(Math.min(weight || 0, 1)));
        if (shown > small[place]) small[place] = shown;
      }
    }
  }
  return { data: small, shape: [heads, height, width] };
}

/** Entropy in nats, greatest weight and likeness of each head to the others,
 * as summaries/diagnostics.py defines them, of one sample. */
export function diagnose({ data, shape: [heads, rows, columns] }) {
  const entropies = [];
  const greatest = [];
  const sums = new Array(heads).fill(0);
  const pairs = new Array(heads).fill(0);
  const row = (head, t) => {
    const start = (head * rows + t) * columns;
    return data.subarray(start, start + columns);
  };
  const counts = (weights) => weights.some((weight) => weight !== 0);
  for (let head = 0; head < heads; head++) {
    let entropy = 0;
    let most = 0;
    let counted = 0;
    for (let t = 0; t < rows; t++) {
      const weights = row(head, t);
      if (!counts(weights)) continue;
      counted += 1;
      entropy += entropyOf(weights);
      most += Math.max(...weights);
    }
    entropies.push(counted ? entropy / counted : null);
    greatest.push(counted ? most / counted : null);
    for (let other = 0; other < head; other++) {
      let likeness = 0;
      let met = 0;
      for (let t = 0; t < rows; t++) {
        const [left, right] = [row(head, t), row(other, t)];
        if (!counts(left) || !counts(right)) continue;
        const middle = left.map((weight, s) => (weight + right[s]) / 2);
        const divergence =
          entropyOf(middle) - (entropyOf(left) + entropyOf(right)) / 2;
        likeness += Math.min(Math.max(1 - divergence / Math.LN2, 0), 1);
        met += 1;
      }
      if (!met) continue;
      for (const one of [head, other]) {
        sums[one] += likeness / met;
        pairs[one] += 1;
      }
    }
  }
  const redundancy = sums.map((sum, n) => (pairs[n] ? sum / pairs[n] : null));
  const finite = (values) =>
    values.map((value) => (Number.isFinite(value) ? value : null));
  return {
    entropy: finite(entropies),
    max_weight: finite(greatest),
    padding_leak: new Array(heads).fill(null),
    head_redundancy: finite(redundancy),
  };
}

/** What each head does that deserves a mark; `kind_of` in score_index.py. */
export function kindsOf({ data, shape: [heads, rows, columns] }) {
  const size = rows * columns;
  return Array.from({ length: heads }, (_, head) =>
    kindOf(data.subarray(head * size, (head + 1) * size), rows, columns),
  );
}

function kindOf(weights, rows, columns) {
  if (!weights.every(Number.isFinite)) return "NaN";
  const shares = []; // of the entropy of even weights
  const best = [];
  for (let row = 0; row < rows; row++) {
    const own = weights.subarray(row * columns, (row + 1) * columns);
    const seen = own.filter((weight) => weight > 0).length;
    if (seen > 1) shares.push(entropyOf(own) / Math.log(seen));
    if (seen) best.push([row, own.indexOf(Math.max(...own))]);
  }
  const mean = shares.reduce((a, b) => a + b, 0) / shares.length;
  if (mean > UNIFORM) return "uniform";
  if (best.length < 4 || columns < 4) return "";
  const votes = new Map();
  for (const [, key] of best) votes.set(key, (votes.get(key) || 0) + 1);
  if (Math.max(...votes.values()) > SAME_KEY * best.length) return "one token";
  const far = columns >= 8 ? 1 : 0.5;
  const near = best.filter(([row, key]) => {
    return Math.abs(key - (row * (columns - 1)) / (rows - 1)) <= far;
  });
  return near.length > DIAGONAL * best.length ? "diagonal" : "";
}

function entropyOf(weights) {
  let total = 0;
  for (const weight of weights) total += weight;
  if (total === 0) return 0;
  let entropy = 0;
  for (const weight of weights) {
    if (weight > 0) entropy -= (weight / total) * Math.log(weight / total);
  }
  return entropy;
}

/** The mean of all heads, as one head. */
export function meanOfHeads({ data, shape: [heads, rows, columns] }) {
  const mean = new Float32Array(rows * columns);
  for (let head = 0; head < heads; head++) {
    for (let place = 0; place < mean.length; place++) {
      mean[place] += data[head * mean.length + place] / heads;
    }
  }
  return { data: mean, shape: [1, rows, columns] };
}

/** Second less first; null where they are of different shapes. */
export function difference(first, second) {
  if (String(first.shape) !== String(second.shape)) return null;
  const data = second.data.map((weight, place) => weight - first.data[place]);
  return { data, shape: first.shape };
}

/** A number as text: four digits after the point, small ones in powers. */
export function format(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isNaN(value)) return "NaN";
  if (value !== 0 && Math.abs(value) < 0.00005) return value.toExponential(2);
  return value.toFixed(4);
}
