// The log-in: a password, and what the box says to it.

import * as api from "./api.js";
import { h } from "./dom.js";

/** A form; `done()` once the box has let one in. */
export function login(done) {
    const password = h("input", { type: "password", id: "password", name: "password", required: true, autocomplete: "current-password", "aria-describedby": "login-said" });
    const said = h("p", { class: "said", id: "login-said", role: "alert" });
    const enter = h("button", { type: "submit", class: "primary" }, "Log in");
    const form = h("form", { class: "login card", onsubmit: submit }, h("h1", {}, "Log in"), h("label", { for: "password" }, "Password of this box"), password, said, enter);

    async function submit(event) {
        event.preventDefault();
        enter.disabled = true;
        said.textContent = "";
        try {
            await api.logIn(password.value);
            done();
            return;
        } catch (error) {
            said.textContent = error.status === 401 ? "That is not the password." : error.message;
            password.toggleAttribute("aria-invalid", error.status === 401);
            if (error.status === 429) {
                said.textContent = `Too many attempts. Try again in ${error.retryAfter} s.`;
                await new Promise((resolve) => setTimeout(resolve, error.retryAfter * 1000));
                said.textContent = "";
            }
        }
        enter.disabled = false;
        password.select();
        password.focus();
    }

    return { element: form, focus: () => password.focus() };
}
