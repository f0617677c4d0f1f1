// Light or dark, as the reader chose it in the menu; dark where nobody chose (guard/first_look.js, before all is drawn).
//
// In:  data.paths, the addresses of all pages. Out: the choice in every place where Streamlit looks for it, which is one
//      for each address; `data-look` on the page, for `page.css`.

import { isDark } from "./theme.js";

const CHOICE = "clinic_mm.look";
const LOOKS = ["Light", "Dark", "System"];
const whereOf = (path) => `stActiveTheme-${path}-v2`; // as Streamlit 1.67 names it

function lookAt(key) {
  try {
    const found = JSON.parse(window.localStorage.getItem(key));
    return LOOKS.includes(found) ? found : null;
  } catch {
    return null;
  }
}

function keep(paths, look) {
  for (const key of [CHOICE, ...paths.map(whereOf)]) window.localStorage.setItem(key, JSON.stringify(look));
}

/** What the reader chose since, at whatever address. */
function chosen(paths) {
  const before = lookAt(CHOICE);
  const known = before && paths.every((path) => lookAt(whereOf(path)));
  const changed = known && paths.map((path) => lookAt(whereOf(path))).find((look) => look !== before);
  return changed || before || "Dark";
}

export default function ({ data, parentElement }) {
  const dark = isDark(getComputedStyle(parentElement.querySelector(".look")).getPropertyValue("--st-background-color"));
  document.documentElement.dataset.look = dark ? "dark" : "light";
  try {
    keep(data.paths, chosen(data.paths));
  } catch {
    // a browser that keeps nothing follows the computer
  }
}
