// The panel beside the cloud: scans, steps, objects, view, model, saving, what was said.

import { History } from "./history.js";
import { Objects } from "./objects.js";
import { button, choice, el, field, folder, tick } from "./parts.js";
import { scansOf } from "./scans.js";
import { say, thousands } from "./words.js";

const LINES = 8;
const COLOURS = ["rgb", "instance", "classes", "unsure", "height", "intensity"];

export class Panel {
  constructor(app, element) {
    Object.assign(this, { app, element });
    this.status = el("p", { class: "status" });
    this.undo = button(say("undo"), () => app.undo(), { picture: "undo", hint: `${say("undo")} (Ctrl+Z)` });
    this.redo = button(say("redo"), () => app.send({ do: "redo" }), { picture: "redo", hint: `${say("redo")} (Ctrl+Y)` });
    this.clear = button(say("clear"), () => app.clear(), { kind: "flat danger" });
    this.accept = button(say("accept"), () => app.clicks.accept(), { kind: "suggested" });
    this.look = button(say("propose"), () => app.proposals.look(), { hint: say("proposeHint") });
    this.looking = el("div", { class: "row tight" }, this.look, app.proposals.classes);
    this.all = button("", () => app.proposals.acceptAll(), { kind: "suggested" });
    this.objects = new Objects(app);
    this.history = new History(app);
    this.scans = el("section", { hidden: true });
    this.said = el("div", { class: "said", role: "log", "aria-label": "log" });
    this.model = el("div");
    this.saving = el("div");
    this.capture = button(say("capture"), () => app.send({ do: "capture" }), { hint: `${say("capture")} (C)` });
    this.pause = button(say("pause"), () => app.pause(), { hint: `${say("pause")} (,)` });
    this.next = button(say("step"), () => app.step(), { hint: `${say("step")} (.)` });
    this.flow = el("div", { class: "row" }, this.capture, this.pause, this.next);
    const help = button(say("help"), () => app.dialogs.help(), { picture: "help", bare: true, kind: "flat", hint: `${say("help")} (?)` });
    element.append(
      el("header", {}, el("h1", {}, "iseg3d"), this.status, help), this.scans,
      el("div", { class: "steps" }, this.undo, this.redo, this.clear), this.accept, this.flow, this.looking, this.all,
      this.objects.element, this.history.element, this.view(), this.model, this.saving, this.said,
    );
  }

  // What this work can do is known now.
  offer(abilities) {
    this.flow.hidden = !abilities.modes.length;
    this.tellFlow();
    this.objects.offer(abilities.categories);
    this.model.replaceChildren(this.source(abilities));
    this.saving.replaceChildren(this.save(abilities));
    this.element.classList.toggle("looks", !this.app.works);
    this.app.tools.show(document.getElementById("tools"));
  }

  // Whether a live stream stands still, and a newer cloud waits.
  tellFlow() {
    const { paused, heldBack } = this.app;
    this.pause.classList.toggle("on", paused);
    this.pause.setAttribute("aria-pressed", paused);
    this.next.disabled = !paused || !heldBack;
  }

  view() {
    const { app } = this, { look } = app;
    this.colours = choice(COLOURS.map((name) => [name, say(name)]), look.colours, (name) => app.colourBy(name));
    const size = el("input", { type: "range", min: 0.4, max: 3, step: 0.1, value: look.size, oninput: () => app.set({ size: Number(size.value) }) });
    const ways = ["frame", "top", "front", "side"].map((name) => button(say(name), () => (name === "frame" ? app.frame() : app.lookFrom(name))));
    const ticks = [["boxes", look.boxes], ["large", look.large], ["open", app.cut.open], ["shade", look.shade], ["peek", look.peek]].map(([name, on]) =>
      tick(say(name), on, (value) => app.set({ [name]: value })));
    ticks.push(tick(say("light"), look.ground === "light", (on) => app.set({ ground: on ? "light" : "dark" })));
    return folder(say("view"), innerWidth > 700, field(say("colours"), this.colours), field(say("size"), size), el("div", { class: "row" }, ...ways),
      ...ticks, button(say("measure"), () => app.startMeasuring(), { picture: "ruler", hint: `${say("measure")} (M)` }), this.section());
  }

