/* Finding elements, storage that may be refused, and what is said to screen readers. */
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
export const one = (selector, root = document) => root.querySelector(selector);
export const stored = (area, key, value) => {
  // Private modes refuse storage; the page goes on without memory.
  try {
    if (value === undefined) return area.getItem(key);
    if (value === null) area.removeItem(key);
    else area.setItem(key, value);
  } catch { /* nothing to do */ }
  return null;
};
/** Say it politely, once: the same words again are not news. */
export const say = (text) => {
  const place = document.getElementById("live");
  if (place && place.textContent !== text) place.textContent = text;
};
