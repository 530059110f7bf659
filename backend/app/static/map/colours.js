/** Colours of kinds, and of the map in light and in dark. */

// Okabe and Ito's, which people with any colour vision tell apart.
const KINDS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
export const OTHER = "#777777";

/** The same for a kind always, whichever others there are. */
export function colourOf(kind) {
  let hash = 0;
  for (const letter of kind) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  return KINDS[hash % KINDS.length];
}

const LIGHT = { ground: "#f2f0ea", lines: "#d3cfc4", text: "#33302a", halo: "#f2f0ea", chosen: "#b00020" };
const DARK = { ground: "#14181c", lines: "#323a42", text: "#e6e8ea", halo: "#14181c", chosen: "#ff8a80" };
const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = () => (dark.matches ? DARK : LIGHT);

export const onTheme = (listener) => dark.addEventListener("change", listener);
