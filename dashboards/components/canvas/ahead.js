// Ask the server to decode what will be opened soon: one case after the other, once each, with the reader's own rights.
//
// In:  keys of cases, the next first. Out: nothing to see; a refusal is left to the page of the case.

const asked = new Set();

export default function ({ data }) {
  let ended = false;
  (async () => {
    for (const key of data.cases) {
      if (ended) return;
      if (asked.has(key)) continue;
      asked.add(key);
      await fetch(`/v1/case/${encodeURIComponent(key)}/ahead`, { credentials: "same-origin", priority: "low" }).catch(() => null);
    }
  })();
  return () => (ended = true);
}
