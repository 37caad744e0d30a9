// The entry of a file that holds its own data.

import { App } from "./app.js";
import { documentOf } from "./answers.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

function follow() {
  document.documentElement.dataset.theme = dark.matches ? "dark" : "light";
}

dark.addEventListener("change", follow);
follow();
// Read before the page takes the place of what is there.
const text = document.getElementById("data").textContent;
const { name, answer, ...card } = JSON.parse(text);
const app = new App(document.body, {});
try {
  app.add(documentOf(answer, name, card));
} catch (error) {
  app.say(error.message, true);
}
