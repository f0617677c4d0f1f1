// Ask the server for what is guarded.
//
// In:  an address of this server. Out: the answer; or `Refused`, whose message is in our words and fit to be shown.

export class Refused extends Error {}

/** Fetch a guarded address; nothing is kept by the browser. */
export async function ask(address, fetcher = fetch) {
  let answer;
  try {
    answer = await fetcher(address, { credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new Refused("The server does not answer");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) throw new Refused("Your session has ended: sign in again");
  if (answer.status === 403) throw new Refused("Your roles do not include this");
  const told = await answer.json().catch(() => null);
  const mend = told && typeof told.mend === "string" && told.mend ? `. ${told.mend}` : "";
  throw new Refused(told && typeof told.what === "string" ? told.what + mend : `The server cannot show this (${answer.status})`);
}
