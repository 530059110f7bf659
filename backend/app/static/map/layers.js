/** What the map draws, and how: layers by MapLibre's style specification. */
import { OTHER, colourOf, theme } from "./colours.js";

const is = (...types) => ["match", ["geometry-type"], types, true, false];
const AREA = is("Polygon", "MultiPolygon");
const LINE = is("LineString", "MultiLineString", "Polygon", "MultiPolygon");
const POINT = is("Point", "MultiPoint");
const FONT = ["sans-serif"]; // the browser's own: the page has no font files

export const SITE_LAYERS = ["site-areas", "site-lines", "site-points"];
const SHAPES = { "site-areas": AREA, "site-lines": LINE, "site-points": POINT, "site-names": true };
const NOTHING = { type: "FeatureCollection", features: [] };

/** The ground, the graticule and the chosen site; the sites themselves are added when it is known whence. */
export function baseStyle() {
  const sources = {};
  for (const name of ["graticule", "chosen"]) sources[name] = { type: "geojson", data: NOTHING };
  return {
    version: 8,
    sources,
    layers: [
      { id: "ground", type: "background" },
      { id: "graticule", type: "line", source: "graticule" },
      {
        id: "degrees",
        type: "symbol",
        source: "graticule",
        layout: { "symbol-placement": "line", "text-field": ["get", "label"], "text-size": 11, "text-font": FONT },
      },
      { id: "chosen-area", type: "fill", source: "chosen", filter: AREA, paint: { "fill-opacity": 0.25 } },
      { id: "chosen-line", type: "line", source: "chosen", filter: LINE, paint: { "line-width": 4 } },
      {
        id: "chosen-point",
        type: "circle",
        source: "chosen",
        filter: POINT,
        paint: { "circle-radius": 11, "circle-color": "transparent", "circle-stroke-width": 3 },
      },
    ],
  };
}

/** The layers of the source "sites", which `filterSites` gives their filters; only a vector source has layers of its own. */
export function siteLayers(isVector) {
  const common = { source: "sites", ...(isVector && { "source-layer": "sites" }) };
  return [
    { id: "site-areas", type: "fill", ...common, paint: { "fill-opacity": 0.35 } },
    { id: "site-lines", type: "line", ...common, paint: { "line-width": 1.5 } },
    { id: "site-points", type: "circle", ...common, paint: { "circle-radius": 6, "circle-stroke-width": 1.5 } },
    {
      id: "site-names",
      type: "symbol",
      ...common,
      minzoom: 8,
      layout: {
        "text-field": ["get", "name"],
        "text-size": 12,
        "text-font": FONT,
        "text-variable-anchor": ["top", "bottom", "left", "right"],
        "text-radial-offset": 0.8,
      },
    },
  ];
}

/** Sets the colours of everything, for these kinds and the theme of now. */
export function paint(map, kinds) {
  const { ground, lines, text, halo, chosen } = theme();
  const byKind = kinds.length ? ["match", ["get", "kind"], ...kinds.flatMap((kind) => [kind, colourOf(kind)]), OTHER] : OTHER;
  const colours = {
    ground: { "background-color": ground },
    graticule: { "line-color": lines },
    degrees: { "text-color": text, "text-halo-color": halo, "text-halo-width": 1.5 },
    "chosen-area": { "fill-color": chosen },
    "chosen-line": { "line-color": chosen },
    "chosen-point": { "circle-stroke-color": chosen },
    "site-areas": { "fill-color": byKind },
    "site-lines": { "line-color": byKind },
    "site-points": { "circle-color": byKind, "circle-stroke-color": halo },
    "site-names": { "text-color": text, "text-halo-color": halo, "text-halo-width": 1.5 },
  };
  for (const [layer, properties] of Object.entries(colours)) {
    if (!map.getLayer(layer)) continue;
    for (const [name, value] of Object.entries(properties)) map.setPaintProperty(layer, name, value);
  }
}

/** Shows only the sites that the list has by the same filter. */
export function filterSites(map, { text, kind }) {
  const wanted = ["all"];
  if (text) wanted.push(["in", text.toLowerCase(), ["downcase", ["get", "name"]]]);
  if (kind) wanted.push(["==", ["get", "kind"], kind]);
  for (const [layer, shape] of Object.entries(SHAPES)) {
    if (map.getLayer(layer)) map.setFilter(layer, shape === true ? wanted : [...wanted, shape]);
  }
}
