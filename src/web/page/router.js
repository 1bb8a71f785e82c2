// Which view is on the screen, as the address after `#` says: `#/live?camera=gate&action=walking`. A view is a function
// `open(params, go)` that returns `{ element, update(params), close() }`; it knows nothing of the others.

/** Shows one of `views` (name → open) in `place`, and follows the address. */
export class Router {
    #views;
    #place;
    #shown = null;
    #view = null;
    onshow = () => {};

    constructor(views, place) {
        this.#views = views;
        this.#place = place;
        addEventListener("hashchange", () => this.follow());
    }

    /** The address as `[view, params]`; a name that is no view is the first one. */
    where() {
        const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
        const name = Object.hasOwn(this.#views, path) ? path : Object.keys(this.#views)[0];
        return [name, Object.fromEntries(new URLSearchParams(query))];
    }

    follow() {
        const [name, params] = this.where();
        if (name === this.#shown) {
            this.#view.update(params);
            return;
        }
        this.leave();
        this.#shown = name;
        this.#view = this.#views[name](params, (params) => go(name, params));
        this.#place.replaceChildren(this.#view.element);
        this.onshow(name);
    }

    /** Closes the view that is shown. */
    leave() {
        this.#view?.close();
        this.#view = null;
        this.#shown = null;
        this.#place.replaceChildren();
    }
}

function go(name, params) {
    const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value)).toString();
    location.hash = `#/${name}${query ? `?${query}` : ""}`;
}
