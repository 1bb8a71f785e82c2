// Elements built from words. Every text goes in as text, never as markup, so nothing that a camera, a broker or an
// operator named can become a script; and no style attribute, which the page's CSP forbids.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. `props`: attributes; `onclick` and the like are listeners; false and null are left out. */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** An SVG element. */
export const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

function fill(element, props, children) {
    for (const [name, value] of Object.entries(props ?? {})) {
        if (value === false || value === null || value === undefined) continue;
        if (typeof value === "function") element.addEventListener(name.slice(2), value);
        else if (name === "value") element.value = value;
        else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return element;
}

/** A drop-down of `options`, each a word or `[value, label]`. */
export function choice(props, options, chosen) {
    const select = h("select", props);
    offer(select, options, chosen);
    return select;
}

/** Replaces what a drop-down offers and keeps what is chosen. */
export function offer(select, options, chosen = select.value) {
    const pairs = options.map((option) => (Array.isArray(option) ? option : [option, option]));
    // What is chosen stays on offer, even if it has gone: a filter must not change by itself.
    if (chosen && !pairs.some(([value]) => value === chosen)) pairs.push([chosen, chosen]);
    select.replaceChildren(...pairs.map(([value, label]) => h("option", { value }, label)));
    select.value = chosen ?? "";
}

/** Says something to those who do not see the page. */
export function announce(text) {
    document.getElementById("announcer").textContent = text;
}

/** What could not be done, and the box's own words on it. */
export function failure(error, problems = error.problems ?? []) {
    const list = problems.map((problem) => h("li", {}, problem));
    return h("div", { class: "failure", role: "alert" }, h("p", {}, error.message), list.length > 0 && h("ul", {}, list));
}

/** Calls `work` once nothing has asked for it for `milliseconds`. */
export function debounced(milliseconds, work) {
    let timer = 0;
    const ask = () => {
        clearTimeout(timer);
        timer = setTimeout(work, milliseconds);
    };
    ask.cancel = () => clearTimeout(timer);
    return ask;
}
