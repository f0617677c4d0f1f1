// The record over time: one lane for each kind of event and each laboratory value, the decision on the right.
//
// In:  lanes, keys. Out: a canvas, the fact under the pointer or the keyboard in words; the shared time cursor.
//
// Every fact can be reached by keys; what is drawn is said too. Text of the record is drawn or set as text.

import { hearCursor, hoursInWords, tellCursor } from "./cursor.js";
import { Mouse, actionOf, helpPanel, make } from "./gestures.js";
import { isDark } from "./theme.js";
import { factWords, firstSpan, hoursAtX, laneWords, nearest, reachOf, spanWords, spansOf, ticksOf, xOf } from "./timeline_place.js";

const NAMES_PX = 190;
const LANE_PX = { events: 26, numbers: 46 };
const AXIS_PX = 22;
const TIMELINE_FONT = "12px system-ui, sans-serif";
const timelineIds = { next: 0 };

class Timeline {
  constructor(root, data) {
    this.root = root;
    this.id = `timeline-${(timelineIds.next += 1)}`;
    this.cursorH = null;
    this.at = { lane: 0, fact: -1 };
    this.cleanups = [];
    this.canvas = make("canvas", { class: "timeline", tabindex: 0, role: "application", "aria-roledescription": "Timeline", "aria-label": "Record over time: arrow keys go from fact to fact" });
    this.said = make("output", { class: "timeline-said", "aria-live": "polite" });
    this.note = make("p", { class: "timeline-note" });
    this.span = make("select", { "aria-label": "Time before the decision", onchange: () => this.setSpan(Number(this.span.value)) });
    const keys = make("button", { type: "button", onclick: () => this.act("help") }, "Keys ?");
    this.help = helpPanel(data.keymap, new Mouse("timeline", data.keymap.mouse, window.localStorage), () => this.act("help"));
    const tools = make("div", { class: "tools", role: "toolbar", "aria-label": "Timeline tools" }, make("label", {}, make("span", {}, "Shown"), this.span), keys);
    root.replaceChildren(tools, this.canvas, this.said, this.note, this.help);
    this.take(data);
    this.listen();
  }

  take(data) {
    this.data = data;
    this.lanes = data.lanes;
    this.spans = spansOf(this.lanes);
    if (!this.spans.includes(this.spanH)) this.spanH = firstSpan(this.lanes, this.spans);
    this.span.replaceChildren(...this.spans.map((one) => make("option", { value: one, selected: one === this.spanH }, `last ${spanWords(one)}`)));
    const told = [];
    if (!data.decision) told.push("No decision time is known: hours count from the newest fact");
    if (data.undated) told.push(`${data.undated} facts have no date and stand in the table only`);
    if (data.left_out) told.push(`${data.left_out} older facts are left out`);
    if (data.lanes_left_out) told.push(`${data.lanes_left_out} rarer values stand in the table only`);
    if (data.after) told.push(`${data.after} facts lie after the decision`);
    this.note.textContent = told.join(" · ");
    this.draw();
  }

  setSpan(spanH) {
    this.spanH = spanH;
    this.span.value = String(spanH);
    this.draw();
    this.say(`The last ${spanWords(spanH)}`);
  }

  end() {
    this.ended = true;
    this.cleanups.forEach((clean) => clean());
  }

  say(words) {
    this.said.textContent = words;
  }

  // --- drawing -----------------------------------------------------------------------------------------------------

  draw() {
    const wide = Math.max(360, this.root.clientWidth);
    const ratio = window.devicePixelRatio || 1;
    let top = 4;
    this.places = this.lanes.map((lane) => {
      const place = { top, high: LANE_PX[lane.kind] };
      top += place.high;
      return place;
    });
    this.wide = wide;
    this.high = top + AXIS_PX;
    this.canvas.width = Math.round(wide * ratio);
    this.canvas.height = Math.round(this.high * ratio);
    this.canvas.style.width = `${wide}px`;
    this.canvas.style.height = `${this.high}px`;
    const ctx = this.canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    const colours = this.colours();
    ctx.fillStyle = colours.paper;
    ctx.fillRect(0, 0, wide, this.high);
    this.drawTicks(ctx, colours);
    this.lanes.forEach((lane, i) => this.drawLane(ctx, lane, this.places[i], colours, i));
    this.drawLines(ctx, colours);
    this.root.dataset.state = "open";
  }

  colours() {
    const style = getComputedStyle(this.root);
    const paper = style.getPropertyValue("--st-background-color").trim();
    this.root.classList.toggle("dark", isDark(paper));
    const take = (name) => getComputedStyle(this.root).getPropertyValue(name).trim();
    return { paper: paper || take("--tl-paper"), ink: take("--tl-ink"), faint: take("--tl-faint"), grid: take("--tl-grid"), band: take("--tl-band"), alarm: take("--tl-alarm"), cursor: take("--tl-cursor"), line: take("--tl-line") };
  }

