// Keys of a whole page: a key presses the button that Python named for its action; `?` shows the keys.
//
// In:  data.keymap; data.targets, action to [CSS selector, which of those found]; data.lines, the cases that can be opened
//      by number; data.scope, what the page is about; data.more, keys of what has its own once it is focused: [[words, keymap]].
// Out: clicks on buttons of the page; the trigger `open` with the case.
//
// Streamlit calls again whenever the data change and says only at the very end that all is over, so there is one listener
// for good, which asks for what holds now. While the server draws what the reader asked for, the buttons of before still
// stand: a key that came then would act on the case of before, or on nothing. It is held until the page stands. What
// cannot be taken back (`seen` in the keymap) is done by a held key only where its button, drawn anew, stood already when
// the key was pressed, and is the same still: else nobody saw what it would be done to.

import { Mouse, actionOf, helpPanel, keyName, keyRows, make } from "./gestures.js";

const WRITES = ["text", "search", "number", "password", "email", "date", "time", "url", "tel"];
const RUNS = "[data-testid=stButton], [data-testid=stFormSubmitButton], [data-testid=stTopNavLink], [data-testid=stPageLink]";
const BEGINS_WITHIN_MS = 10000; // a click to the server's first word, on a slow machine
const CALM_MS = 200; // so long after its last word all of a page has been put on the screen
const KEPT_MS = 20000; // what was pressed longer ago is not meant any more
const MOST = 8;
const TOLD_MS = 6000;
const desk = { now: null, held: [], asked: 0, ran: false, calm: 0, timer: 0, ears: false, text: "" };

/** Whether somebody is writing there, so that a letter is a letter. */
export function isWriting(element) {
  if (!element || !element.tagName) return false;
  const tag = element.tagName.toLowerCase();
  if (tag === "textarea" || tag === "select" || element.isContentEditable) return true;
  return tag === "input" && WRITES.includes((element.type || "text").toLowerCase());
}

/** The server was asked for another page, or for this one anew; `ran`: it has begun to answer. */
function asked(ran = false) {
  Object.assign(desk, { asked: performance.now(), ran, calm: 0 });
  if (!desk.timer) desk.timer = window.setInterval(look, 50);
}

/** Whether what the reader asked for is still being drawn. */
function busy() {
  return desk.asked > 0 || !desk.now;
}

/** Look how far the drawing is; then do what was held, one thing at a time, as each may ask the server again. */
function look() {
  const app = document.querySelector("[data-test-script-state]");
  const runs = Boolean(app) && app.dataset.testScriptState !== "notRunning";
  const time = performance.now();
  if (runs) Object.assign(desk, { ran: true, calm: 0 });
  else if (!desk.calm) desk.calm = time;
  if (desk.asked && !runs && (desk.ran ? time - desk.calm > CALM_MS : time - desk.asked > BEGINS_WITHIN_MS)) desk.asked = 0;
  desk.held = desk.held.filter((one) => time - one.at < KEPT_MS);
  if (!busy() && desk.held.length) {
    const one = desk.held.shift();
    desk.now.act(one.key, one);
  }
  if (!desk.asked && !desk.held.length) desk.timer = void window.clearInterval(desk.timer);
}

/**
 * What somebody types is his. But Enter and Escape end what a key of this page began, such as a search, so that keys are
 * keys again; and a list of choices that is shut has the focus after a choice, where a `?` is none.
 */
function written(event, field) {
  if (event.isComposing || !desk.now) return;
  const ends = event.key === "Enter" || event.key === "Escape";
  const shut = field.getAttribute("role") === "combobox" && field.getAttribute("aria-expanded") !== "true";
  if (ends && desk.now.leadsTo(field)) {
    if (field.value !== desk.text) asked(); // else nobody is asked, and nothing comes to wait for
    field.blur(); // at once: the next key may be there already
  } else if (shut && !ends && !event.defaultPrevented && desk.now.first(event)) event.preventDefault();
}

