/** The map: vector tiles of the sites or, where the service has none, the sites of the list. */
import * as maplibre from "../maplibre/6.17.0/maplibre-gl.mjs";
import { onTheme } from "./colours.js";
import { showError, showNote } from "./dom.js";
import { graticule } from "./graticule.js";
import { BASE, Problem } from "./http.js";
import { language, onLanguage, t } from "./language.js";
import { SITE_LAYERS, baseStyle, filterSites, paint, siteLayers } from "./layers.js";
import { renew, request, token } from "./login.js";

const TOUCH_PIXELS = 6;
const FIT = { padding: 70, maxZoom: 14 };

/** Resolves with the map, or with null where the browser cannot draw one. */
export async function createMap({ onChoose, onPlace, onMoved, onKinds }) {
  const kinds = new Set();
  let map;
  try {
    map = new maplibre.Map({
      container: "map",
      style: baseStyle(),
      center: [0, 20],
      zoom: 1,
      dragRotate: false,
      attributionControl: false,
      fadeDuration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 300,
      transformRequest: (url) => ({ url, headers: url.startsWith(BASE) ? credentials() : {} }),
    });
  } catch {
    return null;
  }
  map.keyboard.disableRotation();
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibre.ScaleControl());
  await map.once("load");

  const repaint = () => paint(map, [...kinds]);
  const drawGraticule = () => map.getSource("graticule").setData(graticule(map.getBounds().toArray().flat()));
  repaint();
  drawGraticule();
  onTheme(repaint);
  onLanguage(() => map.getCanvas().setAttribute("aria-label", t("map")));
  map.on("moveend", drawGraticule);
  map.on("moveend", onMoved);
  map.on("click", (event) => onPlace(event.lngLat) || open(event.point));
  map.on("mousemove", ({ point }) => (map.getCanvas().style.cursor = siteAt(point) ? "pointer" : ""));
  map.on("error", onError);
  map.on("idle", () => noteKinds(drawn().map(({ properties }) => properties.kind)));

  const drawn = () => (map.getLayer(SITE_LAYERS[0]) ? map.queryRenderedFeatures({ layers: SITE_LAYERS }) : []);

  async function onError({ error, tile }) {
    if (error.status !== 401) return showError(error.body ? await problemOf(error) : error);
    try {
      await renew(usedToken);
      map.refreshTiles("sites", [tile.tileID.canonical]); // by its name, since without one it skips what failed
    } catch (problem) {
      showError(problem);
    }
  }

  let usedToken = null;
  function credentials() {
    usedToken = token();
    return { Authorization: `Bearer ${usedToken}`, "Accept-Language": language() };
  }

  function siteAt({ x, y }) {
    if (!map.getLayer(SITE_LAYERS[0])) return undefined;
    const box = [[x - TOUCH_PIXELS, y - TOUCH_PIXELS], [x + TOUCH_PIXELS, y + TOUCH_PIXELS]];
    return map.queryRenderedFeatures(box, { layers: SITE_LAYERS }).at(0);
  }

  function open(point) {
    const found = siteAt(point);
    if (found) onChoose(found.properties.id);
  }

  /** Goes to the sites or, where they are a part of all, to where all are; tiles tell that, and a list cannot. */
  async function show(sites, { isPart }) {
    if (!sites.length) return;
    const isTold = isPart && map.getSource("sites").type === "vector";
    map.fitBounds(isTold ? (await describeTiles()).bounds : boundsOf(sites), FIT);
  }

  function noteKinds(found) {
    const before = kinds.size;
    for (const kind of found) kinds.add(kind);
    if (kinds.size === before) return;
    repaint();
    onKinds([...kinds].sort());
  }

  return {
    map,
    noteKinds,
    bounds: () => map.getBounds(),
    filter: (wanted) => filterSites(map, wanted),
    refresh: () => map.getSource("sites").type === "vector" && map.refreshTiles("sites"),
    drawList: (features) => map.getSource("sites")?.setData?.(collection(features)),
    choose: (site) => choose(map, site),
    show,
    addSites: () => addSites(map, repaint),
    marker: (onDrag) => new Marker(map, onDrag),
  };
}

/** Raises the problem of the tiles, unless it is that there are none here. */
async function addSites(map, repaint) {
  if (map.getSource("sites")) return;
  try {
    const { maxzoom } = await describeTiles();
    map.addSource("sites", { type: "vector", tiles: [`${BASE}tiles/sites/{z}/{x}/{y}.mvt`], maxzoom });
    siteLayers(true).forEach((layer) => map.addLayer(layer, "chosen-area"));
  } catch (error) {
    if (error.status !== 501) throw error;
    showNote("listedOnly");
    map.addSource("sites", { type: "geojson", data: collection([]) });
    siteLayers(false).forEach((layer) => map.addLayer(layer, "chosen-area"));
  }
  repaint();
}

const describeTiles = async () => (await request("tiles/sites/tilejson.json")).json();

/** As a tile has them: with the id among the properties. */
function collection(sites) {
  const features = sites.map(({ type, id, geometry, properties: { name, kind } }) => ({
    type,
    geometry,
    properties: { id, name, kind },
  }));
  return { type: "FeatureCollection", features };
}

function boundsOf(sites) {
  const bounds = new maplibre.LngLatBounds();
  const extend = (part) => (typeof part[0] === "number" ? bounds.extend(part) : part.forEach(extend));
  const visit = ({ coordinates, geometries }) => (geometries ? geometries.forEach(visit) : extend(coordinates));
  sites.forEach(({ geometry }) => visit(geometry));
  return bounds;
}

/** Marks the site, null for none, and goes where it is unless it is in sight. */
function choose(map, site) {
  map.getSource("chosen").setData(collection(site ? [site] : []));
  if (site && !map.getBounds().contains(boundsOf([site]).getCenter())) map.fitBounds(boundsOf([site]), FIT);
}

async function problemOf({ status, body }) {
  const told = await body.text();
  try {
    return new Problem(status, JSON.parse(told));
  } catch {
    return new Problem(status, { title: String(status), detail: "" }); // a proxy's page, such as a 502
  }
}

/** Where a site is to be: dragged, or told by `put`. */
class Marker {
  constructor(map, onDrag) {
    this.map = map;
    this.marker = new maplibre.Marker({ draggable: true, color: "#b00020" });
    this.marker.on("drag", () => onDrag(this.marker.getLngLat()));
  }

  put({ lng, lat }) {
    this.marker.setLngLat([lng, lat]).addTo(this.map);
    this.marker.getElement().setAttribute("aria-label", t("marker"));
  }

  remove() {
    this.marker.remove();
  }
}
