// The entry that TensorBoard imports: the page with the data of its server.

import { App } from "./app.js";
import { ServerSource } from "./server.js";
import { followTheme, linkTo, readLink } from "./tensorboard.js";

export async function render() {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = "./static/style.css";
  document.head.append(style);
  document.documentElement.lang = "en";
  document.title = "Attention";
  followTheme(document.documentElement);
  const app = new App(document.body, { linkTo });
  await app.open(new ServerSource("./"), readLink());
}
