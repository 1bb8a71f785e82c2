// Trying again, later and later: half a second at first, a quarter of a minute at most, and a little by chance, so that
// the pages of many operators do not come back all at once.

const FIRST_MS = 500;
const MOST_MS = 15_000;

/** Calls `attempt` again after `failed()`; `worked()` starts the waiting anew; `stop()` is for good. */
export class Again {
    #attempt;
    #wait = FIRST_MS;
    #timer = 0;

    constructor(attempt) {
        this.#attempt = attempt;
    }

    /** How long it waits now, in milliseconds. */
    failed() {
        const wait = this.#wait * (0.8 + 0.4 * Math.random());
        this.#wait = Math.min(this.#wait * 2, MOST_MS);
        clearTimeout(this.#timer);
        this.#timer = setTimeout(this.#attempt, wait);
        return wait;
    }

    worked() {
        this.#wait = FIRST_MS;
        clearTimeout(this.#timer);
    }

    stop() {
        clearTimeout(this.#timer);
    }
}

/**
 * Calls `work`, which may be asynchronous, at once and then `milliseconds` after each end of it, while the page is on
 * the screen. Returns what stops it.
 */
export function every(milliseconds, work) {
    let timer = 0;
    let stopped = false;
    const turn = async () => {
        if (!document.hidden) await work();
        if (!stopped) timer = setTimeout(turn, milliseconds);
    };
    turn();
    return () => {
        stopped = true;
        clearTimeout(timer);
    };
}
