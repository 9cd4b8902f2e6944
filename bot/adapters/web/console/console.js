// Keeps the page current, completes commands and puts answers into it. Everything can be read without this file.
"use strict";

const $ = (id) => document.getElementById(id);
const live = $("live");
const pulse = $("pulse");

const make = (name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

const freshKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/* How long ago, by the server's clock. */

let apart = live?.dataset.now ? Date.now() - Number(live.dataset.now) : 0;

function ages() {
  for (const span of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.round((Date.now() - apart - Number(span.dataset.since)) / 1000));
    const [count, unit] =
      seconds < 90 ? [seconds, "s"] : seconds < 5400 ? [Math.round(seconds / 60), "min"]
      : seconds < 129600 ? [Math.round(seconds / 3600), "h"] : [Math.round(seconds / 86400), "d"];
    span.textContent = `${count} ${unit} ago`;
  }
}

/* The newest state. */

let shown = null;
let wanted = null;
let fetching = false;

function tell(state, words, title) {
  pulse.className = state;
  pulse.textContent = words;
  pulse.title = title;
}

async function refresh() {
  if (fetching || wanted === shown) return;
  fetching = true;
  const mark = wanted;
  try {
    const response = await fetch(location.pathname + location.search, { headers: { accept: "text/html" } });
    if (response.redirected) return location.reload();
    if (!response.ok) throw new Error(String(response.status));
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const next = page.getElementById("live");
    const folded = new Map([...live.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    const focused = document.activeElement?.closest?.(".card")?.id;
    const label = document.activeElement?.textContent;
    live.replaceChildren(...next.childNodes);
    for (const [id, open] of folded) if ($(id)) $(id).open = open;
    if (focused && $(focused)) [...$(focused).querySelectorAll("button")].find((one) => one.textContent === label)?.focus();
    apart = Date.now() - Number(next.dataset.now);
    shown = mark;
    ages();
    tell("live", "live", "This page shows the newest state");
  } catch {
    tell("lost", "not reached", "The bot could not be reached; this page may be old");
    setTimeout(refresh, 3000);
  } finally {
    fetching = false;
  }
  if (wanted !== shown && pulse.className === "live") refresh();
}

function listen() {
  const events = new EventSource("/console/events");
  events.addEventListener("changed", (event) => {
    wanted = event.data;
    // The page was drawn before the stream began, so its own state is taken for old once.
    refresh();
  });
  events.onerror = () => {
    tell("lost", "not reached", "The bot could not be reached; this page may be old");
    shown = null;
    if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
  };
}

/* Answers. */

function answer(outcome, echo, fill) {
  const reply = make("div", undefined, `reply ${outcome}`);
  if (echo) reply.append(make("p", echo, "echo"));
  fill(reply);
  const close = make("button", "×", "quiet");
  close.type = "button";
  close.setAttribute("aria-label", "Close this answer");
  close.onclick = () => reply.remove();
  reply.append(close);
  const replies = $("replies");
  replies.append(reply);
  while (replies.children.length > 12) replies.firstChild.remove();
  replies.scrollTop = replies.scrollHeight;
}

/* The keys of requests without an answer, by what they ask: the form itself may be drawn anew meanwhile. */
const keys = new Map();

async function act(form) {
  const fields = new FormData(form);
  const buttons = [...form.querySelectorAll("button")];
  const line = form.id === "say" ? fields.get("line") : undefined;
  // A click that got no answer is sent again under its own key, so it cannot be done twice.
  const said = [...fields].filter(([name]) => name !== "key" && name !== "csrf");
  const about = JSON.stringify([form.action, said]);
  if (!keys.has(about)) keys.set(about, freshKey());
  fields.set("key", keys.get(about));
  for (const button of buttons) button.disabled = true;
  try {
    const response = await fetch(form.action, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams(fields),
    });
    if (response.redirected) return location.assign("/login");
    const answered = await response.json();
    if (response.status < 500) keys.delete(about);
    if (answered.outcome === "asked") {
      $("ask").innerHTML = answered.html;
      $("ask").showModal();
      return;
    }
    const isRefused = answered.outcome !== "said";
    answer(answered.outcome ?? "failed", line ?? (form.querySelector("h3") ?? form.querySelector("button"))?.textContent, (reply) => {
      if (answered.html !== undefined) {
        const body = make("div");
        body.innerHTML = answered.html;
        reply.append(body);
      } else {
        reply.append(make("p", answered.error, "what"));
        if (answered.hint) reply.append(make("p", `hint: ${answered.hint}`, "hint"));
      }
    });
    if (form.id === "say" && !isRefused) {
      remember(line);
      form.reset();
    }
    if (!isRefused && $("ask").contains(form)) $("ask").close();
  } catch {
    answer("failed", line, (reply) => {
      reply.append(make("p", "The bot could not be reached", "what"));
      reply.append(make("p", "hint: press again: it is not done twice", "hint"));
    });
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-act]")) return;
  event.preventDefault();
  act(event.target);
});

