/** One request to the service, and what it says when something is wrong. */
import { language, t } from "./language.js";

/** Where the API is: this file stands three folders below. */
export const BASE = new URL("../../../", import.meta.url).href;

/** A problem by RFC 9457. */
export class Problem extends Error {
  constructor(status, { title, detail, errors, request_id } = {}) {
    super(detail);
    this.status = status;
    this.title = title;
    this.fields = errors;
    this.requestId = request_id;
  }
}

/** The answer, when all is well; raises `Problem`. */
export async function send(path, { headers = {}, ...options } = {}) {
  let response;
  try {
    response = await fetch(BASE + path, { ...options, headers: { "Accept-Language": language(), ...headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { title: t("unreachable"), detail: t("unreachableDetail") });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Problem(response.status, { title: `${response.status} ${response.statusText}`, detail: "", ...body });
}
