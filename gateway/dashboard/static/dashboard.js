// The dashboard's script. Without it every page can be read; it adds what changes by itself, times as people say them, and comfort.
"use strict";

const find = (what, where = document) => [...where.querySelectorAll(what)];

// Times: in the time zone of who looks, or how long ago.
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function sayAgo(then) {
  const seconds = Math.max(0, Math.round((Date.now() - then) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} d ago`;
}

function sayTimes(where = document) {
  for (const time of find("time", where)) {
    const then = Date.parse(time.dateTime);
    const text = time.className === "ago" && then < Date.now() + 5000 ? sayAgo(then) : absolute.format(then);
    if (time.textContent !== text) time.textContent = text;
    time.title = absolute.format(then);
  }
}

// What is ticked in a list, and the buttons for it.
function countTicked() {
  for (const bulk of find(".bulk")) {
    const boxes = find('input[name="id"][form="chosen"]');
    const ticked = boxes.filter((box) => box.checked).length;
    bulk.querySelector(".count").textContent = ticked ? `${ticked} chosen` : "Choose some to";
    bulk.classList.toggle("idle", !ticked);
    for (const button of find("button", bulk)) button.disabled = !ticked;
    for (const open of find("summary", bulk)) open.tabIndex = ticked ? 0 : -1;
    const all = document.querySelector("#all");
    if (all) {
      all.checked = ticked > 0 && ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    }
  }
}

function offerAll() {
  const bulk = document.querySelector(".bulk");
  if (!bulk) return;
  const all = Object.assign(document.createElement("input"), { type: "checkbox", id: "all" });
  all.addEventListener("change", () => {
    for (const box of find('input[name="id"][form="chosen"]')) box.checked = all.checked;
    countTicked();
  });
  const label = Object.assign(document.createElement("label"), { className: "check" });
  label.append(all, "All");
  bulk.prepend(label);
}

// What changed: parts of the page by their ids, put in the place of those that are there.
const policy = window.trustedTypes ? trustedTypes.createPolicy("dashboard", { createHTML: (html) => html }) : { createHTML: (html) => html };
const shown = new Map();

function put(id, html) {
  const old = document.getElementById(id);
  if (!old || shown.get(id) === html) return;
  const isFirst = !shown.has(id);
  shown.set(id, html);
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  const now = template.content.firstElementChild;
  const ticked = new Set(find("input:checked", old).map((box) => box.value));
  for (const box of find("input[type=checkbox]", now)) box.checked = ticked.has(box.value);
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? find("a, button, input", old).indexOf(focused) : -1;
  sayTimes(now);
  sayTicks(now);
  find(".chart", now).forEach(readChart);
  old.replaceWith(now);
  if (place >= 0) find("a, button, input", now)[place]?.focus({ preventScroll: true });
  if (!isFirst && now.tagName === "TR") now.classList.add("changed");
}

const isBusy = () => document.querySelector("details[open], input:checked[form]") || document.activeElement?.matches("input, select");

function follow() {
  const liveness = document.querySelector("#liveness");
  let source = null, wait = 1000, timer = 0;
  const say = (kind, text) => {
    liveness.hidden = false;
    liveness.className = `liveness ${kind}`;
    if (liveness.textContent !== text) liveness.textContent = text;
  };
  const open = () => {
    clearTimeout(timer);
    source?.close();
    source = new EventSource(`/dashboard/events?at=${encodeURIComponent(location.pathname + location.search)}`);
    source.onopen = () => { wait = 1000; say("", "Live"); };
    source.onmessage = (event) => {
      for (const [id, html] of Object.entries(JSON.parse(event.data))) put(id, html);
      countTicked();
    };
    source.addEventListener("anew", () => {
      source.close();
      if (isBusy()) say("lost", "Changed: load anew");
      else timer = setTimeout(() => location.reload(), 500);
    });
    source.onerror = () => {
      source.close();
      say("lost", "Connecting");
      timer = setTimeout(open, wait * (0.75 + Math.random() / 2));
      wait = Math.min(60000, wait * 2);
    };
  };
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) return open();
    timer = setTimeout(() => { source?.close(); say("paused", "Paused"); }, 5000);
  });
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}

// The value of a chart where the pointer is.
function readChart(chart) {
  const values = chart.dataset.values.split(" ").map((value) => (value === "-" ? null : Number(value)));
  const begin = Date.parse(chart.dataset.begin), step = 1000 * chart.dataset.step;
  const reading = Object.assign(document.createElement("output"), { className: "reading" });
  chart.before(reading);
  const pointer = document.createElementNS("http://www.w3.org/2000/svg", "line");
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const at = Math.round(((event.clientX - box.left) / box.width) * (values.length - 1));
    if (at < 0 || at >= values.length) return;
    const across = `${(100 * at) / (values.length - 1)}%`;
    for (const [name, value] of Object.entries({ class: "pointer", x1: across, x2: across, y1: 16, y2: 148 })) pointer.setAttribute(name, value);
    chart.append(pointer);
    const value = values[at] === null ? "nothing seen" : `${Math.round(values[at] * 10) / 10} ${chart.dataset.name}`;
    reading.textContent = `${absolute.format(begin + at * step)}: ${value}`;
  });
  chart.addEventListener("pointerleave", () => { pointer.remove(); reading.textContent = ""; });
}

function sayTicks(where = document) {
  for (const tick of find(".tick[data-at]", where)) {
    const at = new Date(tick.dataset.at);
    tick.textContent = tick.textContent.includes(":")
      ? at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
      : at.toLocaleDateString(undefined, { weekday: "short", day: "numeric" });
  }
}

// Questions close when somebody goes elsewhere, and by the Escape key.
document.addEventListener("click", (event) => {
  for (const open of find("details.ask[open]")) if (!open.contains(event.target)) open.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const open of find("details.ask[open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  } else if (event.key === "/" && !event.target.closest("input, select, textarea")) {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  }
});
document.addEventListener("toggle", (event) => {
  const ask = event.target;
  if (!ask.matches?.("details.ask") || !ask.open) return;
  ask.querySelector("input:not([type=hidden]):not([type=checkbox]), .panel button")?.focus({ preventScroll: true });
  const panel = ask.querySelector(".panel");
  const beyond = panel.getBoundingClientRect().right - document.documentElement.clientWidth + 8;
  if (beyond > 0 && getComputedStyle(panel).position === "absolute") panel.style.left = `${-beyond}px`;
}, true);

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "get") for (const field of form.elements) if (!field.value) field.disabled = true;
  // Nothing is asked for twice by somebody who is impatient.
  if (form.method === "post") {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
  }
});
addEventListener("pageshow", () => {
  for (const form of find("form")) {
    delete form.dataset.sent;
    if (form.method === "get") for (const field of form.elements) field.disabled = false;
  }
});
document.addEventListener("change", (event) => {
  if (event.target.closest("form.filter") && event.target.matches("select, [type=checkbox]")) event.target.form.requestSubmit();
  if (event.target.matches('input[name="id"]')) countTicked();
});
for (const button of find("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

// A link that signs in holds the token behind the #, which no server sees.
const signIn = document.querySelector("#sign-in");
if (signIn) {
  const token = location.hash.slice(1);
  if (token.startsWith("mp_")) {
    history.replaceState(null, "", location.pathname + location.search);
    signIn.elements.token.value = token;
    signIn.requestSubmit();
  } else {
    // Browsers do not send the session with a link from elsewhere: asking from here tells whether there is one.
    fetch(location.href, { redirect: "manual", cache: "no-store" }).then((answer) => {
      if (answer.type === "opaqueredirect") location.reload();
    }, () => {});
  }
}

const here = document.querySelector("nav [aria-current=page]");
if (here) here.closest("nav").scrollLeft = here.offsetLeft - here.closest("nav").clientWidth / 2;
sayTimes();
sayTicks();
offerAll();
countTicked();
find(".chart").forEach(readChart);
setInterval(sayTimes, 1000);
if (document.body.hasAttribute("data-live")) follow();
