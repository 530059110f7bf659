/** Colours of kinds, and of the map in light and in dark. */

// Okabe and Ito's, which people with any colour vision tell apart.
const KINDS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
export const OTHER = "#777777";

const places = new Map();

/** Of each kind its own while there are enough, and mostly the same each time: the place follows from the name. */
export function colourOf(kind) {
  if (!places.has(kind)) {
    let place = 0;
    for (const letter of kind) place = (place * 31 + letter.codePointAt(0)) >>> 0;
    const taken = new Set(places.values());
    if (taken.size < KINDS.length) while (taken.has(place % KINDS.length)) place += 1;
    places.set(kind, place % KINDS.length);
  }
  return KINDS[places.get(kind)];
}

const LIGHT = { ground: "#f2f0ea", lines: "#d3cfc4", text: "#33302a", halo: "#f2f0ea", chosen: "#b00020" };
const DARK = { ground: "#14181c", lines: "#323a42", text: "#e6e8ea", halo: "#14181c", chosen: "#ff8a80" };
const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = () => (dark.matches ? DARK : LIGHT);

export const onTheme = (listener) => dark.addEventListener("change", listener);
