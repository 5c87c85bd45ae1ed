// What could be an object, as rings to click on: each click that nobody had to look for.

import { choice, css } from "./parts.js";
import { say } from "./words.js";

const CLOSE = 14; // pixels around the middle of a ring that are the ring
const RING = 11;

export class Proposals {
  constructor(app) {
    Object.assign(this, { app, serial: -1, all: [], wanted: "", known: [] });
    this.classes = choice([], "", (name) => (this.wanted = name));
    this.classes.setAttribute("aria-label", say("proposeOf"));
    this.classes.title = say("proposeOf");
  }

  // Those that no object holds yet; a list for another cloud shows nothing.
  take({ serial, all }) {
    Object.assign(this, { serial, all });
    this.app.panel.showProposals();
    this.app.redraw();
  }

  get shown() {
    const { app } = this;
    return app.cloud && app.cloud.serial === this.serial ? this.all : [];
  }

  look() { this.app.send({ do: "propose", class: this.wanted }); }

  // The choice of a class, where the model that is loaded knows some; one that it does not know is not wanted any more.
  offer(known = []) {
    this.classes.hidden = !known.length;
    if (known.join("\n") === this.known.join("\n")) return; // a list that is open stays
    this.known = known;
    if (!known.includes(this.wanted)) this.wanted = "";
    const sorted = [...known].sort((one, other) => one.localeCompare(other));
    this.classes.replaceChildren(...choice([["", say("everything")], ...sorted.map((name) => [name, name])], "", () => {}).children);
    this.classes.value = this.wanted;
  }

  // The ring at a place of the window.
  at(x, y) {
    const near = this.shown.map((each) => ({ each, seen: this.app.camera.project(each.at) }))
      .filter(({ seen }) => seen.ahead > 0 && Math.hypot(seen.x - x, seen.y - y) < CLOSE);
    return near.sort((one, other) => Math.hypot(one.seen.x - x, one.seen.y - y) - Math.hypot(other.seen.x - x, other.seen.y - y))[0]?.each;
  }

  // The click that a proposal stands for, with the name of the class that was looked for.
  hit({ number, at, name }) {
    return { place: at, where: { serial: this.serial, proposal: number, ...(name === "object" ? {} : { name }) } };
  }

  get meaning() { return { verb: "new", words: say("willAccept"), colour: this.app.nextColour }; }

  acceptAll() {
    for (const each of this.shown) this.app.clicks.place(this.hit(each), this.meaning);
  }

  draw(overlay) {
    const { app } = this, colour = css(app.nextColour);
    for (const { at, name, score } of this.shown) {
      const seen = app.camera.project(at);
      if (seen.ahead <= 0) continue;
      overlay.pen.globalAlpha = 0.35 + 0.65 * score;
      overlay.plus(seen, RING, colour);
      if (name !== "object") overlay.tag(name, seen.x, seen.y + 22, colour);
    }
    overlay.pen.globalAlpha = 1;
  }

  get words() { return say("acceptAll", { count: this.shown.length }); }
}
