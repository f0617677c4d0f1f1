// Keys of a whole page: a key presses the button that Python named for its action; `?` shows the keys.
//
// In:  data.keymap; data.targets, action to [CSS selector, which of those found]; data.lines, the cases that can be opened by number.
// Out: clicks on buttons of the page; the trigger `open` with the case.

import { Mouse, actionOf, helpPanel, keyName } from "./gestures.js";

const WRITES = ["text", "search", "number", "password", "email", "date", "time", "url", "tel"];

/** Whether somebody is writing there, so that a letter is a letter. */
export function isWriting(element) {
  if (!element || !element.tagName) return false;
  const tag = element.tagName.toLowerCase();
  if (tag === "textarea" || tag === "select" || element.isContentEditable) return true;
  return tag === "input" && WRITES.includes((element.type || "text").toLowerCase());
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".viewer");
  let before = null;
  const toggle = () => {
    help.hidden = !help.hidden;
    if (!help.hidden) before = document.activeElement;
    if (!help.hidden) help.querySelector("button").focus();
    else if (before && before.focus) before.focus();
  };
  const help = helpPanel(data.keymap, new Mouse("page", data.keymap.mouse, window.localStorage), toggle);
  root.replaceChildren(help);

  const press = (event) => {
    if (event.defaultPrevented || isWriting(event.composedPath()[0])) return;
    if (event.key === "Escape" && !help.hidden) return toggle();
    const action = actionOf(data.keymap, event);
    if (!action) return;
    if (action === "help") {
      event.preventDefault();
      return toggle();
    }
    if (action === "open") {
      const line = data.keymap.keys.find((row) => row.action === "open").keys.indexOf(keyName(event));
      if (line < data.lines.length) setTriggerValue("open", data.lines[line]);
      return;
    }
    const [selector, place] = data.targets[action] || [];
    const target = selector && document.querySelectorAll(selector)[place];
    if (!target || target.disabled) return;
    event.preventDefault();
    if (isWriting(target)) target.focus();
    else target.click();
  };
  document.addEventListener("keydown", press);
  return () => document.removeEventListener("keydown", press);
}
