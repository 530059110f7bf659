/** The form that gives a site its place: a new one, or one that moves. */
import { announce, attempt, byId, clearError, showError, showView } from "./dom.js";
import { readSite, showSite } from "./details.js";
import { onLanguage, t } from "./language.js";
import { request } from "./login.js";

const [lon, lat] = [byId("lon"), byId("lat")];
const position = () => ({ lng: lon.valueAsNumber, lat: lat.valueAsNumber });
const JSON_TYPE = { "Content-Type": "application/json" };

export class PlaceForm {
  #marker;
  #site = null; // the one that moves

  constructor({ createMarker, onDone }) {
    this.#marker = createMarker((place) => this.#type(place));
    for (const input of [lon, lat]) input.oninput = () => this.#putMarker();
    byId("place-view").onsubmit = (event) => {
      event.preventDefault();
      this.#save(onDone);
    };
    byId("reload").onclick = () => attempt(() => this.#reload());
    byId("cancel").onclick = () => {
      this.#marker?.remove();
      onDone(this.#site);
    };
    onLanguage(() => this.#translate());
  }

  get isOpen() {
    return !byId("place-view").hidden;
  }

  open(site = null) {
    this.#site = site;
    byId("place-view").reset();
    this.#translate();
    byId("new-properties").hidden = byId("new-properties").disabled = Boolean(site);
    byId("reload").hidden = true;
    if (site) this.put({ lng: site.geometry.coordinates[0], lat: site.geometry.coordinates[1] });
    showView("place-view");
    byId("place-title").focus();
  }

  /** Takes the place, and tells that it did. */
  put(place) {
    this.#type(place);
    this.#putMarker();
    return true;
  }

  #translate() {
    const name = this.#site?.properties.name;
    byId("place-title").textContent = name ? t("moveTitle", { name }) : t("addTitle");
  }

  #type({ lng, lat: latitude }) {
    // Seven digits are a centimetre.
    lon.value = Number((((((lng + 180) % 360) + 360) % 360) - 180).toFixed(7));
    lat.value = Number(latitude.toFixed(7));
  }

  #putMarker() {
    if (lon.value && lat.value && lon.validity.valid && lat.validity.valid) this.#marker?.put(position());
    else this.#marker?.remove();
  }

  async #save(onDone) {
    clearError();
    byId("save").disabled = true;
    try {
      const answer = await (this.#site ? this.#move() : this.#add());
      const site = { ...(await answer.json()), etag: answer.headers.get("ETag") };
      this.#marker?.remove();
      onDone(site, t(this.#site ? "moved" : "added", { name: site.properties.name }));
    } catch (error) {
      if (error.status === 412) error.message = t("changedMeanwhile");
      byId("reload").hidden = error.status !== 412;
      showError(error);
    } finally {
      byId("save").disabled = false;
    }
  }

  #geometry() {
    const { lng, lat: latitude } = position();
    return { type: "Point", coordinates: [lng, latitude] };
  }

  #add() {
    const properties = { name: byId("new-name").value, kind: byId("new-kind").value };
    const body = JSON.stringify({ type: "Feature", geometry: this.#geometry(), properties });
    return request("api/v1/sites", { method: "POST", headers: JSON_TYPE, body });
  }

  #move() {
    const headers = { ...JSON_TYPE, "If-Match": this.#site.etag };
    const body = JSON.stringify({ geometry: this.#geometry() });
    return request(`api/v1/sites/${this.#site.id}`, { method: "PATCH", headers, body });
  }

  async #reload() {
    this.#site = await readSite(this.#site.id);
    showSite(this.#site);
    byId("reload").hidden = true;
    announce(t("reloaded", { version: this.#site.properties.version }));
    byId("save").focus();
  }
}
