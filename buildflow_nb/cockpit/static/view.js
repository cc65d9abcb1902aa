// What the browser does for a view, and no more: puts the parts that the kernel made into place,
// sends back what a person does, and says so when the kernel is silent. No state of its own.

const MOST_BYTES = 16 * 2 ** 20; // of a file, which comes through the kernel's messages
const TYPING_MS = 250; // between two keys of a person who goes on typing
const EVERY_MS = 250; // the kernel sends what is new at most so often
const SILENT_MS = 15_000; // after which a page says again that it is there
const WAIT_MS = 300; // after which a click that the kernel has not heard says what it waits for
const SCROLL_MS = 60; // between two looks at what is in sight
const SCROLLED = 4; // rows, before others are asked for
const TOLD_MS = 2_500; // how long a button says what came of it
const KEPT = new Set(["open", "style", "data-sent", "data-told", "data-viewed"]); // the page's own: not the kernel's
const FIELDS = new Set(["INPUT", "TEXTAREA", "SELECT"]);

function attributes(old, next) {
  for (const { name } of [...old.attributes]) {
    if (next.hasAttribute(name) || KEPT.has(name)) continue;
    old.removeAttribute(name);
    if (name === "checked") old.checked = false;
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) === value) continue;
    old.setAttribute(name, value);
    if (name === "value") old.value = value;
    if (name === "checked") old.checked = true;
  }
}

// Makes `old` like `next` in place, so that focus, selection, scrolling and half-typed text stay.
function morph(old, next) {
  const same = old.nodeName === next.nodeName && old.dataset?.key === next.dataset?.key;
  if (!same) return old.replaceWith(next);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  attributes(old, next);
  if (!old.dataset.slot) children(old, next); // what stands in a slot comes piece by piece
  if (old.nodeName === "SELECT" && old !== document.activeElement) old.value = next.value;
}

// Children with a key are the same wherever they stand; the others are told by their place.
function children(old, next) {
  const keyed = new Map();
  for (const child of old.childNodes) if (child.dataset?.key) keyed.set(child.dataset.key, child);
  let place = old.firstChild;
  for (const node of [...next.childNodes]) {
    const known = keyed.get(node.dataset?.key);
    keyed.delete(node.dataset?.key);
    if (known && known !== place) old.insertBefore(known, place);
    const there = known ?? (place?.dataset?.key ? null : place);
    if (!there) old.insertBefore(node, place);
    else {
      place = there.nextSibling;
      morph(there, node);
    }
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}

function parsed(html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  return made.content;
}

// Puts a piece's HTML into its place, then sees to what scrolls, has the focus, or is to be seen.
function update(place, put) {
  const tails = [...place.querySelectorAll("[data-tail]")].filter(
    (e) => e.scrollHeight - e.scrollTop - e.clientHeight < 24,
  );
  put();
  const fresh = place.querySelectorAll("[data-tail]:not([data-seen])");
  for (const e of [...tails, ...fresh]) e.scrollTop = e.scrollHeight;
  for (const e of fresh) KEPT.add("data-seen"), e.setAttribute("data-seen", "");
  const wanted = place.querySelector("[data-focus]:not([data-focused])");
  if (wanted) KEPT.add("data-focused"), wanted.setAttribute("data-focused", ""), wanted.focus();
}

// What was opened is in view, once.
function bringIntoView(root) {
  for (const e of root.querySelectorAll("[data-view]")) {
    if (e.dataset.viewed === e.dataset.view) continue;
    e.dataset.viewed = e.dataset.view;
    e.scrollIntoView?.({ block: "nearest" });
  }
}

// The pieces of a view. One that is named "slot/key" is one element in the slot of that name.
class Pieces {
  constructor(root) {
    this.root = root;
    this.html = new Map();
    this.places = new Map();
    this.order = [];
  }

  take(put, order) {
    for (const [name, html] of Object.entries(put)) this.html.set(name, html);
    if (order) {
      this.order = order;
      const known = new Set(order);
      for (const name of [...this.html.keys()]) {
        if (known.has(name)) continue;
        this.html.delete(name);
        this.places.get(name)?.remove();
        this.places.delete(name);
      }
    }
    const last = new Map(); // the last element that was put in order, by slot
    for (const name of this.order) {
      const cut = name.indexOf("/");
      if (cut < 0) this.part(name, put);
      else this.piece(name, name.slice(0, cut), put, last);
    }
    bringIntoView(this.root);
  }

  part(name, put) {
    let place = this.places.get(name);
    if (!place) {
      place = document.createElement("div");
      place.dataset.part = name;
      this.root.append(place);
      this.places.set(name, place);
    } else if (!(name in put)) return;
    update(place, () => children(place, parsed(this.html.get(name))));
  }

  piece(name, slotName, put, last) {
    const slot = this.root.querySelector(`[data-slot="${slotName}"]`);
    if (!slot) return;
    let place = this.places.get(name);
    const there = place?.parentNode === slot;
    const before = last.has(slot) ? last.get(slot).nextSibling : slot.firstChild;
    if (!there) {
      place?.remove();
      place = parsed(this.html.get(name)).firstElementChild;
      if (!place) return;
      this.places.set(name, place);
      update(slot, () => slot.insertBefore(place, before));
    } else {
      if (place !== before) slot.insertBefore(place, before);
      if (name in put) {
        const next = parsed(this.html.get(name)).firstElementChild;
        update(slot, () => morph(place, next));
        if (!place.isConnected) this.places.set(name, next);
        place = this.places.get(name);
      }
    }
    last.set(slot, place);
  }
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "copied";
  } catch {
    return "this page may not use the clipboard; select the line and copy it";
  }
}