  get plot() {
    return this.wide - NAMES_PX - 4;
  }

  x(hours) {
    return xOf(hours, this.spanH, NAMES_PX, this.plot);
  }

  drawTicks(ctx, colours) {
    ctx.font = "11px system-ui, sans-serif";
    ctx.textAlign = "center";
    for (const [h, words] of ticksOf(this.spanH)) {
      const x = Math.round(this.x(h)) + 0.5;
      ctx.strokeStyle = colours.grid;
      ctx.beginPath();
      ctx.moveTo(x, 0);
      ctx.lineTo(x, this.high - AXIS_PX);
      ctx.stroke();
      ctx.fillStyle = colours.faint;
      ctx.fillText(words, Math.min(Math.max(x, NAMES_PX + 16), this.wide - 24), this.high - 7);
    }
  }

  drawLane(ctx, lane, place, colours, index) {
    ctx.strokeStyle = colours.grid;
    ctx.beginPath();
    ctx.moveTo(0, place.top + place.high - 0.5);
    ctx.lineTo(this.wide, place.top + place.high - 0.5);
    ctx.stroke();
    ctx.fillStyle = colours.ink;
    ctx.font = TIMELINE_FONT;
    ctx.textAlign = "left";
    const middle = place.top + place.high / 2;
    ctx.fillText(lane.name, 4, middle + (lane.kind === "numbers" ? -2 : 4), NAMES_PX - 12);
    if (lane.kind === "numbers") {
      ctx.fillStyle = colours.faint;
      ctx.font = "11px system-ui, sans-serif";
      ctx.fillText(laneWords(lane), 4, middle + 13, NAMES_PX - 12);
    }
    ctx.save();
    ctx.beginPath();
    ctx.rect(NAMES_PX, 0, this.plot, this.high);
    ctx.clip();
    if (lane.kind === "numbers") this.drawNumbers(ctx, lane, place, colours, index);
    else this.drawEvents(ctx, lane, place, colours, index);
    ctx.restore();
  }

  y(lane, place, value) {
    const [low, high] = reachOf(lane, this.spanH);
    return place.top + place.high - 3 - ((value - low) / (high - low)) * (place.high - 6);
  }

  drawNumbers(ctx, lane, place, colours, index) {
    if (lane.low !== null || lane.high !== null) {
      const top = lane.high === null ? place.top + 1 : this.y(lane, place, lane.high);
      const bottom = lane.low === null ? place.top + place.high - 2 : this.y(lane, place, lane.low);
      ctx.fillStyle = colours.band;
      ctx.fillRect(NAMES_PX, top, this.plot, Math.max(1, bottom - top));
    }
    ctx.strokeStyle = colours.line;
    ctx.lineWidth = 1.2;
    ctx.beginPath();
    lane.facts.forEach((fact, i) => {
      const [x, y] = [this.x(fact.hours), this.y(lane, place, fact.value)];
      if (i) ctx.lineTo(x, y);
      else ctx.moveTo(x, y);
    });
    ctx.stroke();
    lane.facts.forEach((fact, i) => {
      const [x, y] = [this.x(fact.hours), this.y(lane, place, fact.value)];
      this.drawFact(ctx, x, y, fact, this.at.lane === index && this.at.fact === i, colours);
    });
  }

  drawEvents(ctx, lane, place, colours, index) {
    const y = place.top + place.high / 2;
    let free = NAMES_PX;
    lane.facts.forEach((fact, i) => {
      const x = this.x(fact.hours);
      this.drawFact(ctx, x, y, fact, this.at.lane === index && this.at.fact === i, colours);
      ctx.font = "11px system-ui, sans-serif";
      const wide = Math.min(170, ctx.measureText(fact.words).width);
      const next = lane.facts[i + 1] ? this.x(lane.facts[i + 1].hours) : this.wide;
      const right = next - x > wide + 14 && x + wide + 10 < this.wide;
      if (x + 8 < free || (!right && x - wide - 14 < free)) return;
      ctx.fillStyle = colours.ink;
      ctx.textAlign = right ? "left" : "right";
      ctx.fillText(fact.words, right ? x + 8 : x - 8, y + 4, 170);
      free = right ? x + wide + 16 : x + 8;
    });
  }

  /** A dot; a flagged one is a triangle with another colour, so that colour alone tells nothing. */
  drawFact(ctx, x, y, fact, chosen, colours) {
    ctx.fillStyle = fact.alarm ? colours.alarm : colours.line;
    ctx.beginPath();
    if (fact.alarm) {
      const up = fact.flag.startsWith("L") ? 1 : -1;
      ctx.moveTo(x, y + 6 * up);
      ctx.lineTo(x - 5, y - 4 * up);
      ctx.lineTo(x + 5, y - 4 * up);
      ctx.closePath();
    } else {
      ctx.arc(x, y, 3.5, 0, 2 * Math.PI);
    }
    ctx.fill();
    if (!chosen) return;
    ctx.strokeStyle = colours.cursor;
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.arc(x, y, 8, 0, 2 * Math.PI);
    ctx.stroke();
  }

