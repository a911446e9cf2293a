"use strict";
// Everything here works without it too, by forms and by loading the page again.
(() => {
  const body = document.body;
  const root = body.dataset.root;
  document.documentElement.classList.add("scripted");
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));

  // Times: "3m 2s ago" and "in 4m" go on
  const spell = (seconds) => {
    const parts = [];
    let rest = Math.floor(seconds);
    for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
      const number = Math.floor(rest / size);
      rest %= size;
      if (number || parts.length) parts.push([number, unit]);
    }
    return parts.slice(0, 2).filter(([number]) => number).map(([number, unit]) => number + unit).join(" ");
  };
  const behind = Date.now() - Date.parse(body.dataset.now || new Date().toISOString());
  const tick = () => {
    const now = Date.now() - behind;
    for (const time of all("time[data-relative]")) {
      const is_ago = time.dataset.relative === "ago";
      const seconds = (is_ago ? now - Date.parse(time.dateTime) : Date.parse(time.dateTime) - now) / 1000;
      const text = seconds < 1 ? "now" : is_ago ? spell(seconds) + " ago" : "in " + spell(seconds);
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(() => document.hidden || tick(), 1000);

  // Regions: what has changed is taken from the page as the server shows it now
  const isInUse = (region) =>
    region.querySelector("details[open]") ||
    (region.contains(document.activeElement) && document.activeElement.matches("input, select, textarea"));
  const update = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    body.dataset.events = fresh.body.dataset.events || "";
    if (polls && log) showLog(fresh.querySelector("[data-log]"));
    for (const region of all("[data-region]")) {
      const other = fresh.querySelector(`[data-region="${region.dataset.region}"]`);
      if (!other || isInUse(region) || other.innerHTML === region.innerHTML) continue;
      const focused = region.contains(document.activeElement) && document.activeElement.getAttribute("href");
      const row = rows().findIndex((each) => each.classList.contains("chosen"));
      region.replaceChildren(...other.childNodes);
      if (focused) region.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
      if (row >= 0) choose(row, false);
    }
    tick();
    listen();
  };
  let asking = false;
  let again = false;
  const refresh = async () => {
    if (asking || document.hidden) {
      again = true;
      return;
    }
    asking = true;
    again = false;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
      if (answer.redirected && new URL(answer.url).pathname.endsWith("/login")) location.reload();
      else if (answer.ok) update(await answer.text());
      else again = answer.status === 503; // the run store is away
    } catch {
      again = true; // the server is away; the next event asks again
    }
    setTimeout(() => {
      asking = false;
      if (again) refresh();
    }, 1000);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) silence();
    else {
      tick();
      listen();
      refresh();
    }
  });

  // Events
  let source = null;
  // without a stream the log is taken from the page too
  const showLog = (other) => {
    if (!other || other.dataset.position === position) return;
    position = other.dataset.position;
    const follows = atEnd();
    lines.replaceChildren(...other.querySelector("pre").childNodes);
    shown(follows);
  };
  const log = document.querySelector("[data-log]");
  const lines = log && log.querySelector("pre");
  let position = log ? log.dataset.position : "";
  let polls = body.dataset.live === "poll" || !window.EventSource;
  setInterval(() => polls && body.dataset.events && refresh(), 5000);
  const silence = () => {
    if (source) source.close();
    source = null;
  };
  // a hidden page listens to nothing: browsers allow six connections to a server
  const listen = () => {
    const path = body.dataset.events;
    if (source || polls || !path || document.hidden || body.dataset.live === "off") return;
    source = new EventSource(root + path + (position ? `?from=${position}` : ""));
    source.onerror = () => {
      polls = source !== null && source.readyState === EventSource.CLOSED;
    };
    source.addEventListener("changed", refresh);
    source.addEventListener("log", (event) => {
      const follows = atEnd();
      const data = JSON.parse(event.data);
      position = data.position;
      lines.insertAdjacentHTML("beforeend", data.html);
      while (lines.childElementCount > 5000) lines.firstElementChild.remove();
      shown(follows);
    });
    source.addEventListener("ended", () => {
      silence();
      refresh();
    });
  };
  window.addEventListener("pagehide", silence);
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());

  // The log
  const atEnd = () => lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
  const shown = (follows) => {
    log.querySelector("[data-log-empty]")?.remove();
    search();
    if (follows) lines.scrollTop = lines.scrollHeight;
  };
  const field = log && log.querySelector("[data-log-search]");
  const search = () => {
    const text = field ? field.value.toLowerCase() : "";
    for (const line of all(".line", lines)) line.hidden = text !== "" && !line.textContent.toLowerCase().includes(text);
  };
  if (field) {
    field.hidden = false;
    field.addEventListener("input", search);
    const times = log.querySelector("[data-log-times]");
    times.hidden = false;
    times.addEventListener("change", () => log.classList.toggle("untimed", !times.querySelector("input").checked));
    lines.scrollTop = lines.scrollHeight;
  }

  // Filters apply as they change
  const filter = document.querySelector(".filter");
  if (filter) {
    let timer = 0;
    const apply = async () => {
      const values = new URLSearchParams(new FormData(filter));
      for (const [name, value] of Array.from(values)) if (!value) values.delete(name);
      history.replaceState(null, "", `?${values}`);
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (answer.ok) update(await answer.text());
    };
    filter.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(apply, 200);
    });
    filter.addEventListener("submit", (event) => {
      event.preventDefault();
      apply();
    });
  }

  // Keyboard: / searches, j and k choose a row, Enter opens it
  const rows = () => all("[data-row]");
  const choose = (index, scroll = true) => {
    const found = rows();
    const row = found[Math.max(0, Math.min(index, found.length - 1))];
    for (const each of found) each.classList.toggle("chosen", each === row);
    if (row && scroll) row.scrollIntoView({ block: "nearest" });
    return row;
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const chosen = rows().findIndex((row) => row.classList.contains("chosen"));
    if (event.key === "/") {
      const input = document.querySelector("input[type=search]:not([hidden])");
      if (input) {
        event.preventDefault();
        input.focus();
        input.select();
      }
    } else if (event.key === "j") choose(chosen + 1);
    else if (event.key === "k") choose(Math.max(0, chosen - 1));
    else if (event.key === "Enter" && chosen >= 0 && event.target === body) rows()[chosen].querySelector("a").click();
    else if (event.key === "Escape") for (const menu of all("details.menu[open]")) menu.open = false;
  });
  document.addEventListener("click", (event) => {
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  // What was done is said once
  const address = new URL(location.href);
  if (address.searchParams.has("notice")) {
    address.searchParams.delete("notice");
    history.replaceState(null, "", address);
  }
  listen();
})();
