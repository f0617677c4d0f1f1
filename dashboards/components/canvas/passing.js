// A turn of the wheel that began elsewhere scrolls the page past a viewer: it is not meant for it.
//
// In:  the wheel of the whole page. Out: whether the turn that goes on now began on an element.

const PAUSE_MS = 250; // after which the next notch is another turn
const turn = { path: [], last: -Infinity };

globalThis.addEventListener?.("wheel", (event) => {
  if (event.timeStamp - turn.last > PAUSE_MS) turn.path = event.composedPath();
  turn.last = event.timeStamp;
}, { capture: true, passive: true });

/** Whether the turn of the wheel that goes on now began elsewhere. */
export function passingBy(element) {
  return !turn.path.includes(element);
}
