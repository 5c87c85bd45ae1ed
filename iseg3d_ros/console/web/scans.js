// The list of scans: each with its picture and what was found in it; the open one with how far it is.

import { me } from "./link.js";
import { button, el, field, tick } from "./parts.js";
import { say } from "./words.js";

export function scansOf(app, { jobs, current, carries, you }) {
  const found = jobs.reduce((sum, job) => sum + job.objects, 0), ready = jobs.filter((job) => job.review).length;
  const go = (step, picture, name) => button(say(name), () => app.scan(step), { picture, bare: true, hint: say(name), kind: "narrow" });
  const rows = jobs.map((job, number) => el("li", {}, row(app, job, number, number === current)));
  const marks = ["done", "skipped"].map((state) => button(say(state), () => app.review(state), {
    kind: jobs[current].review === state ? "on" : "", picture: state === "done" ? "check" : "" }));
  const switch_ = app.abilities.works ? tick(say("carry"), carries, (on) => app.send({ do: "carry", on })) : null;
  if (switch_) switch_.title = say("carryHint");
  const name = el("input", { type: "text", maxLength: 200, value: me().name || you, autocomplete: "off", onchange: () => {
    app.send({ do: "introduce", name: me({ name: name.value.trim() }).name });
    name.blur();
  } });
  const counts = [say("scanOf", { number: current + 1, count: jobs.length }), `${ready} ✓`, say("found", { count: found })];
  return [
    el("h2", {}, say("scans"), el("span", { class: "count" }, counts.join(" · "))),
    el("div", { class: "row tight" }, go(-1, "left", "previous"), ...marks, go(1, "right", "next")),
    el("ol", { class: "scans" }, ...rows), ...(switch_ ? [switch_] : []), ...(app.abilities.works ? [field(say("yourName"), name)] : []),
  ];
}

function row(app, job, number, open) {
  const picture = job.picture
    ? el("img", { class: "thumb", loading: "lazy", alt: "", width: 54, height: 36, src: `scan/${number}?v=${job.picture}` })
    : el("span", { class: "thumb" });
  const facts = [job.holder ? say("withName", { name: job.holder }) : "", job.objects ? say("found", { count: job.objects }) : "", job.review ? say(job.review) : ""].filter(Boolean);
  return el("button", { type: "button", class: open ? "active" : "", onclick: () => app.send({ do: "scan", number }) },
    picture, el("span", { class: "words" }, el("strong", {}, job.name), el("small", {}, facts.join(" · "))),
    el("span", { class: `mark ${job.review}` }));
}
