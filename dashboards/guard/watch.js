// Takes the page off the screen when the session is over: whoever walks by must not read what another left open.
// In: data.over, true when the server knows already. Out: the sign-in page, at once or within half a minute of the end.

const EVERY_MS = 20000;

function leave() {
  window.location.replace("/sign-in");
}

async function look() {
  try {
    const answer = await fetch("/session", { cache: "no-store", credentials: "same-origin" });
    if (answer.status === 401) leave();
  } catch {
    // The server cannot be reached: Streamlit says so itself.
  }
}

export default function ({ data }) {
  if (data && data.over) leave();
  const every = window.setInterval(look, EVERY_MS);
  return () => window.clearInterval(every);
}
