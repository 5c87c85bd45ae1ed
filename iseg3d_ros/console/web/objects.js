// The list of objects: colour, name, points, how sure; chosen by a click on its row.

import { button, choice, css, el, field } from "./parts.js";
import { say, thousands } from "./words.js";

const MOST = 200; // rows that are made; the field above finds the others

export class Objects {
  constructor(app) {
    this.app = app;
    this.rows = new Map();
    this.none = el("p", { class: "quiet" }, say("none"));
    this.find = el("input", { type: "search", "aria-label": say("filter"), placeholder: say("filter"), oninput: () => this.show() });
    this.list = el("ul", { class: "objects", role: "listbox", "aria-label": say("objects") });
    this.name = el("input", { type: "text", maxLength: 200, onchange: () => this.rename(), autocomplete: "off" });
    this.named = field(say("name"), this.name);
    this.guesses = el("div", { class: "row tight", "aria-label": say("guesses") });
    this.categories = el("div");
    this.attributes = el("div");
    this.lock = button(say("lock"), () => app.lock(app.state.active), { picture: "lock", hint: say("lockHint") });
    this.split = button(say("split"), () => app.send({ do: "split", id: app.state.active }), { picture: "split", hint: say("splitHint") });
    this.part = button(say("part"), () => app.clicks.choosePart(), { picture: "part", hint: say("partHint") });
    const fit = (box, name) => button(say(name), () => app.send({ do: "box", id: app.state.active, box }), { hint: say(`${name}Hint`) });
    this.boxes = [fit("", "fitPoints"), fit("aligned", "fitAxes")];
    this.edits = el("div", { class: "inside" }, el("div", { class: "row" }, this.lock, this.split), el("div", { class: "row" }, this.part), el("div", { class: "row tight" }, ...this.boxes));
    this.element = el("section", {}, el("h2", {}, say("objects"), (this.count = el("span", { class: "count" }))),
      this.find, this.none, this.list, this.named, this.guesses, this.categories,
      this.attributes, this.edits);
  }

  // The choice of a class, once it is known which there are.
  offer(categories) {
    const options = [["", say("noCategory")], ...categories.map(({ name, key }) => [name, key ? `${name} (${key})` : name])];
    this.category = choice(options, "", (name) => this.app.send({ do: "classify", id: this.app.state.active, category: name }));
    this.categories.replaceChildren(categories.length ? field(say("category"), this.category) : "");
  }

  rename() {
    const name = this.name.value.trim();
    if (name && this.app.state.active) this.app.send({ do: "rename", id: this.app.state.active, name });
    this.name.blur();
  }

  show() {
    const { state } = this.app, wanted = this.find.value.trim().toLowerCase();
    const fits = state.objects.filter(({ name, category }) => `${name} ${category}`.toLowerCase().includes(wanted));
    const shown = fits.slice(0, MOST);
    const kept = new Set(shown.map(({ id }) => id));
    for (const [id, row] of this.rows) {
      if (kept.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    for (const item of shown) this.row(item);
    this.none.hidden = state.objects.length > 0;
    this.find.hidden = state.objects.length < 12;
    this.count.textContent = state.objects.length ? thousands(state.objects.length) : "";
    const active = state.objects.find(({ id }) => id === state.active);
    this.named.hidden = this.categories.hidden = this.attributes.hidden = !active;
    this.edits.hidden = !active || !this.app.abilities.edits || !this.app.works;
    this.lock.lastChild.textContent = say(active?.locked ? "unlock" : "lock");
    this.lock.classList.toggle("on", active?.locked ?? false);
    this.split.disabled = this.part.disabled = active?.locked ?? false;
    this.boxes[0].disabled = !active?.boxed || active.locked;
    this.boxes[1].disabled = !active?.box || active.locked;
    this.guess(active);
    this.describe(active);
    if (active && document.activeElement !== this.name) this.name.value = active.name;
    if (active && this.category) this.category.value = active.category;
  }

  // What the model takes the active object for, to be taken as its class where there is such a class, or as its name.
  guess(active) {
    const known = new Set(this.app.abilities.categories.map(({ name }) => name));
    const open = (active?.guesses ?? []).filter(([name]) => ![active.name, active.category].includes(name));
    const take = (id, name) => this.app.send(known.has(name) ? { do: "classify", id, category: name } : { do: "rename", id, name });
    this.guesses.hidden = !open.length || !this.app.works;
    const told = JSON.stringify([active?.id, open]);
    if (told === this.guessed) return; // a button that is being pressed stays
    this.guessed = told;
    this.guesses.replaceChildren(...open.map(([name, chance]) =>
      button(`${name} ${Math.round(100 * chance)} %`, () => take(active.id, name), { hint: say("guessHint") })));
  }

  // The attributes that the active object's class has.
  describe(active) {
    const known = this.app.abilities.categories.find(({ name }) => name === active?.category)?.attributes ?? [];
    const told = JSON.stringify([active?.id, active?.category, active?.attributes]);
    if (told === this.described) return;
    this.described = told;
    this.attributes.replaceChildren(...known.map(([attribute, values]) => {
      const options = [["", "–"], ...values.map((value) => [value, value])];
      return field(attribute, choice(options, active.attributes[attribute] ?? "", (value) =>
        this.app.send({ do: "describe", id: active.id, attribute, value })));
    }));
  }

  row(item) {
    const { app } = this;
    let row = this.rows.get(item.id);
    if (!row) this.rows.set(item.id, (row = this.make(item.id)));
    if (row.parentNode !== this.list) this.list.append(row);
    const active = item.id === app.state.active;
    row.classList.toggle("active", active);
    row.bin.disabled = item.locked;
    row.setAttribute("aria-selected", active);
    row.swatch.style.background = css(item.colour);
    row.title_.textContent = `${item.index} · ${item.name}`;
    const facts = [thousands(item.points)];
    if (item.sure !== null) facts.push(say("sure", { percent: Math.round(100 * item.sure) }));
    if (item.category) facts.push(item.category);
    for (const value of Object.values(item.attributes ?? {})) facts.push(value);
    const whole = app.state.objects.find(({ id }) => id === item.within);
    if (whole) facts.push(say("partOf", { name: whole.name }));
    if (item.locked) facts.push(say("locked"));
    if (item.boxed) facts.push(say("boxed"));
    if (!app.shows(item)) facts.push(say("hidden"));
    else if (item.lost) facts.push(say("lost"));
    row.facts.textContent = facts.join(" · ");
    row.merge.hidden = !app.abilities.edits || active || !app.state.active;
    row.eye.classList.toggle("off", !app.shows(item));
    row.solo.classList.toggle("on", app.solo === item.id);
  }

  make(id) {
    const { app } = this;
    const parts = {
      swatch: el("span", { class: "swatch" }), title_: el("strong"), facts: el("small"),
      eye: button(say("hide"), () => app.hide(id), { picture: "eye", bare: true, kind: "flat" }),
      solo: button(say("solo"), () => app.alone(id), { picture: "solo", bare: true, kind: "flat" }),
      merge: button(say("merge"), () => app.send({ do: "merge", into: app.state.active, id }), { picture: "merge", bare: true, kind: "flat" }),
      bin: button(say("delete"), () => app.send({ do: "remove", id }), { picture: "trash", bare: true, kind: "flat" }),
    };
    const main = el("button", { type: "button", class: "main", onclick: () => app.send({ do: "select", id }) },
      parts.swatch, el("span", { class: "words" }, parts.title_, parts.facts));
    return Object.assign(el("li", { role: "option" }, main, parts.merge, parts.solo, parts.eye, parts.bin), parts);
  }
}
