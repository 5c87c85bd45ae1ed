// What was done, the newest first; a click on a line goes to the state after it, as that many undos or redos would.

import { css, el, folder } from "./parts.js";
import { say } from "./words.js";

const QUIET = ["choose", "change"]; // steps that alter no mask
const BEGINNING = { verb: "beginning", colour: [] };

export class History {
  constructor(app) {
    Object.assign(this, { app, told: null, rows: [] });
    this.list = el("ul", { class: "history", "aria-label": say("history"), onkeydown: (event) => this.walk(event) });
    this.count = el("span", { class: "count quiet" });
    this.element = folder(say("history"), false, this.list);
    this.element.firstChild.append(this.count);
    this.element.hidden = true; // until whoever works tells of it: not every robot does
    this.element.addEventListener("toggle", () => this.show());
  }

  take(told) {
    this.told = told;
    this.element.hidden = false;
    this.show();
  }

  show() {
    if (!this.told) return;
    const { steps, present } = this.told;
    this.count.textContent = steps.length ? `${present} / ${steps.length}` : "";
    if (!this.element.open) return;
    while (this.rows.length > steps.length + 1) this.rows.pop().parentNode.remove();
    while (this.rows.length < steps.length + 1) this.add(this.rows.length);
    [BEGINNING, ...steps].forEach((step, to) => this.tell(this.rows[to], step, to));
    this.keepInSight(this.rows[present]);
  }

  // A row stays that of its number, so that the focus stays where it is.
  add(to) {
    const row = el("button", { type: "button", onclick: () => this.go(to) }, el("span", { class: "swatch" }), el("span"));
    this.rows.push(row);
    this.list.prepend(el("li", {}, row));
  }

  tell(row, step, to) {
    const { present } = this.told, [swatch, words] = row.children;
    words.textContent = wordsOf(step);
    row.title = step.verb === "name" ? say("wasNamed", step) : words.textContent;
    swatch.style.background = step.colour.length ? css(step.colour) : "";
    row.classList.toggle("undone", to > present);
    row.classList.toggle("small", QUIET.includes(step.verb));
    row.disabled = !this.app.works;
    row.tabIndex = to === present ? 0 : -1;
    if (to === present) row.setAttribute("aria-current", "step");
    else row.removeAttribute("aria-current");
  }

  keepInSight(row) {
    const { list } = this, top = row.offsetTop, end = top + row.offsetHeight;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (end > list.scrollTop + list.clientHeight) list.scrollTop = end - list.clientHeight;
  }

  go(to) {
    const { app, told } = this;
    if (to === told.present) return;
    if (app.clicks.pending.length) return app.toast(say("already"));
    app.send({ do: "history", revision: told.revision, to });
  }

  // Arrows go from line to line, Home and End to the ends of the list.
  walk(event) {
    const at = this.rows.indexOf(document.activeElement), last = this.rows.length - 1;
    const to = { ArrowUp: at + 1, ArrowDown: at - 1, Home: last, End: 0 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    this.rows[Math.min(Math.max(to, 0), last)].focus();
  }
}

function wordsOf({ verb, name = "", more = "" }) {
  const nameless = !name && ["erase", "choose"].includes(verb) ? "None" : "";
  return say(`did${verb[0].toUpperCase()}${verb.slice(1)}${nameless}`, { name, more: more || say("noCategory") });
}
