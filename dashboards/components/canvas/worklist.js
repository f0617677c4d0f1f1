// The work list: a table that a screen reader reads as one, with a link to each case, walked by arrow keys.
//
// In:  columns; lines, each with its case, its link, its words and whether it has a picture; keys; where the page begins.
// Out: the triggers `open` with a case, and `order` with the order that a heading was pressed for.
//
// What is told anew is put into the lines that stand already, so neither focus nor place nor pictures are lost. One cell
// can be reached by Tab, the others from there by arrows. All words are set as text.
// Source: WAI-ARIA 1.2, role grid; APG, data grid (roving tabindex).

import { actionOf, make } from "./gestures.js";
import { Thumbs } from "./thumbs.js";

class Worklist {
  constructor(root) {
    this.root = root;
    this.lines = new Map(); // case to its row
    this.at = { line: 0, column: 1 }; // line -1 is the heading
    this.thumbs = new Thumbs();
    this.head = make("tr", { role: "row", "aria-rowindex": 1 });
    this.body = make("tbody", { role: "rowgroup" });
    this.table = make("table", { role: "grid", "aria-readonly": "true" }, make("thead", { role: "rowgroup" }, this.head), this.body);
    this.said = make("p", { class: "said", role: "status" });
    root.replaceChildren(make("div", { class: "frame" }, this.table), this.said);
    this.seen = new IntersectionObserver((found) => found.filter((one) => one.isIntersecting).forEach((one) => this.picture(one.target)), { rootMargin: "200px" });
    this.table.addEventListener("keydown", (event) => this.key(event));
    this.table.addEventListener("focusin", (event) => this.focused(event.target));
    this.body.addEventListener("click", (event) => this.click(event));
  }

  /** What Python says now. */
  take(data, trigger) {
    const held = this.key_of(this.at.line);
    const before = this.data && new Set(this.data.rows.map((row) => row.key));
    const inside = this.table.contains(this.root.getRootNode().activeElement);
    this.data = data;
    this.trigger = trigger;
    for (const [name, value] of Object.entries({ "aria-label": data.label, "aria-rowcount": data.total + 1, "aria-colcount": data.columns.length })) this.table.setAttribute(name, value);
    this.headings();
    this.rows();
    const line = data.rows.findIndex((row) => row.key === held);
    if (this.at.line >= 0) this.at.line = line >= 0 ? line : Math.min(this.at.line, data.rows.length - 1);
    this.rove(inside);
    const came = before ? data.rows.filter((row) => !before.has(row.key)).length : 0;
    if (came && came < data.rows.length) this.tell(came); // or it is another page
  }

  headings() {
    const cells = this.data.columns.map((column, place) => {
      const cell = this.head.children[place] || make("th", { role: "columnheader", scope: "col", "aria-colindex": place + 1 });
      if (column.sort) cell.setAttribute("aria-sort", column.sort);
      else cell.removeAttribute("aria-sort");
      if (column.help) cell.title = column.help;
      const button = column.order && (cell.querySelector("button") || make("button", { type: "button", onclick: () => this.trigger("order", column.order) }));
      // The name of a column is read with every cell: what a press does is its description.
      if (button) {
        put(button, column.title);
        button.title = `Sort: ${column.does}`;
        button.classList.toggle("sorted", column.sort !== "none");
        if (!button.isConnected) cell.replaceChildren(button);
      } else put(cell, column.title);
      return cell;
    });
    if (this.head.children.length !== cells.length) this.head.replaceChildren(...cells);
  }

  rows() {
    const rows = this.data.rows.map((row, place) => this.row(row, place));
    const gone = [...this.lines.keys()].filter((key) => !this.data.rows.some((row) => row.key === key));
    for (const key of gone) {
      this.seen.unobserve(this.lines.get(key));
      this.lines.get(key).remove();
      this.lines.delete(key);
    }
    // Only what stands elsewhere is moved: moving a row takes the focus from what is in it.
    rows.forEach((row, place) => {
      if (this.body.children[place] !== row) this.body.insertBefore(row, this.body.children[place] || null);
    });
    if (!rows.length) put(this.said, this.data.nothing);
    else if (this.said.textContent === this.data.nothing) put(this.said, "");
  }

  row(told, place) {
    const known = this.lines.get(told.key);
    const row = known || make("tr", { role: "row" });
    row.setAttribute("aria-rowindex", this.data.first + place + 2);
    row.dataset.key = told.key;
    row.classList.toggle("reading", told.reading);
    this.data.columns.forEach((column, at) => {
      const cell = row.children[at] || row.appendChild(this.cell(column, at, told));
      this.fill(cell, column, told, place);
    });
    if (!known) {
      this.lines.set(told.key, row);
      this.seen.observe(row);
    }
    return row;
  }

