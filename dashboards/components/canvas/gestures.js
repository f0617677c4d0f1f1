// Keys and mouse as the keymap and the reader have them; and the panel that shows them and lets them be changed.
//
// In:  events, and a keymap {keys: [{action, keys, does}], mouse: {gesture: action}}. Out: names of actions.

const BUTTONS = ["left", "middle", "right"];
const SAID = { label: "click on a name" }; // gestures that are not a button or the wheel
export const MOUSE_ACTIONS = {
  window: "Window: right is wider, down is darker",
  pan: "Move the picture",
  zoom: "Zoom",
  slice: "Slices",
  measure: "Measure a distance",
  nothing: "Nothing",
};

/** The key of an event as the keymap names it; Shift is part of a sign such as "?" already. */
export function keyName(event) {
  const shift = event.shiftKey && event.key.length > 1 ? "Shift+" : "";
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift}${event.key}`;
}

/** The action of a key; "" where it has none. */
export function actionOf(keymap, event) {
  const name = keyName(event);
  const row = keymap.keys.find((one) => one.keys.includes(name));
  return row ? row.action : "";
}

/** The gesture of a button or of the wheel: `left`, `shift_left`, `ctrl_wheel`. */
export function gestureOf(event, button) {
  const held = event.shiftKey ? "shift_" : event.ctrlKey || event.metaKey ? "ctrl_" : "";
  return held + (button === undefined ? "wheel" : BUTTONS[button] || "other");
}

/** Gesture to action, as the reader changed it in this browser; `choicesOf`: action to words of what a gesture can do. */
export class Mouse {
  constructor(place, given, storage, choicesOf = () => MOUSE_ACTIONS) {
    this.choicesOf = choicesOf;
    this.key = `clinic_mm.mouse.${place}`;
    this.given = given;
    this.storage = storage;
    this.own = {};
    try {
      const kept = JSON.parse(storage.getItem(this.key) || "{}");
      for (const gesture of Object.keys(given)) {
        if (typeof kept[gesture] === "string" && kept[gesture] in choicesOf(gesture)) this.own[gesture] = kept[gesture];
      }
    } catch {
      this.own = {}; // no storage, or nothing of ours in it
    }
  }

  action(gesture) {
    const plain = gesture.replace(/^(shift|ctrl)_/, "");
    return this.own[gesture] || this.given[gesture] || this.own[plain] || this.given[plain] || "nothing";
  }

  set(gesture, action) {
    this.own[gesture] = action;
    try {
      this.storage.setItem(this.key, JSON.stringify(this.own));
    } catch {
      // a browser that keeps nothing still has it until the page is left
    }
  }
}

/** An element with attributes and children; text goes in as text, never as markup. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** The panel of keys and mouse bindings, hidden at first. */
export function helpPanel(keymap, mouse, close) {
  const bindings = Object.keys(keymap.mouse).map((gesture) => {
    const select = make("select", { "aria-label": `Mouse: ${SAID[gesture] || gesture.replace("_", " + ")}`, onchange: () => mouse.set(gesture, select.value) });
    for (const [action, words] of Object.entries(mouse.choicesOf(gesture))) {
      select.append(make("option", { value: action, selected: mouse.action(gesture) === action }, words));
    }
    return make("tr", {}, make("td", {}, SAID[gesture] || gesture.replace("_", " + ")), make("td", {}, select));
  });
  const shut = make("button", { type: "button", onclick: close }, "Close");
  const parts = [tableOf("Keys", keyRows(keymap))];
  if (bindings.length) parts.unshift(tableOf("Mouse, kept in this browser", bindings));
  return make("div", { class: "help", role: "dialog", "aria-label": "Keys and mouse", hidden: true }, shut, ...parts);
}

/** A line for each action: its keys, and what it does. */
export function keyRows(keymap) {
  const sign = (name) => make("kbd", {}, name.replace("Arrow", "").replace(" ", "Space"));
  return keymap.keys.map((row) => make("tr", {}, make("td", {}, ...row.keys.map(sign)), make("td", {}, row.does)));
}

function tableOf(caption, rows) {
  return make("table", {}, make("caption", {}, caption), make("tbody", {}, ...rows));
}
