// The words that are watched for: actions with their phrases and thresholds, and the background. While they are edited
// the people of the moment are scored against them; the box goes by them once they are saved.

import { actionCard, cleaned, lines } from "./action.js";
import * as api from "./api.js";
import { failure, h } from "./dom.js";
import { saveBar } from "./save.js";
import { Draft } from "./draft.js";
import { tryout } from "./tryout.js";

const draft = new Draft(); // { actions, background }, as the API has them
const NEW = { name: "", phrases: [], threshold: 0.6, minimum_duration: null };

export function words() {
    const cards = h("div", { class: "cards" });
    const note = h("div", { class: "notes" });
    const background = h("textarea", { rows: 3, id: "background", name: "background", "aria-describedby": "background-note", oninput: () => { draft.now.background = lines(background.value); changed(); } });
    const add = h("button", { type: "button", onclick: append }, "Add an action");
    const editor = h(
        "section",
        { class: "editor", "aria-label": "Actions", hidden: true },
        cards,
        add,
        h("div", { class: "card" },
            h("label", { for: "background" }, "Background"),
            h("p", { class: "hint", id: "background-note" }, "What is none of the above and is not published, one phrase to a line. It keeps people who do nothing of note from being likest to an action."),
            background),
    );
    const trial = tryout();
    const bar = saveBar(save, () => { draft.reset(draft.saved); place(); }, mark);
    let histograms = null;
    let shown = [];
    let template = NEW;
    let closed = false;

    async function load(again = false) {
        try {
            const [vocabulary, scores] = await Promise.all([api.vocabulary(), api.scores().catch(() => null)]);
            if (closed) return;
            histograms = scores;
            const { from, writable, ...has } = vocabulary;
            template = { ...NEW, minimum_duration: has.actions[0]?.minimum_duration ?? null };
            if (!draft.changed || again) draft.reset({ actions: has.actions, background: has.background });
            note.replaceChildren(...told(from, writable));
            editor.hidden = false;
            place();
        } catch (error) {
            if (!closed) note.replaceChildren(failure(error));
        }
    }

    /** Puts the draft on the screen. */
    function place() {
        shown = draft.now.actions.map((action) => actionCard(action, counts(action.name), changed, () => remove(action)));
        cards.replaceChildren(...shown.map((card) => card.element));
        background.value = draft.now.background.join("\n");
        changed();
    }

    function counts(name) {
        const its = histograms?.actions.find((action) => action.name === name);
        return its && { edges: histograms.edges, counts: its.counts };
    }

    function changed() {
        bar.update(draft.changed);
        trial.update(cleaned(draft.now), draft.saved);
    }

    function append() {
        draft.now.actions.push(structuredClone(template));
        place();
        shown.at(-1).focus();
    }

    function remove(action) {
        const at = draft.now.actions.indexOf(action);
        draft.now.actions.splice(at, 1);
        place();
        (shown[at] ?? shown[at - 1])?.focus();
        if (shown.length === 0) add.focus();
    }

    async function save() {
        const { changes } = await api.saveVocabulary(cleaned(draft.now));
        await load(true);
        return changes && typeof changes === "string" ? `Saved, and in effect: ${changes}` : "Saved, and in effect.";
    }

    /** Shows each problem at the action that it names, as `action[1].phrases: …` or by the action's name. */
    function mark(problems) {
        for (const card of shown) card.problems([]);
        for (const problem of problems) {
            const index = /action\[(\d+)\]/.exec(problem)?.[1];
            const named = draft.now.actions.findIndex(({ name }) => name && problem.includes(`"${name}"`));
            shown[index ?? named]?.problems([problem]);
        }
    }

    load();
    return {
        element: h("div", { class: "words" }, h("div", { class: "column" }, h("h1", {}, "Words"), note, editor, bar.element), trial.element),
        update() {},
        close() {
            closed = true;
            trial.close();
        },
    };
}

function told(from, writable) {
    const notes = [];
    if (from === "command") notes.push("These words were set by a command over MQTT, which stands above the file.");
    if (!writable) notes.push("The configuration file cannot be written by the daemon, so nothing can be saved here; trying out works.");
    return notes.map((text) => h("p", { class: "notice" }, text));
}
