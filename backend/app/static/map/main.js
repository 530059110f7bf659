/** The page: the map and the panel beside it follow one filter. */
import { loadFiles, readSite, showSite } from "./details.js";
import { colourOf } from "./colours.js";
import { announce, attempt, byId, element, showNote, showView } from "./dom.js";
import { onLanguage, switchLanguage, t, translatePage } from "./language.js";
import { PagedList } from "./list.js";
import { logIn, logOut, onLogin, request, token } from "./login.js";
import { createMap } from "./map.js";
import { PlaceForm } from "./place.js";

const WAIT_MS = 250; // for the next key or the map's next move
const WORLD = { west: -180, east: 180 };

let map = null;
let site = null; // the one whose details are shown
let user = null;
let timer = 0;

const list = new PagedList(byId("list"), { more: byId("more"), rows: "features", render: listParts });
list.onMore = () => attempt(async () => shown(await list.loadMore()));

function listParts({ id, properties: { name, kind } }) {
  const mark = element("span", { className: "mark", ariaHidden: "true" });
  mark.style.backgroundColor = colourOf(kind);
  const button = element("button", { type: "button" }, mark, element("span", {}, name), element("small", {}, kind));
  button.dataset.id = id;
  button.onclick = () => open(id);
  return [button];
}

function wanted() {
  return { text: byId("text").value.trim(), kind: byId("kind").value };
}

function parameters(everywhere) {
  const { text, kind } = wanted();
  const box = byId("visible").checked && map && !everywhere ? { bbox: visibleBox() } : {};
  return { limit: 100, ...(text && { text }), ...(kind && { kind }), ...box };
}

/** As the API takes it: within ±180, where west > east crosses the antimeridian. */
function visibleBox() {
  const bounds = map.bounds();
  const turn = (lon) => ((((lon + 180) % 360) + 360) % 360) - 180;
  const isWorld = bounds.getEast() - bounds.getWest() >= 360;
  const { west, east } = isWorld ? WORLD : { west: turn(bounds.getWest()), east: turn(bounds.getEast()) };
  return [west, Math.max(-90, bounds.getSouth()), east, Math.min(90, bounds.getNorth())].join();
}

async function refreshList({ everywhere = false } = {}) {
  map?.filter(wanted());
  await list.load("api/v1/sites", parameters(everywhere));
  shown();
}

function shown() {
  const count = list.items.length;
  byId("count").textContent = count ? t(list.next ? "listedOfMore" : "listed", { count }) : t("none");
  noteKinds(list.items.map(({ properties }) => properties.kind));
  map?.drawList(list.items);
}

function refreshSoon() {
  clearTimeout(timer);
  timer = setTimeout(() => token() && attempt(refreshList, byId("list-error")), WAIT_MS);
}

function noteKinds(kinds) {
  if (map) map.noteKinds(kinds);
  else offerKinds([...new Set(kinds)].sort());
}

function offerKinds(kinds) {
  const chosen = byId("kind").value;
  byId("kind").replaceChildren(
    element("option", { value: "" }, t("everyKind")),
    ...kinds.map((kind) => element("option", { value: kind }, kind)),
  );
  byId("kind").value = chosen;
  byId("kinds").replaceChildren(...kinds.map((kind) => element("option", { value: kind })));
}

let opening = 0;

/** Shows a site, unless another one has been asked for meanwhile. */
const open = (id) =>
  attempt(async () => {
    const asked = ++opening;
    const found = await readSite(id);
    if (asked === opening) await show(found);
  });

async function show(found) {
  site = found;
  byId("move").hidden = !mayEdit() || site.geometry.type !== "Point";
  showView("details-view");
  map?.choose(site);
  const described = describe();
  byId("details-name").focus();
  await described;
}

function describe() {
  showSite(site);
  return loadFiles(site);
}

function back() {
  opening++;
  showView("list-view");
  map?.choose(null);
  const button = site && byId("list").querySelector(`[data-id="${site.id}"]`);
  (button ?? byId("panel")).focus();
  site = null;
}

const mayEdit = () => user !== null && user.role !== "viewer";

/** After each login; what is typed or shown already stays. */
async function start() {
  const isFirst = user === null;
  user = await (await request("api/v1/users/me")).json();
  byId("who").textContent = user.email;
  byId("log-in").hidden = true;
  byId("log-out").hidden = false;
  byId("add").hidden = !mayEdit();
  await map?.addSites();
  await (isFirst ? showAll() : refreshList());
}

async function showAll() {
  await refreshList({ everywhere: true });
  const { text, kind } = wanted();
  await map?.show(list.items, { isPart: list.next && !text && !kind });
}

/** Back from the form: with the site as it is now, if there is one, and with what was done to it. */
async function afterPlacing(placed, done) {
  if (done) {
    map?.refresh();
    refreshSoon();
  }
  if (!placed) return back();
  await attempt(() => show(placed));
  if (done) announce(done);
}

translatePage();
map = await createMap({
  onChoose: open,
  onPlace: (place) => form.isOpen && form.put(place),
  onMoved: () => byId("visible").checked && refreshSoon(),
  onKinds: offerKinds,
});
if (!map) showNote("noWebGl");
globalThis.landfall = { map: map?.map }; // for tests, and for the curious
const form = new PlaceForm({ createMarker: (onDrag) => map?.marker(onDrag), onDone: afterPlacing });

onLanguage(() => {
  translatePage();
  byId("language").textContent = t("otherLanguage");
  offerKinds([...byId("kinds").options].map(({ value }) => value));
  if (user) shown();
  if (site) attempt(describe);
});
byId("language").onclick = switchLanguage;
byId("text").oninput = byId("kind").onchange = byId("visible").onchange = refreshSoon;
byId("filter").onsubmit = (event) => event.preventDefault();
byId("add").onclick = () => form.open();
byId("move").onclick = () => form.open(site);
byId("back").onclick = back;
byId("zoom-in").onclick = () => map?.map.zoomIn();
byId("zoom-out").onclick = () => map?.map.zoomOut();
byId("fit").onclick = () => attempt(showAll);
byId("log-in").onclick = () => attempt(logIn);
byId("log-out").onclick = () => {
  logOut();
  location.reload();
};
onLogin(() => attempt(start));
byId("log-in").hidden = false;
await attempt(token() ? start : logIn);
