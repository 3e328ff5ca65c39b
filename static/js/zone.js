/* Tells the server the reader's time zone, so that cards say their times in it; the server checks the name. */
const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
const kept = document.cookie.split("; ").find((pair) => pair.startsWith("tz="));
if (name && kept !== `tz=${name}`) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `tz=${name}; path=/; max-age=31536000; samesite=lax${secure}`;
}