document.addEventListener("click", (event) => {
  if (!event.target.matches?.("[data-close]")) return;
  event.preventDefault();
  $("ask").close();
});

/* The command line: history and completion. */

let commands = [];
let past = [];
let place = 0;
let fits = [];
let chosen = -1;

try {
  past = JSON.parse(sessionStorage.getItem("lines")) ?? [];
} catch {
  past = [];
}

function remember(line) {
  past = [...past.filter((one) => one !== line), line].slice(-50);
  place = past.length;
  try {
    sessionStorage.setItem("lines", JSON.stringify(past));
  } catch {
    // Without storage the history ends with the page.
  }
}

async function fitting(line) {
  const text = line.replace(/^\//, "");
  const typed = commands.filter((one) => text.startsWith(one.path.join(" ") + " "));
  const command = typed.sort((a, b) => b.path.length - a.path.length)[0];
  if (!command) {
    const some = commands.filter((one) => one.path.join(" ").startsWith(text.trimStart()));
    return some.map((one) => ({ value: `${one.name} `, name: one.name, about: one.help }));
  }
  const start = line.lastIndexOf(" ") + 1;
  const word = line.slice(start);
  if ((line.match(/"/g) ?? []).length % 2 === 1) return [];
  const [, name, value] = word.match(/^([a-z_-]+):(.*)$/) ?? [];
  const option = command.options.find((one) => one.name === name);
  const whole = (values) => values.map(([text, about]) => ({ value: `${line.slice(0, start)}${name}:${text} `, name: text, about }));
  if (option?.choices) return whole(option.choices.filter((one) => one.startsWith(value)).map((one) => [one, ""]));
  if (option?.lookup) {
    const asked = new URLSearchParams({ lookup: option.lookup, typed: value });
    const response = await fetch(`/api/complete?${asked}`);
    return response.ok ? whole((await response.json()).map((one) => [one.name, one.about])) : [];
  }
  if (option) return [];
  const open = command.options.filter((one) => !line.includes(` ${one.name}:`) && one.name.startsWith(word));
  return open.map((one) => ({
    value: `${line.slice(0, start)}${one.name}:`,
    name: `${one.name}:`,
    about: one.required ? one.help : `${one.help} (may be left out)`,
  }));
}

function draw() {
  const list = $("fits");
  list.hidden = fits.length === 0;
  list.replaceChildren(
    ...fits.map((fit, index) => {
      const item = make("li");
      item.id = `fit-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(index === chosen));
      item.append(make("code", fit.name), make("span", fit.about ?? ""));
      item.onmousedown = (event) => {
        event.preventDefault();
        take(index);
      };
      return item;
    }),
  );
  list.children[chosen]?.scrollIntoView({ block: "nearest" });
  if (chosen >= 0) $("line").setAttribute("aria-activedescendant", `fit-${chosen}`);
  else $("line").removeAttribute("aria-activedescendant");
}

function take(index) {
  $("line").value = fits[index].value;
  suggest();
}

let asked = 0;

async function suggest() {
  const line = $("line").value;
  const mine = ++asked;
  const found = line.startsWith("/") ? await fitting(line).catch(() => []) : [];
  if (mine !== asked) return;
  fits = found.slice(0, 25);
  chosen = -1;
  draw();
}

function hide() {
  asked++;
  fits = [];
  chosen = -1;
  draw();
}

function keyed(event) {
  const line = $("line");
  const isOpen = fits.length > 0;
  if (event.key === "Escape") hide();
  else if (event.key === "Tab" && isOpen && !event.shiftKey) {
    event.preventDefault();
    take(Math.max(chosen, 0));
  } else if (event.key === "Enter" && chosen >= 0) {
    event.preventDefault();
    take(chosen);
  } else if (event.key === "ArrowDown" && isOpen) {
    event.preventDefault();
    chosen = (chosen + 1) % fits.length;
    draw();
  } else if (event.key === "ArrowUp" && isOpen && chosen >= 0) {
    event.preventDefault();
    chosen -= 1;
    draw();
  } else if ((event.key === "ArrowUp" || event.key === "ArrowDown") && !(isOpen && line.value && place === past.length)) {
    const next = Math.min(past.length, Math.max(0, place + (event.key === "ArrowUp" ? -1 : 1)));
    if (next === place) return;
    event.preventDefault();
    place = next;
    line.value = past[place] ?? "";
    hide();
  }
}

if (live) {
  ages();
  setInterval(ages, 15000);
  listen();
  place = past.length;
  const line = $("line");
  line.addEventListener("input", suggest);
  line.addEventListener("focus", suggest);
  line.addEventListener("blur", hide);
  line.addEventListener("keydown", keyed);
  $("say").addEventListener("submit", hide);
  fetch("/api/commands").then((response) => (response.ok ? response.json() : [])).then((all) => { commands = all; }).catch(() => {});
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches?.("input, textarea, select");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    line.value = "/";
    line.focus();
  });
}
