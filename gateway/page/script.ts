/** What the page does: one program, named by its hash in the policy; it asks this gateway and nobody else. */
export const SCRIPT = String.raw`
(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const plans = JSON.parse(at("plans").textContent);
  const [model, log, text, most, send, stop] = ["model", "log", "text", "most", "send", "stop"].map(at);
  let token = "";
  let running;
  let said = [];

  const plan = () => plans[model.selectedIndex];
  const amount = (bytes) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let [i, size] = [0, bytes];
    while (size >= 1000 && i < units.length - 1) [i, size] = [i + 1, size / 1000];
    return (i === 0 ? size : size.toPrecision(3)) + " " + units[i];
  };
  const time = (seconds) => (seconds < 1 ? Math.round(seconds * 1000) + " ms" : seconds.toPrecision(3) + " s");
  const put = (id, value) => { at(id).textContent = value; };

  const ask = (path, body, signal) => {
    const json = body && { "content-type": "application/json" };
    const headers = { ...json, ...(token && { authorization: "Bearer " + token }) };
    return fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  };

  /** The events of a stream, as objects, until it ends. */
  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const line = part.split("\n").find((each) => each.startsWith("data: "));
        if (line && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
      }
    }
  }

  const add = (kind, words) => {
    const item = document.createElement("li");
    item.className = kind;
    item.textContent = words;
    log.append(item);
    item.scrollIntoView({ block: "nearest" });
    return item;
  };

  const choose = () => {
    const { kind, chat, length, size, rounds, bytes, seconds, network } = plan();
    for (const id of ["text", "what", "send", "keys"]) at(id).hidden = size !== undefined;
    at("drop").hidden = size === undefined;
    const writes = kind === "text";
    put("what", !writes ? "Text" : chat ? "Message" : "The text begins with");
    at("limit").hidden = !writes;
    most.max = length;
    put("speed", "–");
    put("speedOf", writes ? "tokens a second" : "answers a second");
    for (const id of ["rounds", "bytes", "seconds"]) put(id, "–");
    const each = writes ? " a token" : "";
    put("roundsOf", "rounds; predicted " + rounds + each);
    put("bytesOf", "over all parties; predicted " + amount(bytes) + each);
    put("secondsOf", "predicted " + time(seconds) + each + " on " + network);
    text.placeholder = writes ? "At most " + length + " tokens with the answer" : "At most " + length + " tokens";
  };

  const show = (cost) => {
    const { tokens, rounds, bytes, seconds, predicted } = cost;
    const speed = (tokens ?? 1) / seconds;
    put("speed", speed < 100 ? speed.toPrecision(3) : String(Math.round(speed)));
    put("rounds", String(rounds));
    put("bytes", amount(bytes));
    put("seconds", time(seconds));
    put("roundsOf", "rounds; predicted " + predicted.rounds);
    put("bytesOf", "over all parties; predicted " + amount(predicted.bytes));
  };

  const problem = async (response) => {
    if (response.status === 401) at("login").hidden = false;
    const body = await response.json().catch(() => ({}));
    return body.error?.message ?? "no answer (" + response.status + ")";
  };

  /** Lets the model write; the pieces go into the item as they come. */
  const write = async (words, item, signal) => {
    const { id, chat } = plan();
    const messages = [...said, { role: "user", content: words }];
    const asked = chat ? { messages } : { prompt: words };
    const body = { model: id, stream: true, max_tokens: Number(most.value), ...asked };
    const response = await ask(chat ? "/v1/chat/completions" : "/v1/completions", body, signal);
    if (!response.ok) throw new Error(await problem(response));
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      if (event.pumac) show(event.pumac);
      const [choice] = event.choices;
      item.textContent += choice ? choice.delta?.content ?? choice.text ?? "" : "";
      item.scrollIntoView({ block: "nearest" });
    }
    said = [...messages, { role: "assistant", content: item.textContent }];
  };

  const table = (item, rows) => {
    const body = document.createElement("table");
    for (const [name, score] of rows) {
      const row = body.insertRow();
      row.insertCell().textContent = name;
      row.insertCell().textContent = score.toFixed(4);
    }
    item.replaceChildren(body);
  };

  const judge = async (input, item, signal) => {
    const { id, kind } = plan();
    const path = kind === "class" ? "/v1/classify" : "/v1/embeddings";
    const response = await ask(path, { model: id, input }, signal);
    if (!response.ok) throw new Error(await problem(response));
    const { data: [answer], pumac } = await response.json();
    show(pumac);
    if (kind === "class") table(item, Object.entries(answer.scores));
    else {
      const first = answer.embedding.slice(0, 6).map((x) => x.toFixed(4));
      item.textContent = answer.embedding.length + " numbers: " + first.join("  ") + " …";
    }
  };

  /** Does the work of one question, which is shown as the item, and gives what was asked back where it fails. */
  const during = async (work, giveBack) => {
    running = new AbortController();
    [send.disabled, stop.disabled] = [true, false];
    const item = add("waiting", "");
    sessions.clear();
    try {
      await work(item, running.signal);
    } catch (error) {
      if (running.signal.aborted) item.textContent += " (stopped)";
      else {
        item.classList.add("bad");
        item.textContent += (item.textContent ? "\n" : "") + error.message;
        giveBack();
      }
    }
    item.classList.remove("waiting");
    running = undefined;
    [send.disabled, stop.disabled] = [false, true];
    text.focus();
  };

  const submit = async () => {
    const words = text.value;
    if (running || words.trim() === "" || text.hidden) return;
    at("you").querySelector("q").textContent = words;
    add("mine", words);
    text.value = "";
    const work = plan().kind === "text" ? write : judge;
    await during((item, signal) => work(words, item, signal), () => { text.value = words; });
  };

  /** A picture, its middle cut out and scaled to what the plan takes, as bytes of red, green and blue. */
  const picture = async (file) => {
    const { width, height } = plan().size;
    const image = await createImageBitmap(file);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const scale = Math.max(width / image.width, height / image.height);
    const [w, h] = [image.width * scale, image.height * scale];
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
    const { data } = pen.getImageData(0, 0, width, height);
    let bytes = "";
    for (let i = 0; i < data.length; i++) if (i % 4 !== 3) bytes += String.fromCharCode(data[i]);
    add("mine", "").append(canvas);
    at("you").querySelector("q").textContent = file.name;
    return { image: btoa(bytes) };
  };

  const lookAt = async (file) => {
    if (running || file === undefined || plan().size === undefined) return;
    const input = picture(file);
    await input.catch(() => undefined);
    await during(async (item, signal) => judge(await input, item, signal), () => undefined);
  };

  /** Each token is a session of its own: what came in earlier ones of this answer. */
  const sessions = new Map();
  const total = ({ at: row, bytes }) => {
    const { before, last } = sessions.get(row) ?? { before: 0, last: 0 };
    const now = { before: bytes < last ? before + last : before, last: bytes };
    sessions.set(row, now);
    return now.before + bytes;
  };

  /** Eight bits of noise a column: what came, older to the left. */
  const strips = new Map();
  const draw = (canvas, bytes) => {
    const [width, height] = [canvas.width, canvas.height];
    const all = [...(strips.get(canvas) ?? []), ...bytes].slice(-width);
    strips.set(canvas, all);
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = getComputedStyle(canvas).color;
    all.forEach((byte, x) => {
      for (let bit = 0; bit < height; bit++) if ((byte >> bit) & 1) pen.fillRect(width - all.length + x, bit, 1, 1);
    });
  };

  const look = async () => {
    const response = await ask("/live");
    if (!response.ok) return;
    for await (const glimpse of events(response)) {
      const row = at(glimpse.at);
      if (!row || !glimpse.words) continue;
      const bytes = glimpse.words.match(/../g).map((two) => parseInt(two, 16));
      const round = glimpse.rounds ? ", round " + glimpse.rounds : "";
      const way = glimpse.at === "sent" ? " left here" : ", last from " + glimpse.from;
      row.querySelector(".amount").textContent = amount(total(glimpse)) + round + way;
      row.querySelector("code").textContent = glimpse.words.match(/.{1,4}/g).join(" ");
      draw(row.querySelector("canvas"), bytes);
    }
  };

  at("file").addEventListener("change", () => { lookAt(at("file").files[0]); at("file").value = ""; });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    at("drop").addEventListener(kind, (event) => {
      event.preventDefault();
      at("drop").classList.toggle("over", kind === "dragover");
      if (kind === "drop") lookAt(event.dataTransfer.files[0]);
    });
  }
  for (const { id } of plans) model.add(new Option(id));
  model.addEventListener("change", () => { said = []; log.replaceChildren(); choose(); });
  at("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  at("fresh").addEventListener("click", () => { said = []; log.replaceChildren(); choose(); text.focus(); });
  stop.addEventListener("click", () => running?.abort());
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); }
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") running?.abort(); });
  at("login").addEventListener("submit", (event) => {
    event.preventDefault();
    token = at("token").value;
    at("login").hidden = true;
    look();
    text.focus();
  });
  at("P0") && (at("P0").querySelector(".amount").textContent = "seeds only: nothing of your text");
  choose();
  look().catch(() => undefined);
})();
`;
