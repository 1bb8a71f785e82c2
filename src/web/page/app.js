// Starts the page: asks whether a log-in is needed, shows the view that the address names, and says so when the box
// cannot be reached.

import * as api from "./api.js";
import { Again } from "./again.js";
import { failure, h } from "./dom.js";
import { health } from "./health.js";
import { live } from "./live.js";
import { login } from "./login.js";
import { Router } from "./router.js";
import { words } from "./words.js";
import { zones } from "./zones.js";

const PULSE_MS = 10_000;
const place = document.getElementById("view");
const nav = document.querySelector("nav");
const banner = document.getElementById("banner");
const leave = document.getElementById("logout");
const router = new Router({ live, words, zones, health }, place);

router.onshow = (name) => {
    for (const link of nav.querySelectorAll("a")) {
        if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }
    document.title = `${name[0].toUpperCase()}${name.slice(1)} · Watchword`;
};

let inside = false;

/** Asks the box who we are, and goes in or to the log-in. */
async function enter() {
    try {
        const { required, authenticated } = await api.session();
        again.worked();
        leave.hidden = !required || !authenticated;
        if (required && !authenticated) outside();
        else within();
    } catch (error) {
        // Nobody there is what the banner says.
        if (error instanceof api.Refused) place.replaceChildren(failure(error));
        again.failed();
    }
}

function within() {
    if (inside) return;
    inside = true;
    nav.hidden = false;
    router.follow();
    pulse();
}

function outside() {
    inside = false;
    leave.hidden = true;
    nav.hidden = true;
    router.leave();
    document.title = "Log in · Watchword";
    const form = login(enter);
    place.replaceChildren(form.element);
    form.focus();
}

/** The name of the box, and whether it is there at all. */
async function pulse() {
    clearTimeout(pulse.timer);
    if (!inside) return;
    try {
        const status = await api.status();
        document.getElementById("node").textContent = status.node;
    } catch {
        // what is to be said is said by the banner
    }
    pulse.timer = setTimeout(pulse, PULSE_MS);
}

const again = new Again(enter);
const back = new Again(async () => {
    try {
        await api.session();
    } catch {
        lost();
    }
});

/** Says that the box is not reachable, and when it is tried again. */
function lost() {
    banner.hidden = false;
    const seconds = Math.max(1, Math.round(back.failed() / 1000));
    banner.replaceChildren(
        h("strong", {}, "The box cannot be reached. "),
        `What you see may be old. Trying again in ${seconds} s. `,
        h("button", { type: "button", onclick: () => api.session().catch(() => {}) }, "Try now"),
    );
}

api.reach.addEventListener("down", () => banner.hidden && lost());
api.reach.addEventListener("up", () => {
    if (banner.hidden) return;
    banner.hidden = true;
    back.worked();
    enter();
});
api.reach.addEventListener("login", () => inside && outside());
leave.addEventListener("click", async () => {
    await api.logOut().catch(() => {});
    outside();
});
// By hand, since the address after `#` names the view.
document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    place.focus();
});
enter();