  cell(column, at, told) {
    const role = column.name === "case" ? { role: "rowheader", scope: "row" } : { role: "gridcell" };
    const cell = make(column.name === "case" ? "th" : "td", { ...role, tabindex: -1, class: column.name, "aria-colindex": at + 1 });
    if (column.name === "case") cell.append(make("a", { href: told.href, tabindex: -1 }), make("span", { class: "number", "aria-hidden": "true" }));
    if (column.name === "picture") cell.append(make("span", { class: "none" }));
    if (column.name === "urgency") cell.append(make("span", { class: "value" }), make("span", { class: "bar", "aria-hidden": "true" }, make("span")));
    return cell;
  }

  fill(cell, column, told, place) {
    const words = String(told.cells[column.name] ?? "");
    if (column.name === "case") {
      put(cell.firstChild, words);
      cell.lastChild.textContent = place < this.data.numbered ? String(place + 1) : "";
      cell.firstChild.href = told.href;
    } else if (column.name === "urgency") {
      put(cell.firstChild, words);
      cell.lastChild.hidden = told.urgency === null;
      cell.lastChild.firstChild.style.width = `${Math.round(100 * (told.urgency || 0))}%`;
    } else if (column.name === "picture") {
      if (cell.firstChild.tagName === "SPAN") put(cell.firstChild, words);
    } else put(cell, words);
  }

  /** A line has come into view. */
  picture(row) {
    this.seen.unobserve(row);
    const told = this.data.rows.find((one) => one.key === row.dataset.key);
    const cell = row.querySelector("td.picture");
    if (!told || !told.picture || !cell) return;
    this.thumbs.want(told.key, (blob) => {
      if (!blob || !cell.isConnected) return;
      const image = make("img", { alt: told.picture, width: 48, height: 48, decoding: "async" });
      const address = URL.createObjectURL(blob);
      image.addEventListener("load", () => URL.revokeObjectURL(address));
      image.src = address;
      cell.replaceChildren(image);
    });
  }

  // --- keys and clicks ---------------------------------------------------------------------------------------------

  key_of(line) {
    return this.data && this.data.rows[line] ? this.data.rows[line].key : "";
  }

  cellAt({ line, column }) {
    const row = line < 0 ? this.head : this.body.children[line];
    return row && row.children[column];
  }

  /** What takes the focus of a cell: the link or button in it, else the cell. */
  target(cell) {
    return cell.querySelector("a, button") || cell;
  }

  /** One cell of the table is in the order of Tab. */
  rove(focus) {
    const cell = this.cellAt(this.at) || this.cellAt({ line: -1, column: this.at.column });
    for (const one of this.table.querySelectorAll('[tabindex="0"], button')) one.tabIndex = -1;
    if (!cell) return;
    const target = this.target(cell);
    target.tabIndex = 0;
    if (focus && this.root.getRootNode().activeElement !== target) target.focus();
  }

  focused(target) {
    const cell = target.closest("th, td");
    if (!cell) return;
    const line = [...this.body.children].indexOf(cell.parentElement);
    this.at = { line, column: [...cell.parentElement.children].indexOf(cell) };
    this.rove(false);
  }

  key(event) {
    const action = actionOf(this.data.keymap, event);
    const { line, column } = this.at;
    const last = { line: this.data.rows.length - 1, column: this.data.columns.length - 1 };
    if (action === "enter") {
      if (line < 0 || event.target.tagName === "A") return; // a link and a button do it themselves
      event.preventDefault();
      return this.trigger("open", this.key_of(line));
    }
    const to = {
      down: [line + 1, column], up: [line - 1, column], right: [line, column + 1], left: [line, column - 1],
      first: [line, 0], end: [line, last.column], top: [0, column], bottom: [last.line, column],
    }[action];
    if (!to) return;
    event.preventDefault();
    this.at = { line: Math.max(-1, Math.min(last.line, to[0])), column: Math.max(0, Math.min(last.column, to[1])) };
    this.rove(true);
  }

  click(event) {
    const row = event.target.closest("tr");
    const own = event.target.closest("a");
    if (!row || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!own && String(window.getSelection())) return; // words were being marked
    event.preventDefault();
    this.trigger("open", row.dataset.key);
  }

  tell(came) {
    this.said.textContent = `The list has changed: ${came} ${came === 1 ? "case is" : "cases are"} new on this page`;
  }

  end() {
    this.ended = true;
    this.seen.disconnect();
    this.thumbs.end();
  }
}

/** Set words only where they differ: a screen reader begins anew at a text that was changed. */
function put(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

const worklists = new WeakMap();

/** What Streamlit calls at first, and again whenever Python says something new. */
export default function worklist({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".viewer");
  let list = worklists.get(root);
  if (!list || list.ended) worklists.set(root, (list = new Worklist(root)));
  list.take(data, setTriggerValue);
  return () => worklists.get(root)?.end();
}
