/* Finding elements, and storage that may be refused. */
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
