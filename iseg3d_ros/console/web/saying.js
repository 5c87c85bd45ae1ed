// What is said around the cloud: modes, hints, messages, whether the link lives and what is under way.

import { MODES } from "./clicks.js";
import { button, css, el, field } from "./parts.js";
import { language, say } from "./words.js";

const PALETTE = [[76, 194, 255], [255, 146, 43], [81, 207, 102], [204, 93, 232], [255, 107, 107], [34, 184, 207], [252, 196, 25]];
const byId = (id) => document.getElementById(id);

// The application with this part of its work.
export const Saying = (Base) => class extends Base {
  get nextColour() { return PALETTE[this.state.objects.length % PALETTE.length]; }

  get suggestionWords() {
    const hint = this.state.suggestion, object = hint && this.state.objects.find(({ id }) => id === hint.id);
    return object ? say("acceptFor", { name: object.name }) : say("acceptBackground");
  }

  modes() {
    document.documentElement.lang = language;
    document.title = say("title");
    document.body.classList.toggle("light", this.look.ground === "light");
    byId("modes").setAttribute("aria-label", say("auto"));
    byId("bar").setAttribute("aria-label", say("panel"));
    byId("scene").setAttribute("aria-label", say("camera"));
    this.modeButtons = ["modes", "bar"].flatMap((place) => Object.entries(MODES).map(([mode, picture]) => {
      const made = button(say(mode), () => this.clicks.choose(mode), { picture, hint: say(`${mode}Hint`) });
      made.dataset.mode = mode;
      byId(place).append(made);
      return made;
    }));
    byId("bar").append(button(say("undo"), () => this.undo(), { picture: "undo" }), button(say("panel"), () => this.togglePanel(), { picture: "panel" }));
    const toggle = button(say("panel"), () => this.togglePanel(), { picture: "panel", bare: true, hint: `${say("panel")} (L)` });
    this.imagesButtons = ["modes", "bar"].map((place) => {
      const made = button(say("images"), () => this.photos.toggle(), { picture: "camera", bare: place === "modes", hint: `${say("imagesHint")} (Z)` });
      made.hidden = true;
      byId(place).append(made);
      return made;
    });
    byId("modes").append(toggle);
    if (innerWidth <= 700) document.body.classList.add("closed");
    this.tellModes();
  }

  tellModes() {
    const held = this.clicks.held(this.keysHeld);
    const active = this.state.objects.find(({ id }) => id === this.state.active);
    for (const made of this.modeButtons) {
      made.classList.toggle("on", made.dataset.mode === held);
      made.setAttribute("aria-pressed", made.dataset.mode === held);
      if (made.dataset.mode === "add") made.style.setProperty("--own", active ? css(active.colour) : "");
    }
    this.panel.objects.part.classList.toggle("on", held === "part");
    this.panel.objects.part.setAttribute("aria-pressed", held === "part");
    if (this.wanted && this.pointed) this.point();
  }

  // Whose the open scan is, where it is somebody else's.
  tellTaken() {
    const { jobs, current, mine } = this.jobs, taken = this.abilities.works && jobs.length > 0 && !mine, job = jobs[current];
    byId("taken").hidden = !taken;
    if (!taken) return;
    const since = new Date(1000 * job.since).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
    const words = job.holder ? say("taken", { name: job.holder, since }) : say("nobodys");
    byId("taken").replaceChildren(el("span", {}, words), button(say("takeOver"), () => this.takeOver(job.holder), { kind: "primary" }));
  }

  takeOver(holder) {
    if (!holder) return this.send({ do: "take over", word: "" });
    const word = el("input", { type: "text", maxLength: 200 });
    const dialog = this.dialogs.open(say("takeOverSure", { name: holder }), field(say("word"), word), el("div", { class: "row" },
      button(say("takeOver"), () => { dialog.close(); this.send({ do: "take over", word: word.value.trim() }); }, { kind: "primary" }),
      button(say("no"), () => dialog.close())));
    word.focus();
  }

  togglePanel() { document.body.classList.toggle("closed"); }

  hint(words) { byId("hint").textContent = words; }

  toast(text, refused = false) {
    const made = el("p", { class: refused ? "refused" : "" }, text);
    byId("toasts").replaceChildren(made);
    setTimeout(() => made.remove(), refused ? 8000 : 3000);
  }

  tellAlive(alive) {
    byId("dead").hidden = alive;
    byId("dead").textContent = say("dead");
    if (alive && this.wasAlive === false) this.toast(say("again"));
    if (!alive) this.clicks.forget();
    this.alive = this.wasAlive = alive;
    if (alive) this.photos?.ask();
    this.panel?.tellStatus();
    this.redraw();
  }

  tellBusy() {
    const { pending } = this.clicks, now = performance.now();
    const since = this.busy ? this.busySince : pending[0]?.at;
    const words = [this.busy || (pending.length ? say("segmenting") : "")];
    const more = this.busy ? pending.length : pending.length - 1;
    if (more > 0) words.push(say("waiting", { count: more }));
    if (now - since > 900) words.push(say("seconds", { seconds: Math.floor((now - since) / 1000) }));
    byId("busy").hidden = !words[0];
    byId("busy").textContent = words.join(" · ");
  }
};
