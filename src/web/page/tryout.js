// "Try it": the people of the moment, scored against words that are not saved. A picture with their boxes, and a table of
// person × action, each score beside its threshold. Asks again after a pause in typing, and every few seconds.

import * as api from "./api.js";
import { every } from "./again.js";
import { choice, debounced, h, offer } from "./dom.js";
import { plain, score, time } from "./format.js";
import { caption, Picture } from "./picture.js";
import { Recent } from "./recent.js";

const PAUSE_MS = 350;
const REFRESH_MS = 2500;

export function tryout() {
    const picture = new Picture("The current picture, with the people scored against the words as they stand here");
    const camera = choice({ name: "camera", "aria-label": "Camera", onchange: look }, []);
    const note = h("p", { class: "note", role: "status" }, "Waiting for a picture…");
    const table = h("table", { class: "tried" });
    const element = h(
        "section",
        { class: "trial", "aria-label": "Try it" },
        h("div", { class: "bar" }, h("h2", {}, "Try it"), camera),
        h("div", { class: "frame" }, picture.element),
        note,
        h("div", { class: "scroll" }, table),
    );
    const recent = new Recent();
    let words = null;
    let asking = false;
    let stale = false; // the words changed while the box was asked
    let closed = false;

    async function ask() {
        if (!words || closed) return;
        if (asking) {
            stale = true;
            return;
        }
        asking = true;
        stale = false;
        const ready = usable(words);
        try {
            if (ready.length === 0) throw new Error("Write an action with a name and a phrase to try it.");
            const actions = ready.map(({ name, phrases }) => ({ name, phrases }));
            const tried = await api.tryOut({ actions, background: words.background, camera: camera.value });
            const seen = tried.cameras.find(({ time }) => time);
            const image = seen ? await recent.at(seen.time) : null;
            if (closed) image?.close();
            else show(seen, image, ready);
        } catch (error) {
            if (!closed) tell(error);
        }
        asking = false;
        if (stale) ask();
    }

    function tell(error) {
        if (error.status === 429) return void later(); // another page is trying words just now
        note.textContent = error.message;
        note.hidden = false;
        if (error.status === 404 || error.status === undefined) table.replaceChildren();
    }

    /** `seen` on `image`, which is the frame that it was seen on. */
    function show(seen, image, actions) {
        const people = seen?.persons ?? [];
        const thresholds = Object.fromEntries(actions.map(({ name, threshold }) => [name, threshold]));
        if (image) picture.show(image, (pen) => {
            for (const { track, box, scores } of people) {
                const best = Object.entries(scores).filter(([name]) => name in thresholds).sort((a, b) => b[1] - a[1]).slice(0, 3);
                const { label, loud } = caption(track, best, thresholds);
                pen.person(box, label, loud);
            }
        });
        note.textContent = seen ? "Nobody is in the picture now." : "No picture came in time.";
        note.hidden = people.length > 0;
        element.dataset.tried = (Number(element.dataset.tried) || 0) + 1;
        table.replaceChildren(
            h("caption", { class: "hidden" }, `Scores of the people in the picture${seen ? ` at ${time(seen.time)}` : ""}`),
            h("thead", {}, h("tr", {}, h("td", {}), actions.map(({ name }) => h("th", { scope: "col" }, plain(name))))),
            h("tbody", {}, people.map(({ track, scores }) => h(
                "tr",
                {},
                h("th", { scope: "row" }, `#${track}`),
                actions.map(({ name, threshold }) => h("td", { class: scores[name] >= threshold ? "number over" : "number", "data-score": name }, score(scores[name]))),
            ))),
        );
    }

    function look() {
        recent.follow(camera.value);
        ask();
    }

    const soon = debounced(PAUSE_MS, ask);
    const later = debounced(1000, ask);
    let stop = () => {};
    api.cameras().then(
        (cameras) => {
            if (closed) return;
            offer(camera, cameras.map(({ name }) => name), cameras.find(({ status }) => status === "online")?.name ?? cameras[0]?.name);
            camera.hidden = cameras.length < 2;
            recent.follow(camera.value);
            stop = every(REFRESH_MS, ask);
        },
        (error) => closed || tell(error),
    );
    return {
        element,
        /** What is to be tried from now on. */
        update(wanted) {
            words = wanted;
            soon();
        },
        close() {
            closed = true;
            stop();
            soon.cancel();
            later.cancel();
            recent.close();
            picture.close();
        },
    };
}

/** The actions that can be scored already while they are being written. */
const usable = ({ actions }) => actions.filter(({ name, phrases }) => name && phrases.length > 0);
