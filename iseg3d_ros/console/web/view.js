// Draws a cloud with WebGL 2, no more often than something has changed.

import { BALLS, POINTS, SHADE } from "./shaders.js";

const GROUNDS = { dark: [[0.075, 0.086, 0.106], [0.13, 0.145, 0.17]], light: [[0.93, 0.945, 0.96], [0.84, 0.86, 0.885]] };
const SHARP = 1.5; // pixels of a screen for one of the page, at most
const FULL = 65536; // labels that the palette has room for

export class View {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2", { antialias: false, alpha: false, powerPreference: "high-performance" });
    if (!this.gl) return;
    const gl = this.gl;
    [this.points, this.balls, this.shade] = [POINTS, BALLS, SHADE].map((sources) => program(gl, ...sources));
    this.buffers = new WeakMap();
    this.palette = texture(gl, gl.RGBA8, 256, 256);
    this.ballArray = gl.createVertexArray();
    this.ballPlaces = gl.createBuffer();
    this.ballColours = gl.createBuffer();
    this.empty = gl.createVertexArray();
    this.calls = 0;
    this.resize();
  }

  resize() {
    const gl = this.gl, ratio = Math.min(window.devicePixelRatio || 1, SHARP);
    const { clientWidth, clientHeight } = this.canvas;
    const [wide, tall] = [Math.max(1, Math.round(clientWidth * ratio)), Math.max(1, Math.round(clientHeight * ratio))];
    this.ratio = ratio;
    if (this.canvas.width === wide && this.canvas.height === tall && this.target) return;
    Object.assign(this.canvas, { width: wide, height: tall });
    if (this.target) for (const old of [this.image, this.depths]) gl.deleteTexture(old);
    this.target ??= gl.createFramebuffer();
    this.image = texture(gl, gl.RGBA8, wide, tall);
    this.depths = texture(gl, gl.DEPTH_COMPONENT24, wide, tall);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, this.image, 0);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, this.depths, 0);
  }

  // Colours by label (r, g, b) and whether they are shown.
  paint(rows) {
    const gl = this.gl, used = Math.ceil((rows.length + 1) / 256);
    const values = new Uint8Array(4 * 256 * used).fill(255);
    rows.forEach(({ colour, shown }, label) => values.set([...colour, shown ? 255 : 0], 4 * Math.min(label, FULL - 1)));
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, 256, used, gl.RGBA, gl.UNSIGNED_BYTE, values);
  }

  // Everything; `balls` are {place, radius, colour}.
  draw(cloud, camera, look, balls) {
    const gl = this.gl;
    this.calls = 0;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.target);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 1);
    gl.enable(gl.DEPTH_TEST);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (cloud) this.drawPoints(cloud, camera, look);
    if (balls.length) this.drawBalls(camera, balls);
    this.drawShaded(camera, look);
  }

  drawPoints(cloud, camera, look) {
    const gl = this.gl, set = this.points;
    gl.useProgram(set.program);
    gl.uniformMatrix4fv(set.at("matrix"), false, camera.matrix);
    gl.uniform1f(set.at("focal"), camera.focal * this.ratio);
    gl.uniform1f(set.at("least"), 1.5 * this.ratio);
    gl.uniform1i(set.at("mode"), look.mode);
    gl.uniform1ui(set.at("hovered"), look.hovered);
    gl.uniform1ui(set.at("chosen"), look.active);
    gl.uniform2fv(set.at("heights"), look.heights);
    look.cut.tell(gl, set);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.palette);
    gl.uniform1i(set.at("palette"), 0);
    for (const tile of cloud.tiles) {
      if (!tile.drawn) continue;
      gl.bindVertexArray(this.upload(tile).array);
      gl.uniform3fv(set.at("low"), tile.low);
      gl.uniform3fv(set.at("size"), tile.size);
      gl.uniform1f(set.at("metres"), 1.3 * look.size * cloud.apart(tile));
      gl.drawArrays(gl.POINTS, 0, tile.drawn);
      this.calls++;
    }
  }

  // A tile's arrays on the graphics card: only what is new is sent there.
  upload(tile) {
    const gl = this.gl;
    let sent = this.buffers.get(tile);
    if (!sent) this.buffers.set(tile, (sent = this.arrange()));
    const parts = [[sent.position, "position", 4], [sent.colour, "colour", 4], [sent.label, "label", 1], [sent.unsure, "unsure", 1]];
    for (const [buffer, name, width] of parts) {
      const own = tile[name], labels = width === 1 && tile.relabel;
      if (!tile.regrown && tile.fresh >= tile.held && !labels) continue;
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      if (tile.regrown) gl.bufferData(gl.ARRAY_BUFFER, own, gl.DYNAMIC_DRAW);
      else {
        const from = labels ? 0 : tile.fresh * width;
        gl.bufferSubData(gl.ARRAY_BUFFER, from * own.BYTES_PER_ELEMENT, own, from, tile.held * width - from);
      }
    }
    Object.assign(tile, { regrown: false, relabel: false, fresh: tile.held });
    return sent;
  }

  arrange() {
    const gl = this.gl, array = gl.createVertexArray();
    const [position, colour, label, unsure] = [0, 1, 2, 3].map(() => gl.createBuffer());
    gl.bindVertexArray(array);
    const floats = [[position, 0, 4, gl.UNSIGNED_SHORT], [colour, 1, 4, gl.UNSIGNED_BYTE], [unsure, 3, 1, gl.UNSIGNED_BYTE]];
    for (const [buffer, place, width, kind] of floats) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, width, kind, true, 0, 0);
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, label);
    gl.enableVertexAttribArray(2);
    gl.vertexAttribIPointer(2, 1, gl.UNSIGNED_SHORT, 0, 0);
    return { array, position, colour, label, unsure };
  }

  forget(cloud) {
    for (const tile of cloud.tiles) {
      const sent = this.buffers.get(tile);
      if (!sent) continue;
      for (const name of ["position", "colour", "label", "unsure"]) this.gl.deleteBuffer(sent[name]);
      this.gl.deleteVertexArray(sent.array);
      this.buffers.delete(tile);
    }
  }

  drawBalls(camera, balls) {
    const gl = this.gl, set = this.balls;
    gl.useProgram(set.program);
    gl.uniformMatrix4fv(set.at("matrix"), false, camera.matrix);
    gl.uniform1f(set.at("focal"), camera.focal * this.ratio);
    gl.bindVertexArray(this.ballArray);
    const places = new Float32Array(balls.flatMap(({ place, radius }) => [...place, radius]));
    const colours = new Uint8Array(balls.flatMap(({ colour }) => [...colour, 255]));
    for (const [buffer, number, data, kind] of [[this.ballPlaces, 0, places, gl.FLOAT], [this.ballColours, 1, colours, gl.UNSIGNED_BYTE]]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
      gl.enableVertexAttribArray(number);
      gl.vertexAttribPointer(number, 4, kind, kind !== gl.FLOAT, 0, 0);
    }
    gl.drawArrays(gl.POINTS, 0, balls.length);
    this.calls++;
  }

  drawShaded(camera, look) {
    const gl = this.gl, set = this.shade;
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.disable(gl.DEPTH_TEST);
    gl.useProgram(set.program);
    gl.bindVertexArray(this.empty);
    [this.image, this.depths].forEach((each, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, each);
    });
    gl.uniform1i(set.at("image"), 0);
    gl.uniform1i(set.at("depths"), 1);
    gl.uniform1f(set.at("near"), camera.near);
    gl.uniform1f(set.at("far"), camera.far);
    gl.uniform1f(set.at("strength"), look.shade ? 3.5 : 0);
    const [low, high] = GROUNDS[look.ground];
    gl.uniform3fv(set.at("groundBottom"), low);
    gl.uniform3fv(set.at("groundTop"), high);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    this.calls++;
  }
}

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  const places = new Map();
  const at = (name) => {
    if (!places.has(name)) places.set(name, gl.getUniformLocation(made, name));
    return places.get(name);
  };
  return { program: made, at };
}

function texture(gl, kind, wide, tall) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  gl.texStorage2D(gl.TEXTURE_2D, 1, kind, wide, tall);
  for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  return made;
}