  section() {
    const { app } = this;
    const sliders = ["across", "along", "up"].flatMap((name, axis) => [["low", 0], ["high", 1]].map(([end, value]) => {
      const input = el("input", { type: "range", min: 0, max: 1, step: 0.005, value, oninput: () => app.cutAt(end, axis, Number(input.value)) });
      input.setAttribute("aria-label", `${say(name)} ${end === "low" ? "≥" : "≤"}`);
      return [name, input];
    }));
    const rows = [0, 2, 4].map((n) => el("div", { class: "field" }, el("span", {}, say(sliders[n][0])), sliders[n][1], sliders[n + 1][1]));
    const reset = button(say("reset"), () => {
      sliders.forEach(([, input], n) => { input.value = n % 2; input.oninput?.(); });
      app.uncut();
    });
    return folder(say("section"), false, ...rows, reset);
  }

  source({ models, modes }) {
    const { app } = this;
    const model = choice(models.map((name) => [name, name || say("asItIs")]), "", () => {});
    this.models = model;
    const voxel = el("input", { type: "number", min: 0, max: 5, step: 0.001, value: 0 });
    const mode = choice(["", ...modes].map((name) => [name, name || say("asItIs")]), "", () => {});
    const use = button(say("use"), () => app.send({ do: "setup", model: model.value, voxel: Number(voxel.value), mode: mode.value }));
    return folder(say("model"), false, field(say("model"), model), field(say("voxel"), voxel),
      ...(modes.length ? [field(say("clouds"), mode)] : []), use);
  }

  save({ formats, saves_to: place }) {
    const { app } = this;
    const kind = choice(["session", ...formats].map((name) => [name, name === "session" ? say("session") : name]), formats[0], () => {});
    const name = el("input", { type: "text", maxLength: 200 });
    const save = button(say("save"), () => app.send({ do: "save", name: name.value, format: kind.value }));
    const load = button(say("download"), () => app.send({ do: "download", format: kind.value === "session" ? "ply" : kind.value }));
    const open = button(say("take"), () => app.send({ do: "open", name: name.value }), { hint: say("takeHint") });
    open.hidden = !app.abilities.edits;
    return folder(say("save"), false, el("p", { class: "quiet" }, say("into", { place })), field(say("format"), kind), field(say("file"), name),
      el("div", { class: "row" }, save, load, open));
  }

  showScans(told) {
    this.scans.hidden = !told.jobs.length;
    if (!told.jobs.length) return;
    if (this.scans.contains(document.activeElement) && document.activeElement.matches("input[type=text]")) return; // a name is being typed
    const before = this.scans.querySelector(".scans")?.scrollTop ?? 0;
    this.scans.replaceChildren(...scansOf(this.app, told));
    this.scans.querySelector(".scans").scrollTop = before;
    this.scans.querySelector("li .active")?.scrollIntoView({ block: "nearest" });
  }

  show() {
    const { app } = this, { state } = app;
    this.undo.disabled = !state.undo;
    this.redo.disabled = !state.redo;
    this.clear.disabled = !state.objects.length && !state.background.length;
    this.accept.hidden = !state.suggestion;
    this.accept.lastChild.textContent = app.suggestionWords;
    if (this.models && state.model && ![...this.models.options].some(({ value }) => value === state.model)) {
      this.models.append(el("option", { value: state.model }, state.model));
    }
    if (this.models && state.model && this.shown !== state.model) this.models.value = this.shown = state.model;
    this.objects.show();
    this.history.show();
    this.showProposals();
    this.tellStatus();
  }

  showProposals() {
    const { proposals, state, works } = this.app;
    this.looking.hidden = !works;
    proposals.offer(state.classes);
    this.all.hidden = !works || !proposals.shown.length;
    this.all.lastChild.textContent = proposals.words;
  }

  tellStatus() {
    const { app } = this, { state, cloud, link } = app;
    const words = [];
    if (!app.alive) words.push(say("offline"));
    else if (!link.connected && link.sentence) words.push(link.sentence);
    if (cloud) words.push(say("points", { count: thousands(cloud.points) }));
    if (cloud && cloud.drawn < cloud.points) words.push(say("drawn", { count: thousands(cloud.drawn) }));
    if (state.model) words.push(`${state.model}: ${Math.round(state.encode)} + ${Math.round(state.segment)} ms`);
    if (app.clicks.latency) words.push(say("lastClick", { ms: Math.round(app.clicks.latency) }));
    if (!app.works) words.push(say("onlyLooking"));
    const text = words.join(" · ");
    if (this.status.textContent !== text) this.status.textContent = text;
    this.status.className = `status ${app.alive && link.connected ? "good" : "bad"}`;
  }

  log(text, refused) {
    this.said.prepend(el("p", { class: refused ? "refused" : "" }, text));
    while (this.said.childElementCount > LINES) this.said.lastChild.remove();
  }
}