  drawLines(ctx, colours) {
    if (this.data.decision) {
      ctx.fillStyle = colours.ink;
      ctx.fillRect(Math.round(this.x(0)), 0, 2, this.high - AXIS_PX);
    }
    if (this.cursorH === null || this.cursorH > this.spanH) return;
    ctx.fillStyle = colours.cursor;
    ctx.fillRect(Math.round(this.x(this.cursorH)), 0, 1.5, this.high - AXIS_PX);
  }

  // --- keys and pointer --------------------------------------------------------------------------------------------

  act(action) {
    const lane = this.lanes[this.at.lane];
    if (action === "help") {
      this.help.hidden = !this.help.hidden;
      (this.help.hidden ? this.canvas : this.help.querySelector("button")).focus();
      return true;
    }
    const spans = { closer: -1, wider: 1 };
    if (action in spans) {
      const place = this.spans.indexOf(this.spanH) + spans[action];
      if (this.spans[place]) this.setSpan(this.spans[place]);
      return true;
    }
    if (!lane) return false;
    const hours = lane.facts[this.at.fact] ? lane.facts[this.at.fact].hours : this.cursorH ?? 0;
    const lanes = { down: 1, up: -1 };
    if (action in lanes) {
      const next = Math.min(this.lanes.length - 1, Math.max(0, this.at.lane + lanes[action]));
      return this.choose(next, nearest(this.lanes[next], hours));
    }
    const last = lane.facts.length - 1;
    const facts = { next: Math.min(last, this.at.fact + 1), last: this.at.fact < 0 ? last : Math.max(0, this.at.fact - 1), first: 0, end: last };
    if (!(action in facts)) return false;
    return this.choose(this.at.lane, facts[action]);
  }

  /** Say a fact, and move the time cursor of the page to it. */
  choose(lane, fact, tell = true) {
    this.at = { lane, fact };
    const found = this.lanes[lane].facts[fact];
    if (!found) return true;
    if (found.hours > this.spanH) this.spanH = this.spans.find((one) => one >= found.hours) || this.spanH;
    this.span.value = String(this.spanH);
    this.say(`${factWords(this.lanes[lane], found)} · ${hoursInWords(found.hours)} the decision`);
    if (tell) this.tell(found.hours);
    this.draw();
    return true;
  }

  tell(hours) {
    this.cursorH = hours;
    tellCursor(hours, this.id, this.data.case);
  }

  pointed(event) {
    const lane = this.places.findIndex((place) => event.offsetY >= place.top && event.offsetY < place.top + place.high);
    if (lane < 0 || event.offsetX < NAMES_PX) return null;
    const hours = hoursAtX(event.offsetX, this.spanH, NAMES_PX, this.plot);
    const fact = nearest(this.lanes[lane], hours);
    const near = fact >= 0 && Math.abs(this.x(this.lanes[lane].facts[fact].hours) - event.offsetX) <= 12;
    return { lane, fact: near ? fact : -1, hours };
  }

  listen() {
    this.canvas.addEventListener("keydown", (event) => {
      const action = actionOf(this.data.keymap, event);
      if (action && this.act(action)) {
        event.preventDefault();
        event.stopPropagation();
      }
    });
    this.help.addEventListener("keydown", (event) => event.key === "Escape" && this.act("help"));
    this.canvas.addEventListener("pointermove", (event) => {
      const found = this.pointed(event);
      if (found && found.fact >= 0 && (found.lane !== this.at.lane || found.fact !== this.at.fact)) this.choose(found.lane, found.fact, false);
    });
    this.canvas.addEventListener("pointerdown", (event) => {
      const found = this.pointed(event);
      if (!found) return;
      if (found.fact >= 0) this.choose(found.lane, found.fact);
      else {
        this.tell(Math.max(0, found.hours));
        this.say(`${hoursInWords(this.cursorH)} the decision`);
        this.draw();
      }
    });
    this.cleanups.push(
      hearCursor(this.id, this.data.case, (hours) => {
        this.cursorH = hours;
        this.draw();
      }),
    );
    const resized = new ResizeObserver(() => {
      if (Math.abs(this.root.clientWidth - this.wide) > 1 && this.root.clientWidth > 0) this.draw();
    });
    resized.observe(this.root);
    this.cleanups.push(() => resized.disconnect());
  }
}

const timelines = new WeakMap();

/** What Streamlit calls at first, and again whenever Python or the theme says something new. */
export default function timeline({ parentElement, data }) {
  const root = parentElement.querySelector(".viewer");
  const known = timelines.get(root);
  if (known && !known.ended) known.take(data);
  else timelines.set(root, new Timeline(root, data));
  return () => timelines.get(root)?.end();
}
