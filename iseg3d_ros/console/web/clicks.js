// What a click means, said before it is made; and the clicks that wait for their mask.

import { length, sub } from "./math.js";
import { say } from "./words.js";

export const MODES = { auto: "pointer", add: "plus", background: "minus", fresh: "star" };
const DOUBLE = 350; // milliseconds
const CLOSE = 12; // pixels within which a second click is the same one
const SAME = 2e-3; // metres within which a click of the state is the one that was made
const GREY = [150, 160, 175];

export class Clicks {
  constructor(app) {
    this.app = app;
    this.mode = "auto";
    this.pending = [];
    this.last = null;
    this.latency = 0;
  }

  choose(mode) {
    this.mode = mode;
    this.app.tellModes();
  }

  // The next click begins a part of the active object, or no longer does.
  choosePart() {
    const { app } = this;
    if (!app.abilities.edits || !app.works) return;
    if (!app.state.active) app.toast(say("partNone"));
    else this.choose(this.mode === "part" ? "auto" : "part");
    if (this.mode === "part") app.tools.choose("click");
  }

  // The mode that holds with these keys: what is held goes before what is chosen.
  held({ shift = false, control = false } = {}) {
    return control ? "background" : shift ? "add" : this.mode;
  }

  // What a click on a point (null: beside the cloud) would do: a verb, the object it concerns, its colour and words.
  meaning(hit, keys) {
    const { state } = this.app;
    if (!hit) return { verb: "nothing", words: say("willNothing"), colour: GREY };
    const under = state.objects.find((item) => item.index === hit.label && hit.label > 0);
    const active = state.objects.find((item) => item.id === state.active);
    const mode = this.held(keys);
    if (mode === "part" && active) return this.partMeaning(under, active);
    if (mode === "background") {
      const words = under ? say("willBackgroundOf", { name: under.name }) : say("willBackground");
      return { verb: "background", words, colour: [235, 87, 87] };
    }
    if (mode === "add" && active) {
      return { verb: "add", object: active, words: say("willAdd", { name: active.name }), colour: active.colour };
    }
    if (["auto", "part"].includes(mode) && under) {
      const words = under === active ? say("isActive", { name: under.name }) : say("willSelect", { name: under.name });
      return { verb: under === active ? "stay" : "select", object: under, words, colour: under.colour };
    }
    return { verb: "new", words: say("willNew"), colour: this.app.nextColour };
  }

  // A part begins on the object that it is a part of, or on another part of that.
  partMeaning(under, active) {
    const above = (item) => this.app.state.objects.find(({ id }) => item && id === item.within);
    let whole = under;
    while (whole && whole !== active) whole = above(whole);
    if (!whole) return { verb: "stay", words: say("partOutside", { name: active.name }), colour: GREY };
    return { verb: "part", object: active, words: say("willPart", { name: active.name }), colour: this.app.nextColour };
  }

  // The proposal that a click would accept.
  offered(keys, x, y) {
    return ["auto", "fresh"].includes(this.held(keys)) ? this.app.proposals.at(x, y) : null;
  }

  // Carry a click out. A second one at the same place at once turns about it instead; later it is the same click.
  make(hit, keys, x, y) {
    const now = performance.now();
    const near = this.last && Math.hypot(x - this.last.x, y - this.last.y) < CLOSE;
    if (near && now - this.last.at < DOUBLE) {
      this.double(hit);
      return;
    }
    this.last = { x, y, at: now, sent: null };
    const offered = this.app.works && !this.app.measuring && this.offered(keys, x, y);
    if (offered) {
      this.place(this.app.proposals.hit(offered), this.app.proposals.meaning);
      return;
    }
    if (!hit || !this.app.works) return;
    if (this.app.measuring) {
      this.app.measure(hit.place);
      return;
    }
    const meaning = this.meaning(hit, keys);
    if (meaning.verb === "select") this.app.send({ do: "select", id: meaning.object.id });
    else if (meaning.verb === "stay") this.app.hint(meaning.words);
    else this.place(hit, meaning);
    if (this.mode === "fresh" || meaning.verb === "part") this.choose("auto");
  }

