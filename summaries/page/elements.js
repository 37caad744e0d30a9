// Making elements, and the keys that go through them.

/** Rows and columns to go for an arrow key. */
export const ARROWS = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
};

export function node(name, kind = "", text = "") {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  if (text) element.textContent = text;
  return element;
}

/** A button; `control` is its name among the controls. */
export function action(text, control, act) {
  const button = node("button", "", text);
  button.type = "button";
  button.dataset.control = control;
  button.addEventListener("click", act);
  return button;
}

/** Buttons that belong together. */
export function group(title, kind, ...parts) {
  const element = node("span", kind);
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", title);
  element.append(...parts);
  return element;
}

export function svgElement(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  return element;
}
