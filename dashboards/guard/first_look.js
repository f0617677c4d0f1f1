// Dark before anything is drawn, where nobody chose: runs in the head of every page, before Streamlit's own code.
//
// In:  what this browser keeps. Out: the choice at this address, where Streamlit 1.67 looks for it.

(() => {
  const at = `stActiveTheme-${window.location.pathname}-v2`;
  try {
    const chosen = window.localStorage.getItem("clinic_mm.look") || JSON.stringify("Dark");
    if (!window.localStorage.getItem(at)) window.localStorage.setItem(at, chosen);
  } catch {
    // a browser that keeps nothing follows the computer
  }
})();