  place(hit, meaning) {
    const seen = this.app.camera.project(hit.place);
    const waits = this.pending.find(({ place }) => {
      const other = this.app.camera.project(place);
      return Math.hypot(other.x - seen.x, other.y - seen.y) < CLOSE;
    });
    if (waits) {
      this.app.toast(say("already"));
      return;
    }
    if (this.app.heldBack) {
      this.app.toast(say("pausedClick"));
      return;
    }
    const id = meaning.verb === "add" ? meaning.object.id : "";
    const begins = { new: ["new", "part"].includes(meaning.verb), within: meaning.verb === "part" ? meaning.object.id : "" };
    if (!this.app.send({ do: "click", ...this.where(hit), id, ...begins })) return;
    this.wait(hit.place, meaning.colour, hit.close);
  }

  // The point that was hit, as the server finds it.
  where(hit) {
    const { serial, first } = this.app.cloud;
    return hit.where ?? { serial, first, tile: hit.tile.number, index: hit.index };
  }

  // A ball where the click was, at once; it pulses until its mask has come.
  wait(place, colour, close = SAME) {
    this.app.peek.forget();
    this.last = { ...this.last, sent: { place, colour, close, at: performance.now(), before: this.count(place, close) } };
    this.pending.push(this.last.sent);
    this.app.overlay.draw(); // the ring now; the cloud, which takes longer, with the next picture
    requestAnimationFrame(() => this.app.redraw());
    this.app.tellBusy();
  }

  accept() {
    const hint = this.app.state.suggestion;
    if (!hint || !this.app.send({ do: "accept" })) return;
    const object = this.app.state.objects.find((item) => item.id === hint.id);
    this.wait(hint.at, object ? object.colour : [235, 87, 87]);
  }

  double(hit) {
    if (this.last.sent && this.pending.includes(this.last.sent)) this.takeBack();
    else if (this.last.sent) this.app.send({ do: "undo" });
    this.last = null;
    if (!hit) return;
    this.app.camera.pivot(hit.place);
    this.app.toast(say("tookBack"));
    this.app.redraw();
  }

  // Take back what waits.
  cancel() {
    if (!this.pending.length) return false;
    while (this.pending.length) this.takeBack();
    this.app.toast(say("cancelled"));
    return true;
  }

  takeBack() {
    this.app.send({ do: "undo" });
    this.pending.pop();
    this.app.redraw();
    this.app.tellBusy();
  }

  // How often the state has a click at a place.
  count(place, close) {
    const { state } = this.app;
    const all = [...state.objects.flatMap((item) => item.clicks), ...state.background];
    return all.filter((other) => length(sub(other, place)) < close).length;
  }

  // The state has come: which clicks are in it.
  settle() {
    const open = this.pending.filter((click) => this.count(click.place, click.close) <= click.before);
    const gone = this.pending.filter((click) => !open.includes(click));
    if (gone.length) this.latency = performance.now() - gone[gone.length - 1].at;
    this.pending = open;
    if (this.mode === "part" && !this.app.state.active) this.choose("auto"); // there is nothing to be a part of
  }

  // The oldest was refused.
  refuse() { this.pending.shift(); }

  forget() { this.pending = []; }

  // All clicks as they are drawn.
  balls(radius) {
    const pale = (colour) => colour.map((value) => (value + 255) >> 1);
    const { state, hidden } = this.app;
    const made = state.objects.filter((item) => !hidden.has(item.id))
      .flatMap((item) => item.clicks.map((place) => ({ place, radius, colour: pale(item.colour) })));
    const ground = state.background.map((place) => ({ place, radius, colour: [40, 40, 44] }));
    return [...made, ...ground, ...this.pending.map(({ place, colour }) => ({ place, radius, colour, waits: true }))];
  }
}
