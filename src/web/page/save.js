// The bar at the bottom of what can be edited: save, discard, and what came of it.

import { announce, failure, h } from "./dom.js";

/**
 * `save()` writes what was changed and resolves to what is to be said; `discard()` goes back. `update(changed)` tells
 * whether there is anything to save. What the box finds wrong is handed to `onproblems(list)`, which shows it where it
 * belongs and returns the rest, to be shown here.
 */
export function saveBar(save, discard, onproblems = (problems) => problems) {
    const said = h("div", { class: "said", role: "status" });
    const keep = h("button", { type: "button", class: "primary", disabled: true, onclick: write }, "Save");
    const drop = h("button", { type: "button", disabled: true, onclick: () => (said.replaceChildren(), onproblems([]), discard()) }, "Discard");
    const element = h("div", { class: "save" }, said, drop, keep);
    let changed = false;

    async function write() {
        keep.disabled = true;
        said.replaceChildren("Saving…");
        try {
            const done = await save();
            onproblems([]);
            said.replaceChildren(done);
            announce(done);
        } catch (error) {
            said.replaceChildren(failure(error, onproblems(error.problems ?? [])));
        }
        update(changed);
    }

    function update(is) {
        if (is && !changed) said.replaceChildren("Not saved yet.");
        changed = is;
        keep.disabled = drop.disabled = !is;
        element.classList.toggle("changed", is);
    }

    return { element, update, write };
}
