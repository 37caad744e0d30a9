// What TensorBoard tells a page inside it: the theme and the link.

const PLUGIN = "attention";
const WAIT = 1500; // ms for an answer to the question for the link

/** Give `element` the theme of TensorBoard, now and when it changes. */
export function followTheme(element) {
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  let outside = null;
  try {
    outside = window.parent === window ? null : window.parent.document.body;
  } catch {
    // Another origin: the system's theme has to do.
  }
  const follow = () => {
    const dark = outside
      ? outside.classList.contains("dark-mode")
      : preferred.matches;
    element.dataset.theme = dark ? "dark" : "light";
  };
  preferred.addEventListener("change", follow);
  if (outside) {
    new MutationObserver(follow).observe(outside, {
      attributes: true,
      attributeFilter: ["class"],
    });
  }
  follow();
}

/** The state in TensorBoard's URL, as an object of strings. */
export async function readLink() {
  // TensorBoard 2.21 answers with what the URL says only after it has changed,
  // so it is read here, too.
  return { ...readHash(), ...(await askForLink()) };
}

function readHash() {
  const prefix = `p.${PLUGIN}.`;
  const found = {};
  try {
    const parts = new URLSearchParams(window.parent.location.hash.slice(1));
    for (const [key, value] of parts) {
      if (key.startsWith(prefix)) found[key.slice(prefix.length)] = value;
    }
  } catch {
    // Another origin.
  }
  return found;
}

function askForLink() {
  if (window.parent === window) return Promise.resolve({});
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    const timer = setTimeout(() => resolve({}), WAIT);
    channel.port1.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (!message.isReply) {
        // A question of TensorBoard, such as that the data were reloaded.
        channel.port1.postMessage(
          JSON.stringify({ ...message, payload: null, isReply: true }),
        );
        if (message.type === "experimental.DataReloaded") {
          window.dispatchEvent(new Event("attention-reload"));
        }
        return;
      }
      clearTimeout(timer);
      resolve(message.payload || {});
    };
    window.parent.postMessage("experimental.bootstrap", "*", [channel.port2]);
    channel.port1.postMessage(
      JSON.stringify({
        type: "experimental.GetURLPluginData",
        id: 0,
        payload: { pluginName: PLUGIN },
        error: null,
        isReply: false,
      }),
    );
  });
}

/** The address of TensorBoard that shows this state. */
export function linkTo(state) {
  const outside = window.parent === window ? window : window.parent;
  const { origin, pathname, search } = outside.location;
  const parts = Object.entries(state).map(
    ([key, value]) => `p.${PLUGIN}.${key}=${encodeURIComponent(value)}`,
  );
  return `${origin}${pathname}${search}#${[PLUGIN, ...parts].join("&")}`;
}
