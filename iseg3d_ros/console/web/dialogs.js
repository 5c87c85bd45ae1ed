// Dialogs: shortcuts, what a newcomer should know, and questions before something is lost.

import { shortcuts } from "./keys.js";
import { button, el } from "./parts.js";
import { say } from "./words.js";

const SEEN = "iseg3d.seen";

// Three pictures of what clicks do: a thing is clicked, more is added, too much is taken away.
const PICTURES = [
  `<circle cx="52" cy="62" r="22" fill="#4cc2ff"/><rect x="92" y="44" width="40" height="40" rx="6" fill="#ffa94d"/>
   <path d="m50 58 22 12-10 3-5 9z" fill="#fff" stroke="#14181e" stroke-width="2"/>`,
  `<circle cx="66" cy="62" r="24" fill="#4cc2ff"/><path d="M88 62a24 24 0 0 0 24 24h20V38h-20a24 24 0 0 0-24 24" fill="#4a5563"/>
   <path d="M112 50v24m-12-12h24" stroke="#fff" stroke-width="5"/>`,
  `<circle cx="66" cy="62" r="24" fill="#4cc2ff"/><path d="M88 80h52v10H60z" fill="#4cc2ff" opacity=".55"/>
   <path d="M104 62h24" stroke="#eb5757" stroke-width="6"/>`,
];

export class Dialogs {
  constructor(app) { this.app = app; }

  open(title, ...content) {
    const dialog = el("dialog", {}, el("h2", {}, title), ...content);
    dialog.setAttribute("aria-label", title);
    dialog.addEventListener("close", () => dialog.remove());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  }

  help() {
    const rows = shortcuts(this.app).map(([keys, words]) => el("tr", {},
      el("td", {}, ...keys.split(" ").flatMap((key) => [el("kbd", {}, key), " "])), el("td", {}, say(`${words}Hint`) === `${words}Hint` ? say(words) : say(`${words}Hint`))));
    const digits = el("tr", {}, el("td", {}, el("kbd", {}, "1"), " … ", el("kbd", {}, "9"), " ", el("kbd", {}, "0")), el("td", {}, say("choose")));
    const dialog = this.open(say("help"), el("p", { class: "quiet" }, say("camera")), el("table", {}, ...rows, digits),
      button(say("close"), () => dialog.close(), { kind: "primary" }));
  }

  // Once in a browser.
  welcome() {
    if (localStorage.getItem(SEEN)) return;
    localStorage.setItem(SEEN, "1");
    const cards = PICTURES.map((drawing, n) => {
      const picture = el("div", { class: "picture" });
      picture.innerHTML = `<svg viewBox="0 0 180 120" role="img" aria-label="${n + 1}">${drawing}</svg>`;
      return el("figure", {}, picture, el("figcaption", {}, say(`first${n + 1}`)));
    });
    const dialog = this.open(say("first"), el("div", { class: "cards" }, ...cards), button(say("start"), () => dialog.close(), { kind: "primary" }));
  }

  ask(question, call) {
    const dialog = this.open(question, el("div", { class: "row" },
      button(say("yes"), () => { dialog.close(); call(); }, { kind: "primary" }), button(say("no"), () => dialog.close())));
  }
}
