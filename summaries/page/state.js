// What is chosen: of which run, step, sample, layer and head, and which view.

export const VIEWS = {
  map: "Map",
  lines: "Lines",
  picture: "Picture",
  compare: "Compare",
};
export const MEAN = -1; // stands for the mean of all heads

const NUMBERS = ["step", "sample", "layer", "head", "otherStep"];

/** The state at the start; `heads` are those of the lines, "0,2", and
 * `layerName` finds the layer again where its number is another. */
export const firstState = () => ({
  run: "",
  step: 0,
  sample: 0,
  layer: 0,
  layerName: "",
  head: 0,
  view: "map",
  heads: "",
});

/** Steps of a run. */
export function stepsOf(runs, run) {
  return runs.find(({ name }) => name === run)?.steps ?? [];
}

/** The state that a link names, as far as there are such runs and steps. */
export function restored(state, link, runs) {
  const found = { ...state };
  for (const key of NUMBERS) {
    const value = Number.parseInt(link[key], 10);
    if (Number.isFinite(value)) found[key] = value;
  }
  const isRun = (run) => runs.some(({ name }) => name === run);
  for (const key of ["run", "otherRun"]) {
    if (isRun(link[key])) found[key] = link[key];
  }
  if (link.layer !== undefined) found.layerName = link.layerName ?? "";
  if (Object.hasOwn(VIEWS, link.view ?? "")) found.view = link.view;
  if (/^\d+(,\d+)*$/.test(link.heads ?? "")) found.heads = link.heads;
  if (!isRun(found.run)) found.run = runs[0]?.name ?? "";
  const steps = stepsOf(runs, found.run);
  if (link.step === undefined || !steps.includes(found.step)) {
    found.step = steps.at(-1) ?? 0;
  }
  return found;
}

/** The state, with numbers that the step has. */
export function within(state, index) {
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const named = index.layers.findIndex(({ name }) => name === state.layerName);
  const layer =
    named < 0 ? clamp(state.layer, 0, index.layers.length - 1) : named;
  const heads = index.layers[layer].num_heads;
  const found = {
    ...state,
    sample: clamp(state.sample, 0, index.samples.length - 1),
    layer,
    // One that this step lacks is kept in mind.
    layerName: state.layerName || index.layers[layer].name,
    head: clamp(state.head, heads > 1 ? MEAN : 0, heads - 1),
  };
  if (found.view === "picture" && !hasPicture(found, index)) found.view = "map";
  return found;
}

/** The queries' or the keys' side of the layer: `name` is "query" or "key". */
export function sideOf(name, state, index) {
  return index.samples[state.sample].sides[index.layers[state.layer][name]];
}

export function hasPicture(state, index) {
  return sideOf("key", state, index).kind === "patches";
}

/** With what the view is compared: `{run, step}`. */
export function otherOf(state, runs) {
  const isThere = stepsOf(runs, state.otherRun).length > 0;
  const run = isThere ? state.otherRun : state.run;
  const steps = stepsOf(runs, run);
  const step = steps.includes(state.otherStep) ? state.otherStep : steps[0];
  return { run, step };
}

/** The heads whose lines are shown. */
export function headsOf(state, count) {
  const all = Array.from({ length: count }, (_, head) => head);
  const wanted = state.heads
    ? state.heads.split(",").map(Number)
    : state.head === MEAN
      ? all
      : [state.head];
  const found = wanted.filter((head) => head < count);
  return new Set(found.length ? found : all);
}

/** What the head is called; an export may have left out some. */
export function headName(layer, head) {
  return `head ${layer.heads?.[head] ?? head}`;
}

/** The diagnostics of a layer: of the sample, where they are known. */
export function diagnosticsOf(index, sample, layer) {
  const own = index.samples[sample].diagnostics;
  return own ? own[layer] : index.layers[layer].diagnostics;
}
