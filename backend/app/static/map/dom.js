/** Small helpers around elements; texts are always set as text, never as HTML. */
import { t } from "./language.js";

export const byId = (id) => document.getElementById(id);

/** An element with properties and children: `element("li", { className: "x" }, "text")`. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function announce(text) {
  byId("status").textContent = text;
}

export function clearError(target = byId("error")) {
  target.replaceChildren();
}

/** Shows what went wrong, in the service's own words. */
export function showError(error, target = byId("error")) {
  const lines = [element("strong", {}, error.title ?? error.name), element("p", {}, error.message)];
  for (const { loc, message } of error.fields ?? []) lines.push(element("p", {}, `${loc.join(".")}: ${message}`));
  if (error.requestId) lines.push(element("small", {}, t("requestId", { id: error.requestId })));
  target.replaceChildren(...lines);
}

/** Runs `work`, with its error shown. */
export async function attempt(work, target = byId("error")) {
  clearError(target);
  try {
    await work();
  } catch (error) {
    if (error.name !== "AbortError") showError(error, target);
  }
}

/** A note that stays, by the name of its text. */
export function showNote(name) {
  const note = byId("map-note");
  note.dataset.t = name;
  note.textContent = t(name);
  note.hidden = false;
}

/** Shows one of the panel's three views, without what was said of the last one. */
export function showView(id) {
  clearError();
  announce("");
  for (const view of ["list-view", "details-view", "place-view"]) byId(view).hidden = view !== id;
}
