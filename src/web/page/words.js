// The words that are watched for: actions with their phrases and thresholds, and the background. While they are edited
// the people of the moment are scored against them; the box goes by them once they are saved.

import { actionCard, cleaned, lines } from "./action.js";
import { every } from "./again.js";
import * as api from "./api.js";
import { failure, h } from "./dom.js";
import { saveBar } from "./save.js";
import { Draft } from "./draft.js";
import { tryout } from "./tryout.js";

const draft = new Draft(); // { actions, background }, as the API has them
const SCORES_MS = 15_000; // between two looks at the last hour's scores
const NEW = { name: "", phrases: [], threshold: 0.6, minimum_duration: "" };

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
    let closed = false;

    async function load(again = false) {
        try {
            const vocabulary = await api.vocabulary();
            if (closed) return;
            const actions = vocabulary.actions.map((action) => ({ ...action, was: action.name }));
            if (!draft.changed || again) draft.reset({ actions, background: vocabulary.background });
            note.replaceChildren(...told(vocabulary));
            editor.hidden = false;
            place();
        } catch (error) {
            if (!closed) note.replaceChildren(failure(error));
        }
    }

    /** Puts the draft on the screen. */
    function place() {
        shown = draft.now.actions.map((action) => actionCard(action, counts(action.was), changed, () => remove(action)));
        cards.replaceChildren(...shown.map((card) => card.element));
        background.value = draft.now.background.join("\n");
        changed();
    }

    function counts(name) {
        const its = histograms?.actions.find((action) => action.name === name);
        return its && { edges: histograms.edges, counts: its.counts };
    }

    /** Looks at the last hour's scores. Without them everything else works. */
    async function look() {
        histograms = await api.scores().catch(() => null);
        if (!closed) shown.forEach((card, k) => card.see(counts(draft.now.actions[k].was)));
    }

    function changed() {
        bar.update(draft.changed);
        trial.update(cleaned(draft.now), draft.saved);
    }

    function append() {
        draft.now.actions.push(structuredClone(NEW));
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
        const { saved, changes } = await api.saveVocabulary(cleaned(draft.now));
        await load(true);
        const where = saved === "file" ? "Saved in the file" : "Saved over the file, as if by a command";
        return `${where}, and in effect: ${changes}`;
    }

    /** Shows each problem at the action that it names, as `action[1].phrases: …`, and returns the others. */
    function mark(problems) {
        const at = (problem) => Number(/action\[(\d+)\]/.exec(problem)?.[1] ?? -1);
        shown.forEach((card, k) => card.problems(problems.filter((problem) => at(problem) === k).map((problem) => problem.replace(/^.*?action\[\d+\]\.?/, ""))));
        shown[Math.min(...problems.map(at).filter((k) => k >= 0))]?.element.querySelector(".problems").scrollIntoView({ block: "nearest" });
        return problems.filter((problem) => !shown[at(problem)]);
    }

    load();
    const stop = every(SCORES_MS, look);
    return {
        element: h("div", { class: "words" }, h("div", { class: "column" }, h("h1", {}, "Words"), note, editor, bar.element), trial.element),
        update() {},
        close() {
            closed = true;
            stop();
            trial.close();
        },
    };
}

function told({ from, writable }) {
    const notes = [];
    if (from === "command") notes.push("These words were set by a command; they lie over the file's.");
    if (!writable) notes.push("The daemon may not write its configuration file. What is saved here lies over the file's words, as if a command had set it.");
    return notes.map((text) => h("p", { class: "notice" }, text));
}
