// One user's in-app feed, kept up to date over a WebSocket. Copy it, and change what you like.
//
//   const feed = new Feed(async () => (await fetch("/token", { method: "POST" })).json());
//   feed.addEventListener("change", () => show(feed.entries, feed.counters, feed.online));
//   feed.addEventListener("added", (event) => toast(event.detail));
//   feed.start();
//
// getAccess: resolves to { url, user, token }: where Tidings is, whose feed it is, and a token for it.

const SILENCE = 50_000; // ms: heartbeats come every 20 s
const LONGEST_WAIT = 30_000;
const FOR_GOOD = [4400, 4403, 4404]; // trying again changes nothing

export class Feed extends EventTarget {
  constructor(getAccess) {
    super();
    this.getAccess = getAccess;
    this.entries = []; // newest first
    this.counters = { unread: 0, unseen: 0, total: 0 };
    this.number = null; // of the last change that is known here
    this.online = false;
    this.failures = 0;
  }

  start() {
    addEventListener("online", () => this.#connect());
    this.#connect();
  }

  read(id) { this.#ask("read", { entry_ids: [id] }); }
  unread(id) { this.#ask("unread", { entry_ids: [id] }); }
  archive(id) { this.#ask("archive", { entry_ids: [id] }); }
  readAll() { this.#ask("read", { all: true }); }
  seen() { if (this.counters.unseen) this.#ask("seen", { all: true }); }

  // What was asked for comes back as an event, here and in every other tab.
  #ask(what, which) {
    if (this.online) this.socket.send(JSON.stringify({ do: what, ...which }));
  }

  async #connect() {
    clearTimeout(this.waiting);
    if (this.socket) return;
    try {
      this.access = await this.getAccess();
      if (this.number === null) await this.#load();
      const url = this.access.url.replace(/^http/, "ws");
      const path = `/users/${encodeURIComponent(this.access.user)}/inbox/events`;
      // A browser can set no header here: the token goes beside the subprotocol, where no log shows it.
      this.socket = new WebSocket(`${url}${path}?after=${this.number}`, ["tidings.inbox", this.access.token]);
    } catch {
      return this.#again();
    }
    this.socket.onmessage = (message) => this.#hear(JSON.parse(message.data));
    this.socket.onclose = (event) => this.#closed(event.code);
    this.#listen();
  }

  #closed(code) {
    clearTimeout(this.silence);
    this.socket = null;
    this.online = false;
    this.#changed();
    if (!FOR_GOOD.includes(code)) this.#again();
  }

  // At random within a time that doubles: those who were sent away together do not come back together.
  #again() {
    const most = Math.min(LONGEST_WAIT, 1_000 * 2 ** this.failures++);
    this.waiting = setTimeout(() => this.#connect(), most * Math.random());
  }

  // A connection that died without a word is found by its silence.
  #listen() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.socket?.close(), SILENCE);
  }

  async #load() {
    const { url, user, token } = this.access;
    const answer = await fetch(`${url}/users/${encodeURIComponent(user)}/inbox`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    if (!answer.ok) throw new Error(`The feed was answered with ${answer.status}.`);
    const page = await answer.json();
    this.entries = page.entries;
    this.number = page.number;
    this.counters = { unread: page.unread, unseen: page.unseen, total: page.total };
    this.#changed();
  }

  #hear(event) {
    this.#listen();
    if (event.event === "ready") {
      this.online = true;
      this.failures = 0;
    } else if (event.event === "reset") {
      this.#load().catch(() => this.socket?.close());
      return;
    } else if (!event.counters || event.number <= this.number) {
      return; // a heartbeat, an answer, a goodbye; or what was loaded already
    } else {
      this.#apply(event);
    }
    this.number = event.number;
    this.counters = event.counters;
    this.#changed();
  }

  #apply(event) {
    const now = new Date().toISOString();
    const known = new Set(this.entries.map((entry) => entry.id));
    const added = (event.entries ?? []).filter((entry) => !known.has(entry.id));
    this.entries = [...added.reverse(), ...this.entries];
    for (const entry of added) this.dispatchEvent(new CustomEvent("added", { detail: entry }));
    const changes = {
      seen: { seen_at: now },
      read: { read_at: now, seen_at: now },
      unread: { read_at: null },
      archived: { archived_at: now },
    }[event.event];
    const concerned = (entry) => event.all || event.entry_ids?.includes(entry.id);
    if (changes) this.entries.filter(concerned).forEach((entry) => Object.assign(entry, changes));
    this.entries = this.entries.filter((entry) => !entry.archived_at);
    if (event.event === "unarchived" || event.event === "counted") this.#load().catch(() => this.socket?.close());
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