function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function valueOf(field) {
  if (field.type === "checkbox") return field.checked;
  if (field.type !== "file") return field.value;
  const [file] = field.files;
  if (!file) return "";
  const reader = new FileReader();
  const read = new Promise((done, failed) => ((reader.onload = done), (reader.onerror = failed)));
  reader.readAsDataURL(file);
  await read;
  return { name: file.name, data: reader.result.split(",", 2)[1] ?? "" };
}

async function fieldsOf(element) {
  const form = element.closest("[data-form]");
  if (!form) return {};
  const found = [...form.querySelectorAll("[name]")].filter((e) => FIELDS.has(e.nodeName));
  const pairs = found.map(async (e) => [e.name, await valueOf(e)]);
  return Object.fromEntries(await Promise.all(pairs));
}

const chosenIn = (form) => [...(form?.querySelectorAll("input[type=file]") ?? [])];
const tooLarge = (form) => chosenIn(form).some((e) => e.files[0]?.size > MOST_BYTES);

// What shows that a click was made: a row has a button for it, a node of the graph stands for itself.
function shownBy(element) {
  return element.matches("tr") ? (element.querySelector("button") ?? element) : element;
}

// While a view lives, the true table beside it, which is what the file keeps, is not shown twice.
function hideTwin(id) {
  const style = document.createElement("style");
  const twin = `[data-bf-twin="${id}"]`;
  style.textContent = `${twin},.jp-OutputArea-child:has(${twin}){display:none!important}`;
  document.head.append(style);
  return () => style.remove();
}

// A page that was loaded again knows no output by the kernel's name for it, so that the file would
// keep an old table: it is found in the notebook by its mark. Elsewhere than in JupyterLab there is
// nothing to find.
function keep(manager, id, data) {
  for (const cell of manager?.context?.model?.cells ?? []) {
    for (let i = 0; i < (cell.outputs?.length ?? 0); i += 1) {
      const html = String(cell.outputs.get(i).data["text/html"] ?? "");
      if (!html.includes(`data-bf-twin="${id}"`) || html === data["text/html"]) continue;
      cell.outputs.set(i, { output_type: "display_data", data, metadata: {} });
    }
  }
}

