// Takes the page off the screen when the session is over: whoever walks by must not read what another left open.
// In: nothing. Out: the sign-in page in place of this one, within half a minute of the end of the session.

const EVERY_MS = 20000;

async function look() {
  try {
    const answer = await fetch("/session", { cache: "no-store", credentials: "same-origin" });
    if (answer.status === 401) window.location.replace("/sign-in");
  } catch {
    // The server cannot be reached: Streamlit says so itself.
  }
}

export default function () {
  const every = window.setInterval(look, EVERY_MS);
  return () => window.clearInterval(every);
}
