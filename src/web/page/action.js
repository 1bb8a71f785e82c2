// One action on the screen: its name, its phrases, its threshold over the scores of the last hour, how long it has to
// last. Writes what is typed into the action that it was given.

import { h } from "./dom.js";
import { count, score } from "./format.js";
import { histogram } from "./plot.js";

let serial = 0; // of the elements' ids

export const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

/** The words as the API takes them. `was` is an action's name in the file; it is told if it is to be another. */
export function cleaned({ actions, background }) {
    const clean = ({ name, was, phrases, threshold, minimum_duration }) => ({
        name: name.trim(), was: was && was !== name.trim() ? was : undefined, phrases, threshold, minimum_duration: minimum_duration || undefined,
    });
    return { actions: actions.map(clean), background };
}

/** `seen`: `{ edges, counts }` of the last hour, if the box has any; `onchange()` and `onremove()` as they say. */
export function actionCard(action, seen, onchange, onremove) {
    const id = `action-${++serial}`;
    const name = h("input", {
        type: "text", id: `${id}-name`, name: "name", value: action.name, required: true, autocomplete: "off", spellcheck: "false", placeholder: "climbing_fence",
        "aria-describedby": `${id}-problems`, oninput: () => { action.name = name.value; onchange(); },
    });
    const phrases = h("textarea", {
        id: `${id}-phrases`, name: "phrases", rows: Math.max(2, action.phrases.length), value: action.phrases.join("\n"), placeholder: "a person climbing over a fence",
        "aria-describedby": `${id}-problems`, oninput: () => { action.phrases = lines(phrases.value); onchange(); },
    });
    const slider = h("input", { type: "range", min: 0, max: 1, step: 0.01, name: "threshold", "aria-label": "Threshold", oninput: () => move(slider) });
    const exact = h("input", { type: "number", min: 0, max: 1, step: 0.01, name: "exact", "aria-label": "Threshold as a number", oninput: () => move(exact) });
    const lasting = h("input", {
        type: "text", name: "minimum_duration", class: "short", value: action.minimum_duration, placeholder: "500ms", autocomplete: "off",
        oninput: () => { action.minimum_duration = lasting.value.trim(); onchange(); },
    });
    const plotted = h("div", { class: "plotted" });
    const share = h("p", { class: "hint" });
    const problems = h("ul", { class: "problems", id: `${id}-problems` });

    function move(input) {
        const wanted = Number(input.value);
        if (input.value === "" || !(wanted >= 0 && wanted <= 1)) return;
        action.threshold = wanted;
        for (const other of [slider, exact]) if (other !== input) other.value = wanted;
        slider.setAttribute("aria-valuetext", score(wanted));
        plot();
        onchange();
    }

    function plot() {
        if (!seen) {
            share.textContent = "No scores of the last hour yet.";
            return;
        }
        const whole = seen.counts.reduce((sum, n) => sum + n, 0);
        const over = seen.counts.reduce((sum, n, k) => sum + (seen.edges[k] >= action.threshold - 1e-9 ? n : 0), 0);
        const text = whole === 0 ? "Nobody was scored in the last hour." : `About ${count(over)} of ${count(whole)} scores of the last hour are over it.`;
        plotted.replaceChildren(histogram(seen.edges, seen.counts, action.threshold, `Scores of the last hour. ${text}`));
        share.textContent = text;
    }

    slider.value = exact.value = action.threshold;
    slider.setAttribute("aria-valuetext", score(action.threshold));
    plot();
    return {
        element: h(
            "fieldset",
            { class: "card action", "data-action": action.name },
            h("legend", { class: "hidden" }, action.name || "New action"),
            h("div", { class: "row" },
                h("div", { class: "grow" }, h("label", { for: `${id}-name` }, "Action"), name),
                h("button", { type: "button", class: "quiet", "aria-label": `Remove ${action.name || "this action"}`, onclick: onremove }, "Remove")),
            h("label", { for: `${id}-phrases` }, "Phrases, one to a line"),
            phrases,
            problems,
            h("div", { class: "row foot" },
                h("div", { class: "grow threshold" }, h("span", { class: "label" }, "Threshold"), plotted, slider, share),
                exact),
            h("label", { class: "inline lasting" }, "Lasts at least", lasting),
        ),
        focus: () => name.focus(),
        /** Shows newer scores of the last hour. */
        see(newer) {
            seen = newer;
            plot();
        },
        problems(list) {
            problems.replaceChildren(...list.map((problem) => h("li", {}, problem)));
            for (const input of [name, phrases]) input.toggleAttribute("aria-invalid", list.length > 0);
        },
    };
}
