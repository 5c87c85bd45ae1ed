// The web socket: comes back by itself, and says when nobody answers.

const BEAT = 2000; // milliseconds between two questions whether anybody is there
const DEAD = 6000; // without an answer

export class Link {
  constructor(onText, onFrame, onAlive) {
    Object.assign(this, { onText, onFrame, onAlive });
    this.alive = false;
    this.heard = 0;
    this.wait = 500;
    this.open();
    setInterval(() => this.beat(), BEAT);
  }

  open() {
    const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/");
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.wait = 500;
      this.send({ do: "hello", ...me() });
      this.send({ do: "ping" });
    };
    socket.onmessage = (event) => this.hear(event.data);
    socket.onclose = () => {
      if (socket !== this.socket) return;
      this.tell(false);
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(2 * this.wait, 4000);
    };
    this.socket = socket;
  }

  hear(data) {
    this.heard = performance.now();
    this.tell(true);
    if (typeof data === "string") this.onText(JSON.parse(data));
    else this.onFrame(...unpack(data));
  }

  beat() {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.send({ do: "ping" });
    if (performance.now() - this.heard > DEAD) this.tell(false);
  }

  tell(alive) {
    if (alive === this.alive) return;
    this.alive = alive;
    this.onAlive(alive);
  }

  send(request) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(request));
    return true;
  }
}

const PERSON = "iseg3d.person";

// Whose browser this is: what the server knows it by, and the name that others see.
export function me(changes = {}) {
  const kept = JSON.parse(localStorage.getItem(PERSON) ?? "null") ?? { person: Math.random().toString(36).slice(2), name: "" };
  localStorage.setItem(PERSON, JSON.stringify({ ...kept, ...changes }));
  return { ...kept, ...changes };
}

const KINDS = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array };
const aligned = (offset) => Math.ceil(offset / 8) * 8;

// The header and the arrays of a binary frame, in place: see wire.py.
export function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const arrays = {};
  let offset = aligned(4 + size);
  for (const [name, kind, count] of header.arrays) {
    arrays[name] = new KINDS[kind](buffer, offset, count);
    offset = aligned(offset + arrays[name].byteLength);
  }
  return [header, arrays];
}
