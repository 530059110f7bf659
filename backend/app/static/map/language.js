/** The page's language, and its texts. */
import { STRINGS } from "./strings.js";

const KEY = "landfall.language";
const listeners = [];
let current = localStorage.getItem(KEY) ?? (navigator.language.toLowerCase().startsWith("de") ? "de" : "en");

export const language = () => current;

export const t = (name, values = {}) => STRINGS[current][name].replace(/\{(\w+)\}/g, (_, key) => values[key]);

/** Calls `listener` now and after each change. */
export function onLanguage(listener) {
  listeners.push(listener);
  listener();
}

export function switchLanguage() {
  current = current === "en" ? "de" : "en";
  localStorage.setItem(KEY, current);
  listeners.forEach((listener) => listener());
}

/** Fills every element that names a text by `data-t`, or a label by `data-t-label`. */
export function translatePage() {
  document.documentElement.lang = current;
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) element.ariaLabel = t(element.dataset.tLabel);
}
