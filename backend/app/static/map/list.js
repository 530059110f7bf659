/** Lists of the panel: pages of what the service has, with a button for the next. */
import { element } from "./dom.js";
import { request } from "./login.js";

/** A list of one address at a time, shown by `render`, an item each; a newer load ends an older one. */
export class PagedList {
  constructor(list, { more, rows, render }) {
    Object.assign(this, { list, more, rows, render, items: [], next: null, loading: null });
    more.onclick = () => this.onMore();
  }

  /** Replaces the list by the first page. */
  async load(path, parameters) {
    this.path = path;
    this.more.hidden = true;
    await this.#page(parameters, { replace: true });
  }

  /** Adds the next page; the focus goes to its first item. */
  async loadMore() {
    const first = this.items.length;
    await this.#page(this.next, { replace: false });
    this.list.children[first]?.querySelector("button")?.focus();
  }

  async #page(parameters, { replace }) {
    this.loading?.abort();
    const loading = (this.loading = new AbortController());
    const answer = await request(`${this.path}?${new URLSearchParams(parameters)}`, { signal: loading.signal });
    const page = await answer.json();
    this.items = replace ? page[this.rows] : [...this.items, ...page[this.rows]];
    this.next = page.next && { ...parameters, cursor: new URL(page.next).searchParams.get("cursor") };
    const shown = page[this.rows].map((item) => element("li", {}, ...this.render(item)));
    if (replace) this.list.replaceChildren(...shown);
    else this.list.append(...shown);
    this.more.hidden = !this.next;
  }
}
