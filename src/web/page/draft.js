// What an operator has changed and not saved yet. It outlives the view, so looking at another one loses nothing, and the
// browser asks before the page is left with it.

/** A copy of what the box has, to be changed. */
export class Draft {
    static #all = [];
    #saved = null;
    now = null;

    constructor() {
        Draft.#all.push(this);
    }

    /** Takes over what the box has; what was changed here is lost. */
    reset(saved) {
        this.#saved = JSON.stringify(saved);
        this.now = structuredClone(saved);
    }

    get loaded() {
        return this.#saved !== null;
    }

    get changed() {
        return this.#saved !== null && JSON.stringify(this.now) !== this.#saved;
    }

    get saved() {
        return JSON.parse(this.#saved);
    }

    /** Whether anything anywhere is not saved. */
    static get any() {
        return Draft.#all.some((draft) => draft.changed);
    }
}

addEventListener("beforeunload", (event) => Draft.any && event.preventDefault());
