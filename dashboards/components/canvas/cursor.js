// One time for all viewers of a page: whoever moves it tells the others, in hours before the decision.
//
// In:  hours, and who says so. Out: an event `clinic-mm:cursor` on the window; the last one is kept for who comes later.

const CURSOR_EVENT = "clinic-mm:cursor";

/** Tell every viewer of this page. `hours`: before the decision, null for none; `scope`: the case that is shown. */
export function tellCursor(hours, from, scope) {
  window.clinicMmCursor = { hours, from, scope };
  window.dispatchEvent(new CustomEvent(CURSOR_EVENT, { detail: { hours, from, scope } }));
}

/** Hear of it from the others, and of where it stands already in this case; gives what ends the hearing. */
export function hearCursor(own, scope, does) {
  const heard = (event) => {
    const told = event.detail || {};
    if (told.from !== own && (told.scope ?? scope) === scope && (told.hours === null || Number.isFinite(told.hours))) does(told.hours);
  };
  window.addEventListener(CURSOR_EVENT, heard);
  const last = window.clinicMmCursor;
  if (last && last.scope === scope && Number.isFinite(last.hours)) does(last.hours);
  return () => window.removeEventListener(CURSOR_EVENT, heard);
}

/** `2 h 05 min before`, `1 day 4 h before` the decision. */
export function hoursInWords(hours) {
  const minutes = Math.round(Math.abs(hours) * 60);
  const [days, left] = [Math.floor(minutes / 1440), minutes % 1440];
  const [h, min] = [Math.floor(left / 60), left % 60];
  const parts = days ? [`${days} day${days === 1 ? "" : "s"}`, `${h} h`] : h ? [`${h} h`, `${String(min).padStart(2, "0")} min`] : [`${min} min`];
  return `${parts.join(" ")} ${hours < 0 ? "after" : "before"}`;
}