function heard(event) {
  const [target] = event.composedPath();
  if (isWriting(target)) return written(event, target);
  if (event.defaultPrevented) return;
  if (desk.now && desk.now.first(event)) return event.preventDefault();
  const plain = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.altKey && !event.metaKey;
  if (plain && (busy() || desk.held.length)) {
    const key = { key: event.key, shiftKey: event.shiftKey };
    if (desk.held.length < MOST) desk.held.push({ key, at: performance.now(), saw: desk.now && desk.ran ? desk.now.sight(key) : "" });
    if (!desk.timer) desk.timer = window.setInterval(look, 50);
    return event.preventDefault();
  }
  if (desk.now && desk.now.act(event)) event.preventDefault();
}

function listen() {
  if (desk.ears) return;
  desk.ears = true;
  document.addEventListener("keydown", heard);
  document.addEventListener("focusin", ({ target }) => isWriting(target) && (desk.text = target.value));
  document.addEventListener("click", (event) => event.target.closest && event.target.closest(RUNS) && asked(), true);
  asked(true); // at first the page itself
}

/** One place: its panel, and what its keys do. */
class Place {
  constructor(root) {
    this.root = root;
    this.said = make("p", { class: "page-said", role: "status" });
    this.before = null;
  }

  take(data, trigger) {
    const open = this.help && !this.help.hidden;
    Object.assign(this, { data, trigger });
    this.help = helpPanel(data.keymap, new Mouse("page", data.keymap.mouse, window.localStorage), () => this.toggle());
    this.help.classList.add("page-help");
    for (const [words, keymap] of data.more || []) this.help.append(make("details", {}, make("summary", {}, words), make("table", {}, make("tbody", {}, ...keyRows(keymap)))));
    this.root.replaceChildren(this.help, this.said);
    if (open) this.toggle();
  }

  toggle() {
    this.help.hidden = !this.help.hidden;
    if (!this.help.hidden) {
      this.before = document.activeElement;
      this.help.querySelector("button").focus();
    } else if (this.before && this.before.isConnected) this.before.focus();
  }

  /** What needs no page that stands: the panel. */
  first(event) {
    const closes = event.key === "Escape" && this.help && !this.help.hidden;
    if (closes || actionOf(this.data.keymap, event) === "help") return this.toggle(), true;
    return false;
  }

  rowOf(event) {
    return this.data.keymap.keys.find((one) => one.keys.includes(keyName(event)));
  }

  targetOf(row) {
    const [selector, place] = this.data.targets[row.action] || [];
    const target = selector && document.querySelectorAll(selector)[place];
    return target && !target.disabled ? target : null;
  }

  /** Whether a key of this page leads to a field. */
  leadsTo(field) {
    return this.data.keymap.keys.some((row) => this.targetOf(row) === field);
  }

  /** What a reader sees where a key would act: words of a button that is of this drawing; "" for none. */
  sight(event) {
    const row = this.rowOf(event);
    const target = row && this.targetOf(row);
    return target && !target.closest("[data-stale=true]") ? `${this.data.scope} ${target.textContent}` : "";
  }

  /** Do what a key stands for; false where it stands for nothing here. `held`: it came before the page stood. */
  act(event, held) {
    const row = this.rowOf(event);
    if (!row) return false;
    if (held && row.seen && !(held.saw && held.saw === this.sight(event))) {
      desk.held = [];
      return this.tell(`“${event.key}” came before the page stood: look, and press it again`), true;
    }
    if (row.action === "open") {
      const line = this.data.lines[row.keys.indexOf(keyName(event))];
      if (line === undefined) return false;
      asked();
      return this.trigger("open", line), true;
    }
    const target = this.targetOf(row);
    if (!target) return false;
    if (!isWriting(target)) return target.click(), true;
    target.focus();
    desk.held = []; // they were letters of what was to be written there, not keys
    return true;
  }

  tell(words) {
    this.said.textContent = words;
    window.clearTimeout(this.silence);
    this.silence = window.setTimeout(() => (this.said.textContent = ""), TOLD_MS);
  }
}

const places = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".viewer");
  const place = places.get(root) || new Place(root);
  places.set(root, place);
  if (!desk.now && desk.ears) asked(true);
  desk.now = place;
  place.take(data, setTriggerValue);
  listen();
  return () => {
    if (desk.now === place) desk.now = null;
  };
}