function render({ model, el }) {
  const page = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const root = document.createElement("section");
  root.className = "bf bf-live";
  root.setAttribute("role", "region");
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // keys typed here are not the notebook's
  const said = document.createElement("div");
  said.className = "said";
  said.setAttribute("role", "status");
  const pieces = new Pieces(root);
  const showTwin = hideTwin(model.get("twin"));

  let heard = Date.now();
  const send = (message) => {
    try {
      model.send(message);
    } catch {
      said.textContent = "the kernel is gone"; // the view says since when
    }
  };
  const here = () => send({ act: "here", arg: page });
  const calling = setInterval(() => Date.now() - heard > SILENT_MS && here(), SILENT_MS);

  // A click is grey from the start; where a cell holds the kernel up, it says so.
  const sent = new Map();
  let number = 0;
  const take = (n) => {
    const one = sent.get(n);
    if (!one) return;
    sent.delete(n);
    clearTimeout(one.waits);
    delete one.element.dataset.sent;
    delete one.element.dataset.told;
  };
  const draw = ({ put, order, label }) => {
    heard = Date.now();
    root.setAttribute("aria-label", label);
    root.classList.toggle("bf-odd"); // restarts the wait for the next sign of life
    pieces.take(put, order);
    float();
    for (const [n, one] of [...sent]) if (one.heard) take(n);
  };

  // Where the head is out of sight, what a click came to is told at the lower edge, too.
  const floating = document.createElement("div");
  floating.className = "float";
  floating.setAttribute("aria-hidden", "true");
  const float = () => {
    const toasts = root.querySelector(".toasts");
    const away = toasts && toasts.getBoundingClientRect().bottom < 0;
    const html = away ? toasts.innerHTML : "";
    if (floating.innerHTML !== html) floating.innerHTML = html;
    root.append(floating);
  };

  // A button says in itself, for a moment or until it is heard, what came of its click.
  const tell = (element, text) => {
    said.textContent = text;
    element.dataset.told = text;
    return setTimeout(() => element.dataset.told === text && delete element.dataset.told, TOLD_MS);
  };

  // What it changed comes with the next picture, or there is nothing that it changed.
  const heardOf = (n) => {
    const one = sent.get(n);
    if (!one) return;
    one.heard = true;
    clearTimeout(one.waits);
    setTimeout(take, 2 * EVERY_MS, n);
  };
  const waitsFor = () => root.querySelector("[data-cell]")?.dataset.cell || "the kernel";
  const mark = (n, element) => {
    if (FIELDS.has(element.nodeName)) return;
    element.dataset.sent = n;
    const waits = setTimeout(() => clearTimeout(tell(element, `waits for ${waitsFor()}`)), WAIT_MS);
    sent.set(n, { element, waits });
  };

  const act = async (element, extra = {}) => {
    if (element.getAttribute("aria-disabled") === "true") return;
    const button = shownBy(element);
    if (button.dataset.sent) return; // it was clicked, and is not heard yet
    if (tooLarge(element.closest("[data-form]"))) {
      return void tell(button, "a file is longer than 16 MiB; send it over HTTP instead");
    }
    const { act, arg = "", value = "" } = element.dataset;
    const n = (number += 1);
    mark(n, button);
    send({ act, arg, value, n, fields: await fieldsOf(element), ...extra });
  };

  const closeMenu = (event) => {
    const menu = root.querySelector("details.menu[open]");
    if (menu && !event.target.closest?.("summary")) menu.open = false;
  };
  document.addEventListener("click", closeMenu);
  root.addEventListener("click", async (event) => {
    const copied = event.target.closest("[data-copy]");
    if (copied) return void tell(copied, await copy(copied.dataset.copy));
    const element = event.target.closest("[data-act]");
    if (element && !FIELDS.has(element.nodeName)) act(element);
  });
  root.addEventListener("change", (event) => {
    if (event.target.nodeName === "SELECT" && event.target.dataset.act) {
      act(event.target, { value: event.target.value });
    }
  });
  let typing = 0;
  root.addEventListener("input", (event) => {
    if (event.target.nodeName !== "INPUT" || !event.target.dataset.act) return;
    clearTimeout(typing);
    typing = setTimeout(() => act(event.target, { value: event.target.value }), TYPING_MS);
  });
  // Rows hold still under a pointer, and only those in sight are made.
  let held = false;
  const hold = (event) => {
    const over = event.type === "pointerover" && Boolean(event.target.closest("[data-hold]"));
    if (over !== held) send({ act: "hold", value: over ? "1" : "" });
    held = over;
  };
  root.addEventListener("pointerover", hold);
  root.addEventListener("pointerleave", hold);
  let rows = 0;
  let scrolling = 0;
  root.addEventListener(
    "scroll",
    ({ target }) => {
      if (!target.dataset?.scroll || scrolling) return;
      scrolling = setTimeout(() => {
        scrolling = 0;
        const first = Math.floor(target.scrollTop / Number(target.dataset.scroll));
        if (Math.abs(first - rows) < SCROLLED) return;
        rows = first;
        send({ act: "rows", value: String(first) });
      }, SCROLL_MS);
    },
    true,
  );
  const typed = (event) => {
    const field = FIELDS.has(event.target.nodeName);
    if (event.key === "Escape" && root.querySelector("details.menu[open]")) {
      root.querySelector("details.menu[open]").open = false;
    } else if (event.key === "Escape" && root.querySelector("[data-question]")) {
      send({ act: "ask", arg: "" });
    } else if (event.key === "Escape") {
      const open = root.querySelector("[data-drawer]")?.dataset.drawer;
      send({ act: "close" });
      const row = [...root.querySelectorAll("tr[data-act]")].find((e) => e.dataset.arg === open);
      row?.querySelector("button.nm").focus();
    } else if (field || event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === "/") {
      const found = root.querySelector("[data-find]");
      if (found) event.preventDefault(), found.focus();
    } else if (event.key === "n") send({ act: "next" });
    else if (event.key === "?") send({ act: "keys" });
  };
  root.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the notebook would take Enter and letters for its own commands
    typed(event);
    if (event.key === "Enter" && event.target.nodeName === "INPUT") {
      event.target.closest("[data-form]")?.querySelector("button.default")?.click();
    }
    if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
    if (event.target.getAttribute("role") !== "tab") return;
    const tabs = [...event.target.parentElement.querySelectorAll("[role=tab]")];
    const step = event.key === "ArrowRight" ? 1 : tabs.length - 1;
    const next = tabs[(tabs.indexOf(event.target) + step) % tabs.length];
    next.focus();
    next.click();
  });

  const told = (message) => {
    if (message.put) draw(message);
    if (message.save) save(message.save, message.text);
    if (message.ask) here();
    if (message.keep) keep(model.widget_manager, model.get("twin"), message.keep);
    if (message.heard) heardOf(message.heard);
  };
  model.on("msg:custom", told);
  root.append(said);
  el.append(root);
  const parts = model.get("parts");
  draw({ put: parts, order: Object.keys(parts), label: model.get("label") });
  here();
  return () => {
    showTwin();
    clearInterval(calling);
    send({ act: "gone", arg: page });
    clearTimeout(typing);
    document.removeEventListener("click", closeMenu);
    model.off("msg:custom", told);
  };
}

export default { render };
