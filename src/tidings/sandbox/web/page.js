// The page of the sandbox: asks for the list when the server says that something has changed.

const $ = (id) => document.getElementById(id);
const about = await (await fetch("/sandbox/about")).json();
const CHANNELS = ["email", "sms", "push", "chat", "webhook"];
const state = { messages: [], channel: "", search: "", open: 0, tab: "", newest: 0 };

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const time = (at) => new Date(at).toLocaleTimeString();
const badge = (status) => make("span", { class: `badge ${status}` }, status);
const title = (vendor) => about.vendors[vendor] ?? vendor;

// --- the list ---

async function refresh() {
  const found = await (await fetch("/sandbox/messages")).json();
  $("taken").textContent = found.taken.toLocaleString();
  state.messages = found.messages;
  draw();
  if (state.open) await show(state.open, true);
}

function matches(message) {
  if (state.channel && message.channel !== state.channel) return false;
  const text = [...message.to, message.subject, message.preview, message.vendor].join(" ");
  return text.toLowerCase().includes(state.search);
}

function draw() {
  const shown = state.messages.filter(matches);
  const focused = document.activeElement?.closest?.("#list button")?.dataset.number;
  $("list").replaceChildren(...shown.map(row));
  if (focused) document.querySelector(`#list [data-number="${focused}"]`)?.focus();
  $("empty").hidden = state.messages.length > 0;
  state.newest = Math.max(state.newest, ...state.messages.map((one) => one.number));
}

function row(message) {
  const fresh = state.newest && message.number > state.newest;
  return make("li", {},
    make("button", {
      type: "button", "data-number": message.number, class: fresh ? "new" : null,
      "aria-current": String(message.number === state.open), onclick: () => show(message.number),
    },
    make("span", { class: "to" }, message.to.join(", ")),
    make("span", { class: "when" }, time(message.at)),
    make("span", {}, message.subject || message.preview || "–"),
    make("span", { class: "vendor" }, `${title(message.vendor)} `, badge(message.status)),
    message.subject && message.preview
      ? make("span", { class: "preview" }, message.preview) : null));
}

// --- one message ---

async function show(number, again = false) {
  const answer = await fetch(`/sandbox/messages/${number}`);
  if (!answer.ok) {
    close();
    return;
  }
  const message = await answer.json();
  const unchanged = again && $("detail").dataset.seen === JSON.stringify(message);
  state.open = number;
  if (unchanged) return;
  const tabs = tabsOf(message);
  if (!tabs[state.tab]) state.tab = Object.keys(tabs)[0];
  const events = again && state.tab !== "Events";
  $("detail").dataset.seen = JSON.stringify(message);
  if (events && $("detail").querySelector(".panel")) return; // an email that is read is not loaded anew
  document.querySelector("main").classList.add("reading");
  $("detail").replaceChildren(head(message), bar(message, tabs), make("div", { class: "panel" }));
  panel(tabs);
  if (!again) draw();
}

function close() {
  state.open = 0;
  document.querySelector("main").classList.remove("reading");
  $("detail").replaceChildren(make("p", { class: "nothing" }, "Choose a message."));
  draw();
}

function head(message) {
  const fields = {
    from: message.from, to: message.to.join(", "), "cc, bcc": message.cc_and_bcc.join(", "),
    vendor: `${title(message.vendor)}, ${message.message_id}`, ...message.fields,
  };
  const list = make("dl");
  for (const [name, value] of Object.entries(fields)) {
    if (value) list.append(make("dt", {}, name), make("dd", {}, value));
  }
  const files = message.files.map((file, position) => make("a",
    { href: `/sandbox/messages/${message.number}/files/${position}` },
    `${file.name} (${file.size.toLocaleString()} bytes)`));
  return make("div", { class: "head" },
    make("button", { id: "back", type: "button", onclick: close }, "Back"),
    make("h2", {}, message.subject || (message.channel === "sms" ? "Text message" : title(message.vendor))),
    list, files.length ? make("div", { class: "files" }, ...files) : null);
}

function bar(message, tabs) {
  return make("div", { class: "tabs", role: "tablist" }, ...Object.keys(tabs).map((name) =>
    make("button", {
      type: "button", role: "tab", "aria-selected": String(name === state.tab),
      onclick: (event) => {
        state.tab = name;
        for (const tab of event.target.parentElement.children) {
          tab.setAttribute("aria-selected", String(tab === event.target));
        }
        panel(tabs);
        if (name === "Events") show(message.number);
      },
    }, name)));
}

function panel(tabs) {
  const place = $("detail").querySelector(".panel");
  place.replaceChildren(tabs[state.tab]());
}

