/* Passkeys: forms with data-passkey="get|create" ask the device and send its answer in the field `credential`.
   The options stand in data-options, or are fetched from data-options-url. The forms are hidden without this script. */
import { all, one } from "./dom.js";

const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const toText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const withBytes = (list) => (list ?? []).map((item) => ({ ...item, id: toBytes(item.id) }));

async function optionsOf(form) {
  if (form.dataset.options) return JSON.parse(form.dataset.options).publicKey;
  const answer = await fetch(form.dataset.optionsUrl, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return (await answer.json()).request_options.publicKey;
}

async function ask(options) {
  const publicKey = { ...options, challenge: toBytes(options.challenge), allowCredentials: withBytes(options.allowCredentials) };
  const found = await navigator.credentials.get({ publicKey });
  const { clientDataJSON, authenticatorData, signature, userHandle } = found.response;
  return answerOf(found, {
    clientDataJSON: toText(clientDataJSON),
    authenticatorData: toText(authenticatorData),
    signature: toText(signature),
    userHandle: userHandle ? toText(userHandle) : null,
  });
}

async function make(options) {
  const publicKey = {
    ...options,
    challenge: toBytes(options.challenge),
    user: { ...options.user, id: toBytes(options.user.id) },
    excludeCredentials: withBytes(options.excludeCredentials),
    // A passkey can be found without a name: it signs in by itself.
    authenticatorSelection: { ...options.authenticatorSelection, residentKey: "required", requireResidentKey: true },
  };
  const made = await navigator.credentials.create({ publicKey });
  const { clientDataJSON, attestationObject } = made.response;
  return answerOf(made, {
    clientDataJSON: toText(clientDataJSON),
    attestationObject: toText(attestationObject),
    transports: made.response.getTransports?.() ?? [],
  });
}

const answerOf = (credential, response) => ({
  id: credential.id,
  rawId: toText(credential.rawId),
  type: credential.type,
  authenticatorAttachment: credential.authenticatorAttachment ?? null,
  clientExtensionResults: credential.getClientExtensionResults(),
  response,
});

const SENTENCES = {
  NotAllowedError: "No passkey was used: it was cancelled, took too long, or this device has none for this site.",
  InvalidStateError: "This device has a passkey for your account already.",
  SecurityError: "Passkeys belong to this site's own address, and this page was opened under another one.",
};

function told(form, text) {
  const place = one("[data-passkey-error]", form);
  place.hidden = !text;
  place.textContent = text;
}

function start(form) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = one("button", form);
    button.disabled = true;
    told(form, "");
    try {
      const options = await optionsOf(form);
      form.elements.credential.value = JSON.stringify(await (form.dataset.passkey === "create" ? make(options) : ask(options)));
      form.submit();
    } catch (error) {
      told(form, `${SENTENCES[error.name] ?? "The passkey could not be read."} Nothing was sent.`);
      button.disabled = false;
    }
  });
}

if (window.PublicKeyCredential) all("form[data-passkey]").forEach(start);
else all("[data-passkey-missing]").forEach((element) => { element.hidden = false; });
