// Light or dark: viewers that draw on a canvas take their colours from the page, which says only how it looks.
//
// In:  a colour as Streamlit's theme writes it. Out: whether it is a dark one.

export function isDark(colour) {
  const hex = /^\s*#([0-9a-f]{6})/i.exec(colour);
  const parts = hex ? hex[1].match(/../g).map((one) => parseInt(one, 16)) : (colour.match(/[\d.]+/g) || [0, 0, 0]).slice(0, 3).map(Number);
  return 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] < 128;
}
