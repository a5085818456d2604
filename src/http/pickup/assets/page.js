// Puts the two parts of a delivery together in this browser. Part 1 and the secret stay here: what is sent is the request
// for part 2, the reference of a delivery whose e-mail was pasted by mistake, and the proofs. The rules for what was
// pasted are those of the command line (src/cli/combine), and all sentences stand in the page, in its language.
"use strict";
(() => {
  const page = document.getElementById("delivery");
  if (!page || !window.crypto || !crypto.subtle) return;
  const of = (id) => document.getElementById(id);
  const { reference, shown, application, environment, lang } = page.dataset;
  const labels = [...of("labels").children].map((one) => [one.textContent, one.dataset.clientId]);

  // An e-mail with twenty pairs is a tenth of this.
  const CHARACTERS_MAX = 1024 * 1024;
  const OTHERS_ASKED_MAX = 3;
  const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

  let mail = null; // label → share of the e-mail
  let pickup = null; // label → share of the pickup
  let secrets = null; // label → secret
  let confirmed = false;
  let round = 0;
  const asked = new Map(); // reference of another delivery → the answer, so that each is asked about once

  // ----- sentences

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  const word = (name, values = {}) => fill(of("words").querySelector(`[data-word="${name}"]`).textContent, values);
  const why = (code) => (of("words").querySelector(`[data-why="${code}"]`) ?? of("words").lastElementChild).textContent;
  const minute = (time) => `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;

  function say(id, kind, ...sentences) {
    const place = of(id);
    place.className = `said ${kind}`;
    place.replaceChildren(...sentences.map((sentence) => {
      if (sentence instanceof Node) return sentence;
      const paragraph = document.createElement(place.tagName === "P" ? "span" : "p");
      paragraph.textContent = sentence;
      return paragraph;
    }));
  }

  function linkTo(other) {
    const link = document.createElement("a");
    link.href = `/v1/deliveries/${other.replace("-", "")}?lang=${lang}`;
    link.textContent = word("open", { reference: other });
    const paragraph = document.createElement("p");
    paragraph.append(link);
    return paragraph;
  }

  // ----- what was pasted

  // Spelled out by quoted-printable and by HTML; what nobody sees or what turns the direction of writing; quoting marks.
  const WRITTEN = { "=2D": "-", "=2E": ".", "=5F": "_", "&#46;": "." };
  const NOISE = new RegExp("=(?:2D|2E|5F|20|09|3E|C2=A0|C2=AD|E2=80=8B)?|<(?:wbr|br ?/?)>" +
    "|&(?:gt|nbsp|shy|zwnj|#46|#160|#8203|#x200B);|[\\s\\u0085>|*\\0\\p{Cf}]", "giu");
  const withoutBreaks = (text) => text.replace(NOISE, (found) => WRITTEN[found.toUpperCase()] ?? "");
  const TOKEN = /^tally1\.([\w-]{0,128})\.([\w-]{0,128})\.([\w-]{0,128})\.([\w-]{0,128})\.([0-9a-fA-F]{8})/;

  function crc32(text) {
    let crc = ~0;
    for (let place = 0; place < text.length; place++) {
      crc ^= text.charCodeAt(place);
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
    }
    return ~crc >>> 0;
  }

  function bytesOf(base64url) {
    const plain = base64url.replace(/-/g, "+").replace(/_/g, "/");
    try {
      return Uint8Array.from(atob(plain), (character) => character.charCodeAt(0));
    } catch {
      return null;
    }
  }

  function find(text) {
    const joined = withoutBreaks(text);
    const found = { shares: [], broken: [] };
    const seen = new Set();
    for (let place = joined.indexOf("tally1."); place >= 0; place = joined.indexOf("tally1.", place + 1)) {
      const rest = joined.slice(place, place + 600);
      const match = TOKEN.exec(rest);
      const [, , side, label] = rest.split(".");
      const labelled = rest.split(".").length > 4 ? label : null;
      if (!match) {
        found.broken.push({ side, label: labelled, why: "cut-off" });
      } else if (!seen.has(match[0])) {
        seen.add(match[0]);
        const [token, named, side, label, payload, crc] = match;
        const whole = crc32(token.slice(0, -9)).toString(16).padStart(8, "0") === crc;
        const bytes = whole && ["mail", "pickup"].includes(side) ? bytesOf(payload) : null;
        if (bytes) {
          const plain = named.replace("-", "").toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1");
          found.shares.push({ reference: plain, side, label, bytes });
        } else {
          found.broken.push({ side, label, why: "changed" });
        }
      }
    }
    return found;
  }

  // The shares of this delivery by label, or what is wrong: a word and its values.
  function mailShares({ shares, broken }) {
    const mails = shares.filter((share) => share.side === "mail");
    const own = mails.filter((share) => share.reference === reference);
    const others = [...new Set(mails.map((share) => share.reference))];
    if (!own.length && others.length) return { others };
    if (!own.length && shares.length) return { wrong: ["is-part-2"] };
    if (!own.length) return { wrong: [broken.length ? broken[0].why : "none"] };
    const byLabel = new Map();
    for (const [label] of labels) {
      const here = own.filter((share) => share.label === label);
      if (here.length > 1) return { wrong: ["several", { label }] };
      if (!here.length) {
        const remains = broken.find((one) => one.side !== "pickup" && one.label === label);
        return { wrong: [remains ? `pair-${remains.why}` : "pair-missing", { label }] };
      }
      byLabel.set(label, here[0]);
    }
    return { byLabel };
  }

  // Only the reference of the other delivery is sent, to learn what has become of it.
  async function learnOf(other) {
    if (!asked.has(other)) asked.set(other, ask("GET", `/v1/deliveries/${other}`));
    const answer = await asked.get(other);
    if (!answer.ok && answer.document.code !== "not-found") asked.delete(other);
    return answer;
  }

  async function explainOthers(others, now) {
    const dashed = (plain) => `${plain.slice(0, 4)}-${plain.slice(4)}`;
    const sentences = [];
    for (const other of others.slice(0, OTHERS_ASKED_MAX)) {
      const values = { theirs: dashed(other), ours: shown };
      const answer = /^[0-9A-Z]{8}$/.test(other) ? await learnOf(other) : {};
      const delivery = answer.document;
      if (answer.ok && delivery.replaced_by) {
        values.newer = delivery.replaced_by.reference;
        values.time = minute(delivery.replaced_by.time);
        sentences.push(word("other-replaced", values));
        if (values.newer !== shown) sentences.push(linkTo(values.newer));
      } else if (answer.ok && delivery.state === "mailed") {
        sentences.push(word("other-open", values), linkTo(values.theirs));
      } else {
        sentences.push(word("other", values));
      }
    }
    if (now === round) say("pasted", "wrong", ...sentences);
  }

  function read() {
    // Emptying the field after both parts were put together is news to some browsers.
    if (secrets) return undefined;
    round += 1;
    mail = null;
    const text = of("paste").value;
    if (!text.trim()) return say("pasted", "");
    if (text.length > CHARACTERS_MAX) {
      of("paste").value = "";
      return say("pasted", "wrong", word("too-long"));
    }
    const { byLabel, others, wrong } = mailShares(find(text));
    of("paste").setAttribute("aria-invalid", String(!byLabel));
    if (others) return explainOthers(others, round);
    if (wrong) return say("pasted", "wrong", word(...wrong));
    mail = byLabel;
    if (pickup) return combine();
    return say("pasted", "good", word("fetch-first"));
  }

  // ----- the server

  async function ask(method, target, body) {
    const headers = { Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    try {
      const answer = await fetch(target, { method, headers, body, cache: "no-store", redirect: "error" });
      return { ok: answer.ok, document: await answer.json() };
    } catch {
      return { ok: false, document: { code: "lost" } };
    }
  }

  async function collect(event) {
    event.preventDefault();
    const button = event.target.querySelector("button");
    button.disabled = true;
    say("collected", "", word("fetching"));
    const { ok, document: collected } = await ask("POST", `/v1/deliveries/${reference}/collect`);
    if (!ok) {
      button.disabled = false;
      return say("collected", "wrong", why(collected.code));
    }
    take(collected.shares.map((part) => part.share).join("\n"));
    event.target.hidden = true;
    const before = document.getElementById("fetched-before") ? [] : collected.earlier_fetches.map((fetch) =>
      word("fetched-before", {
        time: minute(fetch.time), address: fetch.address, certificate: fetch.certificate_sha256,
      }));
    say("collected", before.length ? "notice" : "good", word("fetched", { left: collected.fetches_left }), ...before);
    if (mail) combine();
    else of("paste").focus();
  }

  function take(text) {
    pickup = new Map(find(text).shares.map((share) => [share.label, share]));
  }

  // ----- the secret

  function joined(one, other) {
    if (!one || !other || one.bytes.length !== other.bytes.length) return null;
    const bytes = one.bytes.map((byte, place) => byte ^ other.bytes[place]);
    const text = String.fromCharCode(...bytes);
    if (!/^[a-z0-9]{2,8}_(test|prod)_[0-9A-Za-z]{49}$/.test(text)) return null;
    let rest = crc32(text.slice(0, -6));
    let sum = "";
    for (let digit = 0; digit < 6; digit++) {
      sum = BASE62[rest % 62] + sum;
      rest = Math.floor(rest / 62);
    }
    return text.endsWith(sum) ? text : null;
  }

  function combine() {
    const whole = new Map();
    for (const [label] of labels) {
      const secret = joined(mail.get(label), pickup.get(label));
      if (!secret) return say("pasted", "wrong", word("do-not-fit", { label }));
      whole.set(label, secret);
    }
    secrets = whole;
    of("paste").value = "";
    of("pasting").hidden = true;
    say("pasted", "good", word("together"));
    show();
  }

  function show() {
    of("pairs").replaceChildren(...labels.map(([label, clientId], number) => {
      const pair = of("pair").content.cloneNode(true);
      pair.querySelector("legend").textContent = label;
      for (const [place, value] of [clientId, secrets.get(label)].entries()) {
        const field = pair.querySelectorAll("input")[place];
        const name = pair.querySelectorAll("label")[place];
        const button = pair.querySelectorAll("button")[place];
        field.id = `value-${number}-${place}`;
        field.value = value;
        field.addEventListener("focus", () => field.select());
        name.htmlFor = field.id;
        button.setAttribute("aria-label", `${button.textContent} ${name.textContent} (${label})`);
        button.addEventListener("click", () => copy(field, { name: name.textContent, label }));
      }
      return pair;
    }));
    of("later3").hidden = true;
    of("credential").hidden = false;
    of("confirm").disabled = false;
    of("pairs").querySelector("input").focus({ preventScroll: true });
    of("h3").scrollIntoView({ block: "start" });
  }

  async function copy(field, values) {
    try {
      await navigator.clipboard.writeText(field.value);
      say("copied", "", word("copied", values));
    } catch {
      field.focus();
      field.select();
      say("copied", "notice", word("not-copied"));
    }
  }

  // As `tallyd pickup` writes them.
  const sorted = () => [...labels].sort(([one], [other]) => (one < other ? -1 : 1));
  function variable(label) {
    const name = label.toUpperCase().replace(/-/g, "_");
    return /^\d/.test(name) ? `KEY_${name}` : name;
  }
  function env() {
    const lines = sorted().flatMap(([label, clientId]) => [
      `${variable(label)}_CLIENT_ID=${clientId}`, `${variable(label)}_CLIENT_SECRET=${secrets.get(label)}`,
    ]);
    return [`# tallyd delivery ${shown}`, ...lines, ""].join("\n");
  }
  function json() {
    const keys = sorted().map(([label, id]) => [label, { client_id: id, client_secret: secrets.get(label) }]);
    const document = { reference: shown, application_id: application, environment, keys: Object.fromEntries(keys) };
    return `${JSON.stringify(document)}\n`;
  }
  function save(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  async function proof(secret) {
    const text = new TextEncoder();
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", text.encode(secret), algorithm, false, ["sign"]);
    const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", key, text.encode(`tallyd confirm v1\n${reference}`)));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async function confirm() {
    of("confirm").disabled = true;
    say("confirmed", "", word("confirming"));
    const proofs = {};
    for (const [label] of labels) proofs[label] = await proof(secrets.get(label));
    const target = `/v1/deliveries/${reference}/confirm`;
    const { ok, document: receipt } = await ask("POST", target, JSON.stringify({ proofs }));
    if (!ok) {
      of("confirm").disabled = false;
      return say("confirmed", "wrong", why(receipt.code), word("not-confirmed"));
    }
    confirmed = true;
    of("confirm").hidden = true;
    of("later4").hidden = true;
    const previous = receipt.previous_credential_until;
    say("confirmed", "good", word("active", { time: minute(receipt.active_since) }),
      word("receipt", { reference: receipt.reference, application: receipt.application_id }),
      ...(previous ? [word("previous", { time: minute(previous) })] : []));
  }

  // ----- the page

  for (const step of page.querySelectorAll(".scripted")) step.hidden = false;
  of("collect")?.addEventListener("submit", collect);
  of("paste").addEventListener("input", read);
  of("confirm").addEventListener("click", confirm);
  of("save-env").addEventListener("click", () => save(`tallyd-${shown}.env`, "text/plain", env()));
  of("save-json").addEventListener("click", () => save(`tallyd-${shown}.json`, "application/json", json()));
  const parts = [...page.querySelectorAll("[data-part]")].map((part) => part.textContent);
  if (parts.length) take(parts.join("\n"));
  // Whoever leaves now loses a secret that was shown nowhere else.
  window.addEventListener("beforeunload", (event) => {
    if (secrets && !confirmed) event.preventDefault();
  });
})();
