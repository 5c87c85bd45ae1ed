// Pieces of the page: elements, icons, fields.

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const PATHS = {
  undo: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 0 12h-2", redo: "m15 7 5 5-5 5m5-5H10a6 6 0 0 0 0 12h2",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zm10 3a3 3 0 1 0 0-6 3 3 0 0 0 0 6",
  closed: "M3 3l18 18M10 6c8-2 12 6 12 6l-3 4M7 7c-3 2-5 5-5 5s4 7 10 7l4-1",
  solo: "M12 3v4m0 10v4M3 12h4m10 0h4M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6", trash: "M4 7h16M9 7V4h6v3m3 0-1 13H7L6 7",
  merge: "M6 4v4c0 5 6 4 6 9v3m6-16v4c0 5-6 4-6 9", panel: "M4 5h16v14H4zM14 5v14", target: "M12 2v5m0 10v5M2 12h5m10 0h5",
  plus: "M12 5v14M5 12h14", minus: "M5 12h14", pointer: "m5 3 14 8-6 2-3 6z", star: "M12 3v18M3 12h18M6 6l12 12M18 6 6 18",
  help: "M9 9a3 3 0 1 1 4 3c-1 .5-1 1-1 2m0 4v.1", ruler: "m3 17 14-14 4 4L7 21zM7 13l2 2m1-5 2 2m1-5 2 2",
  brush: "M20 4 10 14m-2 0a4 4 0 0 0-4 4c0 1-1 2-1 2h5a4 4 0 0 0 2-6l-2 0", lasso: "M12 4c5 0 9 2 9 6s-4 6-9 6-9-2-9-6 4-6 9-6zM7 15c-2 1-2 4 1 4 1 0 1 2 0 3",
  box: "M4 8V4h4m8 0h4v4m0 8v4h-4m-8 0H4v-4M9 12h6", lock: "M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3", split: "M12 20v-7M12 13 6 5m6 8 6-8M6 5v4m0-4h4m8 0v4m0-4h-4",
  cube: "M12 3 20 7.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  part: "M11 4a8.5 8.5 0 1 0 9 9h-9zM15 3a9 9 0 0 1 6 6h-6z",
  cross: "M6 6l12 12M18 6 6 18",
  camera: "M3 8h4l2-3h6l2 3h4v11H3zM12 17a4 4 0 1 0 0-8 4 4 0 0 0 0 8",
  left: "m15 5-7 7 7 7", right: "m9 5 7 7-7 7", check: "m5 12 5 5 9-11", frame: "M4 9V4h5m6 0h5v5m0 6v5h-5m-6 0H4v-5",
};

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("class", "icon");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", PATHS[name]);
  drawing.append(path);
  return drawing;
}

export function button(label, onclick, { picture = "", hint = "", kind = "", bare = false } = {}) {
  const made = el("button", { type: "button", class: kind, title: hint || label, "aria-label": label, onclick });
  if (picture) made.append(icon(picture));
  if (!bare) made.append(el("span", {}, label));
  return made;
}

let made = 0;

// A field with its label: `input` may be a select or an input.
export function field(label, input) {
  input.id ||= `field${++made}`;
  return el("div", { class: "field" }, el("label", { for: input.id }, label), input);
}

export function tick(label, on, onchange) {
  const input = el("input", { type: "checkbox", checked: on, onchange: () => onchange(input.checked) });
  return Object.assign(el("label", { class: "tick" }, input, el("span", {}, label)), { input });
}

export function choice(options, value, onchange) {
  const made = el("select", { onchange: () => onchange(made.value) });
  for (const [name, words] of options) made.append(el("option", { value: name }, words));
  made.value = value;
  return made;
}

export function folder(title, open, ...children) {
  return el("details", { open }, el("summary", {}, title), el("div", { class: "inside" }, ...children));
}

export const css = (colour) => `rgb(${colour.join(" ")})`;
