/* guardsite.js: what a page gains with scripts. Every page works without it.
   Times in the reader's zone, silent clocks, keys, the live tick, the claim's heartbeat, drafts, banners.
   No dependency, no eval, nothing inline. Keys are found by data-key, so templates decide what they do. */
(() => {
  "use strict";

  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const stored = (area, key, value) => {
    // Private modes refuse storage; the page goes on without memory.
    try {
      if (value === undefined) return area.getItem(key);
      if (value === null) area.removeItem(key);
      else area.setItem(key, value);
    } catch { /* nothing to do */ }
    return null;
  };

  /* Times: absolute in the reader's zone, named; relative beside it */
  // Plain English without a country would put the month first.
  const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
  const absolute = new Intl.DateTimeFormat(language, {
    weekday: "short", day: "numeric", month: "short", year: "numeric",
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short",
  });
  const short = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" });
  const span = (seconds) => {
    const size = Math.abs(seconds);
    if (size < 60) return `${Math.round(size)} s`;
    if (size < 5400) return `${Math.round(size / 60)} min`;
    if (size < 172800) return `${Math.round(size / 3600)} h`;
    return `${Math.round(size / 86400)} days`;
  };
  const relative = (seconds) => (seconds >= 0 ? `in ${span(seconds)}` : `${span(seconds)} ago`);

  function showTimes() {
    const now = Date.now();
    for (const element of all("time[datetime][data-relative], time[datetime][data-clock]")) {
      const at = new Date(element.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      const words = (element.hasAttribute("data-clock") ? short : absolute).format(at);
      const text = element.dataset.relative === undefined ? words : `${words} (${relative((at - now) / 1000)})`;
      if (element.textContent !== text) element.textContent = text;
    }
    for (const element of all("[data-ago]")) {
      element.textContent = span((now - new Date(element.dataset.ago)) / 1000);
    }
    for (const element of all("[data-until]")) {
      const left = Math.max(0, (new Date(element.dataset.until) - now) / 1000);
      const minutes = Math.floor(left / 60);
      element.textContent = minutes ? `${minutes}:${String(Math.floor(left % 60)).padStart(2, "0")}` : `${Math.ceil(left)} s`;
      // A clock that ran out asks the server what holds now; the page never decides by itself.
      if (left === 0 && element.dataset.done === undefined) {
        element.dataset.done = "";
        document.body.dispatchEvent(new CustomEvent("guardsite:due", { bubbles: true }));
      }
    }
  }

  /* Live tick: every 5 s, every 30 s when nobody moved for 2 min, none after 30 min hidden or while paused */
  let lastMove = Date.now();
  let hiddenSince = document.hidden ? Date.now() : null;
  let lastTick = Date.now();
  let lastRenewal = Date.now();
  for (const kind of ["pointermove", "keydown", "pointerdown", "scroll"]) {
    addEventListener(kind, () => { lastMove = Date.now(); }, { passive: true });
  }
  document.addEventListener("visibilitychange", () => {
    hiddenSince = document.hidden ? Date.now() : null;
    if (!document.hidden) tick();
  });
  const paused = () => one("[data-pause-updates][aria-pressed='true']") !== null;
  function tick() {
    lastTick = Date.now();
    if (!paused()) document.body.dispatchEvent(new CustomEvent("guardsite:tick", { bubbles: true }));
  }
  function heartbeat() {
    const now = Date.now();
    showTimes();
    if (hiddenSince !== null && now - hiddenSince > 1_800_000) return;
    const period = document.hidden || now - lastMove > 120_000 ? 30_000 : 5_000;
    if (now - lastTick >= period) tick();
    // A claim is kept only while its tab is visible and used.
    if (!document.hidden && now - lastMove < 60_000 && now - lastRenewal > 60_000) {
      lastRenewal = now;
      document.body.dispatchEvent(new CustomEvent("guardsite:renew", { bubbles: true }));
    }
    const updated = one("[data-updated]");
    if (updated) {
      const age = (now - lastAnswer) / 1000;
      updated.textContent = paused() ? "Updates paused" : `Updated ${Math.round(age)} s ago`;
      updated.classList.toggle("is-stale", !paused() && age > (period / 1000) + 15);
    }
  }
  let lastAnswer = Date.now();

  /* Drafts: what is typed survives a lost session, until it is sent */
  const draftKey = (field) => `draft:${field.form.dataset.draft}:${field.name}`;
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (field.form?.dataset.draft && field.name && /^(textarea|text)$/.test(field.type)) stored(sessionStorage, draftKey(field), field.value);
  });
  function fillDrafts() {
    for (const form of all("form[data-draft]")) {
      for (const field of form.elements) {
        if (!/^(textarea|text)$/.test(field.type) || field.value) continue;
        const draft = stored(sessionStorage, draftKey(field));
        if (draft) field.value = draft;
      }
    }
  }

  /* Keys */
  const keysOff = () => stored(localStorage, "guardsite:keys") === "off";
  const inField = (target) => target.closest?.("input, textarea, select, [contenteditable]") !== null;
  const rows = () => all("[data-row]");
  function moveRow(step) {
    const links = rows();
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step))].focus();
  }
  function press(element) {
    if (element.tagName === "DETAILS") {
      element.open = true;
      (one("[data-first]", element) || one("input:not([type=hidden]), select, textarea, button", element) || element).focus();
    } else if (element.dataset.keyFocus !== undefined) element.focus();
    else element.click();
  }
  let goUntil = 0;
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      const form = event.target.closest?.("form") || one("details[data-panel][open] form");
      const commit = form && one("[data-commit]:not(:disabled)", form);
      if (commit) { event.preventDefault(); form.requestSubmit(commit); }
      return;
    }
    if (event.key === "Escape") {
      const panel = one("details[data-panel][open]") || one("details.menu[open]");
      if (panel) { panel.open = false; one("summary", panel).focus(); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || keysOff()) return;
    const number = /^[1-9]$/.test(event.key);
    // A radio is a field, yet digits choose the code there.
    if (inField(event.target) && !(number && event.target.type === "radio")) return;
    const key = event.key.toLowerCase();
    if (Date.now() < goUntil) {
      goUntil = 0;
      const link = one(`[data-go="${CSS.escape(key)}"]`);
      if (link) { event.preventDefault(); link.click(); return; }
    }
    if (key === "g") { goUntil = Date.now() + 1500; return; }
    if (key === "j" || key === "k") { event.preventDefault(); moveRow(key === "j" ? 1 : -1); return; }
    if (number) {
      const panel = event.target.closest?.("[data-codes]") || one("details[data-panel][open] [data-codes]");
      const code = panel && one(`[data-code-key="${event.key}"]`, panel);
      if (code) { event.preventDefault(); code.click(); code.focus(); }
      return;
    }
    if (!/^[a-z./?]$/.test(key)) return;
    const target = one(`[data-key="${CSS.escape(key)}"]`);
    if (target) { event.preventDefault(); press(target); }
  });
  document.addEventListener("click", (event) => {
    const pause = event.target.closest("[data-pause-updates]");
    if (pause) pause.setAttribute("aria-pressed", String(pause.getAttribute("aria-pressed") !== "true"));
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      const panel = document.getElementById(opener.dataset.opens);
      if (panel) { event.preventDefault(); press(panel); }
    }
    const menu = one("details.menu[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
  });
  const keysSwitch = one("[data-keys-switch]");
  if (keysSwitch) {
    const label = () => {
      keysSwitch.hidden = false;
      keysSwitch.setAttribute("aria-pressed", String(keysOff()));
      keysSwitch.textContent = keysOff() ? "Switch the keys on" : "Switch the keys off";
    };
    keysSwitch.addEventListener("click", () => { stored(localStorage, "guardsite:keys", keysOff() ? null : "off"); label(); });
    label();
  }

  /* htmx: where answers go, what is said, and where the focus lands */
  document.addEventListener("htmx:beforeSwap", (event) => {
    // A lost session must not replace the card: its draft would go with it.
    if (event.detail.xhr.status === 401) {
      event.detail.target = document.getElementById("site-alert");
      event.detail.swapOverride = "innerHTML";
      event.detail.shouldSwap = true;
    }
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful || event.detail.xhr?.status === 204) lastAnswer = Date.now();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    showTimes();
    fillDrafts();
    const posted = event.detail.requestConfig?.verb === "post" && event.detail.elt.isConnected;
    const focus = posted && (one("details[open] [aria-invalid='true']", event.detail.elt) || one("[data-focus]", event.detail.elt));
    if (focus) focus.focus();
    const title = one("[data-title]");
    if (title) document.title = title.dataset.title;
  });
  document.addEventListener("htmx:responseError", (event) => banner(`The server answered ${event.detail.xhr.status}. Nothing of yours was sent. Try again.`));
  document.addEventListener("htmx:sendError", () => banner("guardsite cannot be reached right now. Nothing of yours was sent; you can read and draft."));
  function banner(text) {
    const place = document.getElementById("site-alert");
    const notice = document.createElement("p");
    notice.className = "notice notice--danger";
    notice.setAttribute("role", "alert");
    notice.textContent = text;
    place.replaceChildren(notice);
  }

  fillDrafts();
  showTimes();
  setInterval(heartbeat, 1000);
})();
