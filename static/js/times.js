/* Times in the reader's zone, clocks that run silently. */
import { all } from "./dom.js";

/* Times: absolute in the reader's zone, named; relative beside it */
// Plain English without a country would put the month first.
const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
const absolute = new Intl.DateTimeFormat(language, {
  weekday: "short", day: "numeric", month: "short", year: "numeric",
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short",
});
const short = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" });
// A deadline: to the minute, with its day where that is not today.
const minute = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short" });
const dayAndMinute = new Intl.DateTimeFormat(language, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short" });
const deadline = (at, now) => (at.toDateString() === new Date(now).toDateString() ? minute : dayAndMinute);
// "Sat 21 Nov", as the server writes it, without the comma after the day's name.
const written = (format, at) => format.format(at).replace(/^(\p{L}+),/u, "$1");
export const span = (seconds) => {
  const size = Math.abs(seconds);
  if (size < 60) return `${Math.round(size)} s`;
  if (size < 5400) return `${Math.round(size / 60)} min`;
  if (size < 172800) return `${Math.round(size / 3600)} h`;
  return `${Math.round(size / 86400)} days`;
};
const relative = (seconds) => (seconds >= 0 ? `in ${span(seconds)}` : `${span(seconds)} ago`);

export function showTimes() {
  const now = Date.now();
  for (const element of all("time[datetime][data-relative], time[datetime][data-clock]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    const format = element.dataset.clock === "day" ? deadline(at, now) : element.hasAttribute("data-clock") ? short : absolute;
    const words = written(format, at);
    const text = element.dataset.relative === undefined ? words : `${words} (${relative((at - now) / 1000)})`;
    if (element.textContent !== text) element.textContent = text;
  }
  for (const element of all("[data-ago]")) {
    element.textContent = span((now - new Date(element.dataset.ago)) / 1000);
  }
  for (const element of all("[data-until]")) {
    const left = Math.max(0, (new Date(element.dataset.until) - now) / 1000);
    const minutes = Math.floor(left / 60);
    element.textContent = minutes ? `${minutes}:${String(Math.floor(left % 60)).padStart(2, "0")}` : `${Math.ceil(left)} s`;
    // A clock that ran out asks the server what holds now; the page never decides by itself.
    if (left === 0 && element.dataset.done === undefined) {
      element.dataset.done = "";
      document.body.dispatchEvent(new CustomEvent("guardsite:due", { bubbles: true }));
    }
  }
}
