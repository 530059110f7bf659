/** One site: its properties and its files. */
import { attempt, byId, element } from "./dom.js";
import { language, t } from "./language.js";
import { PagedList } from "./list.js";
import { request } from "./login.js";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** Reads a site; its `etag` is for the change that may follow. */
export async function readSite(id) {
  const answer = await request(`api/v1/sites/${id}`);
  return { ...(await answer.json()), etag: answer.headers.get("ETag") };
}

const files = new PagedList(byId("files"), { more: byId("more-files"), rows: "items", render: fileParts });
files.onMore = () => attempt(() => files.loadMore());

export async function loadFiles({ id }) {
  await files.load("api/v1/artifacts", { site_id: id, sort: "file_name" });
  if (!files.items.length) byId("files").replaceChildren(element("li", {}, t("noFiles")));
}

export function showSite({ geometry, properties: { name, properties, ...own } }) {
  byId("details-name").textContent = name;
  const time = (text) => new Date(text).toLocaleString(language());
  const rows = [
    [t("kind"), own.kind],
    [t("externalId"), own.external_id ?? "–"],
    [t("shape"), geometry.type],
    ...(geometry.type === "Point" ? [[t("position"), geometry.coordinates.join(", ")]] : []),
    ...Object.entries(properties).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
    [t("version"), own.version],
    [t("created"), time(own.created_at)],
    [t("updated"), time(own.updated_at)],
  ];
  const parts = rows.flatMap(([key, value]) => [element("dt", {}, key), element("dd", {}, String(value))]);
  byId("details").replaceChildren(element("dl", {}, ...parts));
}

function fileParts({ id, file_name: name, size_bytes: size, state }) {
  const about = element("small", {}, `${formatSize(size)}, ${t(`state_${state}`)}`);
  if (state !== "available") return [element("span", {}, name), about];
  const download = element("button", { type: "button", ariaLabel: t("download", { name }) }, name);
  download.onclick = () => attempt(() => downloadFile(id));
  return [download, about];
}

/** The link is made when it is asked for, since it expires; what it gives is an attachment, so the page stays. */
async function downloadFile(id) {
  const { url } = await (await request(`api/v1/artifacts/${id}/download`)).json();
  element("a", { href: url, rel: "noreferrer" }).click();
}

function formatSize(bytes) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const options = { style: "unit", unit: UNITS[power], maximumFractionDigits: 1, unitDisplay: power ? "short" : "long" };
  return new Intl.NumberFormat(language(), options).format(bytes / 1000 ** power);
}
