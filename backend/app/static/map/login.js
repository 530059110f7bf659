/** Who is logged in: the token lives as long as the tab does. */
import { byId, clearError, showError } from "./dom.js";
import { Problem, send } from "./http.js";
import { t } from "./language.js";

const KEY = "landfall.token";
const listeners = [];
let asking = null;

export const token = () => sessionStorage.getItem(KEY);

/** Calls `listener` after each login. */
export const onLogin = (listener) => listeners.push(listener);

export const logOut = () => sessionStorage.removeItem(KEY);

/** Asks for a login, once for all who wait for it; raises `Problem` when it is not given. */
export function logIn(reason = t("loginNeeded")) {
  asking ??= ask(reason).finally(() => (asking = null));
  return asking;
}

function ask(reason) {
  const dialog = byId("login");
  const form = byId("login-form");
  byId("login-reason").textContent = reason;
  dialog.showModal();
  return new Promise((resolve, reject) => {
    byId("login-cancel").onclick = () => dialog.close();
    dialog.onclose = () =>
      token() ? resolve(token()) : reject(new Problem(401, { title: t("logIn"), detail: t("loginNeeded") }));
    form.onsubmit = async (event) => {
      event.preventDefault();
      clearError(byId("login-error"));
      try {
        sessionStorage.setItem(KEY, await fetchToken());
        byId("password").value = "";
        dialog.close();
        listeners.forEach((listener) => listener());
      } catch (error) {
        showError(error, byId("login-error"));
        byId("password").select();
      }
    };
  });
}

async function fetchToken() {
  const body = new URLSearchParams({ username: byId("email").value, password: byId("password").value });
  return (await (await send("api/v1/auth/token", { method: "POST", body })).json()).access_token;
}

/** An answer to the one who is logged in; where nobody is, or no longer, asks for it and tries again. */
export async function request(path, { headers = {}, ...options } = {}) {
  const used = token() ?? (await logIn());
  try {
    return await send(path, { ...options, headers: { ...headers, Authorization: `Bearer ${used}` } });
  } catch (error) {
    if (error.status !== 401) throw error;
    await renew(used);
    return request(path, { headers, ...options });
  }
}

/** After a 401 for the token `used`: asks for a login, unless there is a newer token already. */
export async function renew(used) {
  if (token() !== used) return;
  logOut();
  await logIn(t("loginExpired"));
}
