// Every shortcut, with the word that the dialog of shortcuts has for it.

import { keysOf } from "./input.js";
import { say } from "./words.js";

export function shortcuts(app) {
  const active = () => app.state.active;
  const tool = (name) => app.abilities.edits && app.tools.choose(app.tools.tool === name ? "click" : name);
  return [
    ["O", "auto", () => app.clicks.choose("auto")], ["A", "add", () => app.clicks.choose("add")],
    ["B", "background", () => app.clicks.choose("background")], ["E", "fresh", () => app.clicks.choose("fresh")],
    ["Enter", "accept", () => app.clicks.accept()], ["Escape", "no", () => app.escape()],
    ["Ctrl+Z U", "undo", () => app.undo()], ["Ctrl+Y Ctrl+Shift+Z R", "redo", () => app.send({ do: "redo" })],
    ["Delete Backspace", "delete", () => active() && app.send({ do: "remove", id: active() })],
    ["H", "hide", () => active() && app.hide(active())], ["I", "solo", () => active() && app.alone(active())],
    ["V", "unsure", () => app.colourBy(app.look.colours === "unsure" ? app.ownColours : "unsure")],
    ["C", "capture", () => app.abilities.modes.length && app.send({ do: "capture" })],
    [", .", "flow", () => {}],
    ["F", "frame", () => app.frame()], ["T", "top", () => app.lookFrom("top")], ["G", "front", () => app.lookFrom("front")],
    ["S", "side", () => app.lookFrom("side")], ["M", "measure", () => app.startMeasuring()],
    ["N", "next", () => app.scan(1)], ["P", "previous", () => app.scan(-1)], ["X", "done", () => app.review("done")],
    ["D", "brush", () => tool("brush")], ["J", "lasso", () => tool("lasso")], ["K", "box", () => tool("box")],
    ["W", "handles", () => app.abilities.edits && app.handles.toggle()],
    ["[ ]", "brushSize", () => {}],
    ["Z", "images", () => app.photos.toggle()],
    ["Y", "lock", () => active() && app.lock(active())],
    ["/", "part", () => app.clicks.choosePart()],
    ["Space", "middle", () => {}],
    ["?", "help", () => app.dialogs.help()], ["L", "panel", () => app.togglePanel()],
  ];
}

const STEP = 40; // pixels that an arrow turns

export function listen(app) {
  const table = new Map();
  for (const [keys, , call] of shortcuts(app)) for (const key of keys.split(" ")) table.set(key.toLowerCase(), call);
  addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea") && event.key !== "Escape") return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && event.target.matches("button, summary, a")) return;
    const call = table.get(named(event)) ?? category(app, event) ?? digit(app, event) ?? arrow(app, event);
    if (!call) return;
    event.preventDefault();
    call();
  });
  table.set(",", () => app.pause()).set(".", () => app.step());
  table.set("[", () => app.tools.resize(0.8)).set("]", () => app.tools.resize(1.25));
  for (const kind of ["keydown", "keyup"]) {
    addEventListener(kind, (event) => {
      if (event.key === " " && !event.target.matches("input, select, button, summary")) space(app, event);
      app.heldKeys(event);
    });
  }
}

// With a tool Space and drag turns; without one Space is a click at the middle of the window, where arrows bring things.
function space(app, event) {
  app.turning = event.type === "keydown" && app.tools.on;
  if (app.tools.on || event.type === "keyup" || event.repeat || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  app.click(app.camera.width / 2, app.camera.height / 2, keysOf(event));
}

function named(event) {
  const control = event.ctrlKey || event.metaKey;
  return `${control ? "ctrl+" : ""}${control && event.shiftKey ? "shift+" : ""}${event.key}`.toLowerCase();
}

function category(app, event) {
  const found = app.abilities.categories.find((each) => each.key && each.key.toLowerCase() === named(event));
  return found && app.state.active ? () => app.send({ do: "classify", id: app.state.active, category: found.name }) : null;
}

function digit(app, event) {
  if (!/^\d$/.test(event.key) || event.ctrlKey || event.metaKey) return null;
  const item = app.state.objects.find(({ index }) => index === Number(event.key));
  return item || event.key === "0" ? () => app.send({ do: "select", id: item ? item.id : "" }) : null;
}

function arrow(app, event) {
  const step = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }[event.key];
  if (!step && !"+-".includes(event.key)) return null;
  return () => {
    if (step) app.camera[event.shiftKey ? "move" : "turn"](...step);
    else app.camera.zoom(event.key === "+" ? 0.85 : 1.18, null);
    app.moving();
    app.still();
    app.hover(app.camera.width / 2, app.camera.height / 2, keysOf(event));
  };
}

export const words = (key) => say(key);