function tabsOf(message) {
  const tabs = {};
  const path = `/sandbox/messages/${message.number}`;
  if (message.html) {
    tabs.Email = () => make("iframe", {
      src: `${path}/html`, sandbox: "allow-popups allow-popups-to-escape-sandbox", title: "The email",
    });
  }
  if (["sms", "push", "chat"].includes(message.channel)) tabs.Phone = () => phone(message);
  if (message.text) tabs.Text = () => make("pre", {}, message.text);
  tabs.Source = () => {
    const place = make("pre", {}, "…");
    fetch(`${path}/source`).then((answer) => answer.text()).then((text) => {
      place.textContent = pretty(text);
    });
    return place;
  };
  tabs["Events"] = () => became(message);
  return tabs;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function phone(message) {
  const answers = message.events.filter((event) => event.text)
    .map((event) => make("div", { class: "bubble answer" }, event.text));
  return make("div", { class: "phone" },
    make("small", {}, `${message.from || title(message.vendor)} · ${time(message.at)}`),
    make("div", { class: "bubble" },
      message.subject ? make("strong", {}, message.subject) : null, message.text), ...answers);
}

function became(message) {
  const line = (at, what, ...more) => make("li", {}, make("time", {}, time(at)), badge(what), ...more);
  const events = message.events.map((event) => line(event.at, event.happening, event.recipient,
    event.callback ? make("span", { class: "badge" }, `callback: ${event.callback}`) : ""));
  const happenings = (about.happenings[message.channel] ?? []).map((happening) => make("button",
    { type: "button", onclick: () => happen(message.number, happening) }, happening));
  return make("div", { class: "events" },
    make("ol", {}, line(message.at, "taken"), ...events),
    happenings.length ? make("div", { class: "happen" }, "Let it be:", ...happenings) : "",
    Object.keys(message.reference).length
      ? make("pre", {}, JSON.stringify(message.reference, null, 2)) : "");
}

async function happen(number, happening) {
  await send("POST", `/sandbox/messages/${number}/events`, { happening });
}

async function send(method, path, document_) {
  return fetch(path, { method, body: document_ === undefined ? null : JSON.stringify(document_) });
}

// --- failures, recipients, settings ---

const FAULTS = ["errors", "throttled", "cut", "lost", "slow", "seconds"];
const scale = (name) => (name === "seconds" ? 1 : 100);

async function drawFaults() {
  const faults = await (await fetch("/sandbox/faults")).json();
  const broken = Object.values(faults).filter((one) => FAULTS.slice(0, 5).some((name) => one[name]));
  $("broken").hidden = !broken.length;
  $("broken").textContent = broken.length;
  const body = $("failures").querySelector("tbody");
  if (body.contains(document.activeElement)) return;
  const every = make("tr", {}, make("th", {}, "all"), ...FAULTS.map((name) => cell("all", name, "")));
  body.replaceChildren(every, ...Object.entries(faults).map(([vendor, one]) => make("tr", {},
    make("th", {}, title(vendor)),
    ...FAULTS.map((name) => cell(vendor, name, Math.round(one[name] * scale(name) * 100) / 100)))));
}

function cell(vendor, name, value) {
  return make("td", {}, make("input", {
    type: "number", min: 0, max: name === "seconds" ? 600 : 100, value, step: "any",
    class: value && name !== "seconds" ? "set" : null, "aria-label": `${title(vendor)}: ${name}`,
    onchange: async (event) => {
      const answer = await send("PUT", `/sandbox/faults/${vendor}`,
        { [name]: Number(event.target.value) / scale(name) });
      const problem = $("failures").querySelector(".problem");
      problem.hidden = answer.ok;
      problem.textContent = answer.ok ? "" : (await answer.json()).error;
      event.target.blur();
      await drawFaults();
    },
  }));
}

function drawRecipients() {
  const number = Object.fromEntries(Object.entries(about.numbers).map(([end, fate]) => [fate, end]));
  $("recipients").querySelector("tbody").replaceChildren(
    ...Object.entries(about.fates).map(([fate, meaning]) => make("tr", {},
      make("td", {}, make("code", {}, `${fate}@`)), make("td", {}, make("code", {}, number[fate] ?? "")),
      make("td", {}, meaning))));
}

for (const button of document.querySelectorAll("[data-panel]")) {
  button.addEventListener("click", () => $(button.dataset.panel).showModal());
}
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
$("clear").addEventListener("click", async () => {
  await send("DELETE", "/sandbox/messages");
  close();
});
$("heal").addEventListener("click", () => send("DELETE", "/sandbox/faults"));
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("toml").textContent);
  $("copy").textContent = "Copied";
});
$("filter").addEventListener("submit", (event) => event.preventDefault());
$("search").addEventListener("input", (event) => {
  state.search = event.target.value.toLowerCase();
  draw();
});
$("channels").append(...["", ...CHANNELS].map((channel) => make("button", {
  type: "button", "aria-pressed": String(channel === ""),
  onclick: (event) => {
    state.channel = channel;
    for (const one of $("channels").children) {
      one.setAttribute("aria-pressed", String(one === event.target));
    }
    draw();
  },
}, channel || "all")));
$("callbacks").textContent = about.callbacks || "nobody";
$("toml").textContent = await (await fetch("/sandbox/settings")).text();
drawRecipients();

const changes = new EventSource("/sandbox/changes");
changes.addEventListener("open", () => $("live").classList.add("on"));
changes.addEventListener("error", () => $("live").classList.remove("on"));
changes.addEventListener("message", async () => {
  await refresh();
  await drawFaults();
});
