// A page of its own: the view over a WebSocket, with Jupyter's colours by the system's theme. What
// the view asks of a widget's model is answered here.
import view from "./view.js";

const LONGEST_MS = 15_000; // between two tries to reach the program
const REFUSED = 4403; // the code that a socket is closed with whose token is wrong
const KEPT = "buildflow page"; // of this origin alone, port and all
const STRANGER =
  "This page needs the link that %buildflow open (or buildflow run --ui) shows: its token is " +
  "missing, wrong, or of a program that has ended.";
const place = document.getElementById("page");

// The token comes in the link's fragment, which no server is sent, and leaves the address bar.
function tokenOf() {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(null, "", location.pathname);
  }
  return given || sessionStorage.getItem(KEPT) || "";
}

function themed() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const set = () => document.documentElement.setAttribute("data-jp-theme-light", String(!dark.matches));
  dark.addEventListener("change", set);
  set();
}

class Model {
  constructor(first) {
    this.values = { parts: first.put, label: first.label, twin: "page" };
    this.listeners = new Set();
    this.socket = null;
  }

  get(name) {
    return this.values[name];
  }

  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) throw new Error("the program is out of reach");
    this.socket.send(JSON.stringify(message));
  }

  on(_name, listener) {
    this.listeners.add(listener);
  }

  off(_name, listener) {
    this.listeners.delete(listener);
  }

  hear(message) {
    for (const listener of this.listeners) listener(message);
  }
}

let model = null;
let tries = 0;

// After a gap the program sends everything again, since it knows nothing of what was shown before.
function heard(message, socket) {
  if (message.label) document.title = message.label;
  if (!model) {
    model = new Model(message);
    model.socket = socket;
    view.render({ model, el: place });
  } else {
    model.socket = socket;
    model.hear(message);
  }
}

function said(text) {
  let note = document.getElementById("reach");
  if (!note) {
    note = document.createElement("p");
    note.id = "reach";
    note.setAttribute("role", "alert");
    place.before(note);
  }
  note.textContent = text;
  note.hidden = !text;
}

const token = tokenOf();

function connect() {
  const socket = new WebSocket(`ws://${location.host}/socket`);
  socket.onopen = () => socket.send(token);
  socket.onmessage = (event) => {
    tries = 0;
    said("");
    place.classList.remove("away");
    heard(JSON.parse(event.data), socket);
  };
  socket.onclose = ({ code }) => {
    place.classList.add("away");
    if (code === REFUSED) return void said(`▲ ${STRANGER}`);
    tries += 1;
    const wait = Math.min(500 * 2 ** tries, LONGEST_MS);
    said(
      "▲ The program is out of reach: it has ended, or this browser is offline. What follows is " +
        "how it was; this page goes on by itself as soon as it answers. A program that was " +
        "started again has another link.",
    );
    setTimeout(connect, wait);
  };
}

themed();
if (token) connect();
else said(`▲ ${STRANGER}`);
