/* Enhances pages that work without it. No page's text is made here: words come from the page (#words, data-*), and only
   as text, never as HTML. */
"use strict";

(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const words = document.getElementById("words")?.dataset ?? {};
  const said = document.getElementById("said");
  const lang = document.documentElement.lang || "en";
  const language = navigator.languages.find((one) => one.split("-")[0] === lang) ?? lang;

  const say = (text) => {
    if (!said) return;
    said.textContent = "";
    setTimeout(() => { said.textContent = text; }, 50);
  };

  /* What belongs to scripts only is hidden until there is one. */
  for (const one of all("[data-copies], [data-shows], [data-downloads], [data-prints]")) one.hidden = false;

  /* Copy, download, print. A list is one line for each item. */
  const textOf = (id) => {
    const from = document.getElementById(id);
    const items = from ? all("li", from) : [];
    return items.length ? items.map((item) => item.textContent.trim()).join("\n") + "\n" : from?.textContent ?? "";
  };

  const confirmOn = (button, text) => {
    const before = button.dataset.label ?? button.textContent;
    button.dataset.label = before;
    button.textContent = text;
    setTimeout(() => { button.textContent = before; }, 2000);
    say(text);
  };

  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  };

  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (!button) return;
    if (button.dataset.copies) {
      if (await copied(textOf(button.dataset.copies))) confirmOn(button, words.copied);
      else {
        const from = document.getElementById(button.dataset.copies);
        from?.closest("details")?.setAttribute("open", "");
        if (from) getSelection()?.selectAllChildren(from);
        say(words.notCopied);
      }
    }
    if (button.dataset.downloads) {
      const text = `${button.dataset.heading ?? ""}\n\n${textOf(button.dataset.downloads)}`;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
      link.download = button.dataset.file ?? "";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }
    if ("prints" in button.dataset) window.print();
    if (button.dataset.shows) {
      const input = document.getElementById(button.dataset.shows);
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      button.textContent = shown ? words.hide : words.show;
      button.setAttribute("aria-pressed", String(shown));
    }
  });

  /* A password leaves as a password, so that the browser offers to keep it and never completes it elsewhere. */
  document.addEventListener("submit", (event) => {
    for (const button of all("[data-shows][aria-pressed=true]", event.target)) button.click();
  });

  /* Caps Lock. */
  for (const hint of all("[data-caps-of]")) {
    const input = document.getElementById(hint.dataset.capsOf);
    const look = (event) => {
      const on = event.getModifierState?.("CapsLock") ?? false;
      const text = on ? hint.dataset.says : "";
      if (hint.textContent !== text) hint.textContent = text;
    };
    input?.addEventListener("keydown", look);
    input?.addEventListener("keyup", look);
    input?.addEventListener("blur", () => { hint.textContent = ""; });
  }

  /* Times in the reader's own zone; UTC stays in the title. */
  for (const time of all("time[data-local]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const short = time.dataset.local === "time";
    const day = short ? {} : { year: "numeric", month: "short", day: "numeric", timeZoneName: "short" };
    time.title = time.textContent;
    time.textContent = new Intl.DateTimeFormat(language, { ...day, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(at);
  }

  /* Countdowns, what clears itself, and the end of the session. */
  const clock = (milliseconds) => {
    const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
    const two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
    return hours ? `${hours}:${rest}` : rest;
  };

  const countdowns = all("time[data-countdown]").map((time) => [time, new Date(time.dateTime).getTime()]);
  const clearing = all("[data-clear-at]").map((block) => [block, new Date(block.dataset.clearAt).getTime()]);
  const ends = words.endsAt ? new Date(words.endsAt).getTime() : Infinity;
  const WARNING = 120_000;
  let bar = null;

  const clear = (block) => {
    const note = document.createElement("p");
    note.className = "notice notice-info";
    note.setAttribute("role", "status");
    note.textContent = block.dataset.cleared ?? "";
    block.replaceChildren(note);
    block.removeAttribute("data-clear-at");
  };

  const warn = (left) => {
    if (!bar) {
      bar = document.createElement("div");
      bar.className = "session-end";
      bar.setAttribute("role", "alert");
      const stay = document.createElement("a");
      stay.href = location.href;
      stay.textContent = words.stay;
      bar.append(document.createElement("span"), stay);
      document.body.prepend(bar);
    }
    const [text, stay] = bar.children;
    const now = left > 0 ? words.ends.replace("{time}", clock(Math.ceil(left / 30_000) * 30_000)) : words.ended;
    if (text.textContent !== now) text.textContent = now;
    stay.hidden = left <= 0;
  };

  const tick = () => {
    const now = Date.now();
    for (const [time, at] of countdowns) {
      const text = at > now ? (words.left ?? "{time}").replace("{time}", clock(at - now)) : time.dataset.over;
      if (time.textContent !== text) time.textContent = text;
    }
    for (const [block, at] of clearing) if (block.dataset.clearAt && at <= now) clear(block);
    if (ends - now < WARNING) warn(ends - now);
  };
  if (countdowns.length || clearing.length || ends < Infinity) {
    tick();
    setInterval(tick, 1000);
    document.addEventListener("visibilitychange", tick);
    window.addEventListener("pageshow", tick);
  }

  /* Tabs: links to sections become tabs. Arrow keys, Home and End move. */
  for (const tabs of all("[data-tabs]")) {
    const list = tabs.querySelector(".tab-list");
    const links = all(".tab", list);
    const panels = links.map((link) => document.getElementById(link.hash.slice(1)));
    if (!links.length || panels.includes(null)) continue;
    tabs.classList.add("tabs-live");
    list.setAttribute("role", "tablist");
    const choose = (chosen, focus) => {
      links.forEach((link, index) => {
        link.setAttribute("aria-selected", String(index === chosen));
        link.tabIndex = index === chosen ? 0 : -1;
        panels[index].hidden = index !== chosen;
      });
      if (focus) links[chosen].focus();
    };
    links.forEach((link, index) => {
      link.parentElement.setAttribute("role", "presentation");
      link.setAttribute("role", "tab");
      link.setAttribute("aria-controls", panels[index].id);
      panels[index].setAttribute("role", "tabpanel");
      panels[index].setAttribute("aria-labelledby", link.id);
      link.addEventListener("click", (event) => {
        event.preventDefault();
        history.replaceState(null, "", link.hash);
        choose(index);
      });
      link.addEventListener("keydown", (event) => {
        const last = links.length - 1;
        const to = { ArrowRight: index === last ? 0 : index + 1, ArrowLeft: index === 0 ? last : index - 1, Home: 0, End: last }[event.key];
        if (to === undefined && event.key !== " ") return;
        event.preventDefault();
        choose(to ?? index, true);
      });
    });
    choose(Math.max(0, links.findIndex((link) => link.hash === location.hash)));
  }

  /* The search of a [data-filter] container: every word must be in the row. */
  const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
  for (const container of all("[data-filter]")) {
    const input = container.querySelector("[data-filter-input]");
    const rows = all("[data-filter-text]", container).map((row) => [row, plain(row.dataset.filterText)]);
    const groups = all("[data-filter-group]", container);
    const chips = all("[data-filter-chip]", container);
    const count = container.querySelector("[data-filter-count]");
    const none = container.querySelector("[data-filter-none]");
    if (!input) continue;

    const shown = () => rows.map(([row]) => row).filter((row) => !row.hidden && !row.closest("[hidden]"));
    const apply = () => {
      const terms = plain(input.value).split(/\s+/).filter(Boolean);
      const chip = chips.find((one) => one.getAttribute("aria-pressed") === "true")?.dataset.filterChip;
      const left = new Set();
      for (const [row, text] of rows) {
        row.hidden = !terms.every((term) => text.includes(term)) || (chip !== undefined && row.dataset.filterEnv !== chip);
        if (!row.hidden) left.add(row.dataset.filterKey ?? row);
      }
      const searching = terms.length > 0 || chip !== undefined;
      for (const group of groups) {
        group.hidden = !all("[data-filter-text]", group).some((row) => !row.hidden);
        if (group instanceof HTMLDetailsElement) {
          group.dataset.wasOpen ??= String(group.open);
          group.open = searching || group.dataset.wasOpen === "true";
          if (!searching) delete group.dataset.wasOpen;
        }
      }
      if (none) none.hidden = left.size > 0;
      if (count) count.textContent = left.size === 1 ? count.dataset.one : count.dataset.many.replace("{n}", new Intl.NumberFormat(language).format(left.size));
    };
    const goOf = (row) => row.querySelector("[data-go]") ?? row.querySelector("a, button");
    const move = (event) => {
      const rowsLeft = shown();
      const here = event.target.closest("[data-filter-text]");
      const at = rowsLeft.indexOf(here);
      if (event.key === "ArrowDown") {
        event.preventDefault();
        goOf(rowsLeft[Math.min(at + 1, rowsLeft.length - 1)] ?? container)?.focus();
      } else if (event.key === "ArrowUp" && at >= 0) {
        event.preventDefault();
        (at === 0 ? input : goOf(rowsLeft[at - 1]))?.focus();
      } else if (event.key === "Escape" && input.value) {
        event.preventDefault();
        input.value = "";
        apply();
        input.focus();
      }
    };

    input.addEventListener("input", apply);
    container.addEventListener("keydown", move);
    input.form?.addEventListener("submit", (event) => {
      event.preventDefault();
      const first = shown()[0];
      if (first && input.value.trim()) goOf(first)?.click();
    });
    for (const chip of chips) {
      chip.hidden = false;
      chip.addEventListener("click", () => {
        const on = chip.getAttribute("aria-pressed") !== "true";
        for (const other of chips) other.setAttribute("aria-pressed", String(other === chip && on));
        apply();
      });
    }
    document.addEventListener("keydown", (event) => {
      const typing = event.target instanceof Element && event.target.closest("input, select, textarea, [contenteditable]");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.focus();
      input.select();
    });
    window.addEventListener("pageshow", apply);
    if (matchMedia("(hover: hover)").matches && !location.hash) input.focus({ preventScroll: true });
  }

  /* A form that asks first. */
  for (const form of all("form[data-confirm]")) {
    const dialog = document.getElementById(form.dataset.confirm);
    if (!(dialog instanceof HTMLDialogElement)) continue;
    let sure = false;
    let by = null;
    form.addEventListener("submit", (event) => {
      if (sure) return;
      event.preventDefault();
      by = event.submitter;
      dialog.returnValue = "";
      dialog.showModal();
    });
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "yes" || !by) { by?.focus(); by = null; return; }
      sure = true;
      form.requestSubmit(by);
      sure = false;
      by = null;
    });
  }

  /* A form that is only there to be sent on, once; the way back does not send it again. */
  const [arrival] = performance.getEntriesByType("navigation");
  window.addEventListener("pageshow", (event) => {
    if (event.persisted || arrival?.type === "back_forward") return;
    for (const form of all("form[data-auto-submit]")) form.requestSubmit();
  });
})();
