// What the graphics card runs: points, balls, and the shading by depth that makes surfaces legible without colours.

const HEAD = "#version 300 es\nprecision highp float;\nprecision highp int;\n";

const CUT = `
uniform vec3 axisX, axisY, axisZ, centre;
uniform vec3 sectionLow, sectionHigh;
uniform float faces[5];  // of the room's walls and its ceiling: beyond which nothing is shown
bool cut(vec3 place) {
  vec3 p = place - centre, q = vec3(dot(p, axisX), dot(p, axisY), dot(p, axisZ));
  if (any(lessThan(q, sectionLow)) || any(greaterThan(q, sectionHigh))) return true;
  return q.x > faces[0] || -q.x > faces[1] || q.y > faces[2] || -q.y > faces[3] || q.z > faces[4];
}`;

export const POINTS = [HEAD + CUT + `
layout(location=0) in vec4 step;
layout(location=1) in vec4 colour;
layout(location=2) in uint label;
layout(location=3) in float unsure;
uniform mat4 matrix;
uniform vec3 low, size;
uniform float metres, focal, least;
uniform sampler2D palette;
uniform int mode;
uniform uint hovered, chosen;
uniform vec2 heights;
out vec3 seen;
out float wide;
vec3 ramp(float t) {  // dark blue over green to yellow: told apart by all eyes
  t = clamp(t, 0., 1.);
  return clamp(vec3(.27 + t * (-.9 + t * (1.9 - t * .28)), .02 + t * (1.35 - t * .47), .33 + t * (1.2 - t * (2.6 - t * 1.2))), 0., 1.);
}
vec3 glow(float t) {
  t = clamp(t, 0., 1.);
  return clamp(vec3(.2 + 1.9 * t - t * t * 1.1, .22 + t * t * .75, .46 + t * .5 - t * t * .9), 0., 1.);
}
void main() {
  vec3 place = low + size * step.xyz;
  vec4 entry = texelFetch(palette, ivec2(int(label) & 255, int(label) >> 8), 0);
  if (entry.a < .5 || cut(place)) { gl_Position = vec4(2., 2., 2., 1.); gl_PointSize = 0.; return; }
  vec3 base = colour.rgb;
  float high = (dot(place - centre, axisZ) - heights.x) / (heights.y - heights.x);
  if (mode == 1) base = vec3(.15 + .85 * colour.a);
  if (mode == 2) base = ramp(high);
  if (mode == 3) base = vec3(.36 + .2 * clamp(high, 0., 1.));
  if (mode == 5) base = glow(unsure);
  else if (label > 0u) {
    float grey = dot(base, vec3(.3, .55, .15));
    float strong = mode == 3 ? 1. : (label == chosen ? .78 : .62);
    vec3 tint = entry.rgb * (mode == 3 ? 1. : .55 + .45 * min(grey * 1.6, 1.));
    base = mix(base, tint, strong);
  }
  if (label > 0u && label == hovered) base = mix(base, vec3(1.), .22);
  seen = base;
  gl_Position = matrix * vec4(place, 1.);
  wide = clamp(metres * focal / gl_Position.w, least, 40.);
  gl_PointSize = wide;
}`, HEAD + `
in vec3 seen;
in float wide;
out vec4 drawn;
void main() {
  if (wide > 4.) { vec2 p = 2. * gl_PointCoord - 1.; if (dot(p, p) > 1.) discard; }
  drawn = vec4(seen, 1.);
}`];

export const BALLS = [HEAD + `
layout(location=0) in vec4 ball;  // place and radius
layout(location=1) in vec4 colour;
uniform mat4 matrix;
uniform float focal;
out vec3 seen;
void main() {
  gl_Position = matrix * vec4(ball.xyz, 1.);
  gl_PointSize = clamp(2. * ball.w * focal / gl_Position.w, 11., 26.);
  gl_Position.z -= .002 * gl_Position.w;  // it lies on a surface: half of it would be inside
  seen = colour.rgb;
}`, HEAD + `
in vec3 seen;
out vec4 drawn;
void main() {
  vec2 p = 2. * gl_PointCoord - 1.;
  float r = dot(p, p);
  if (r > 1.) discard;
  float lit = .55 + .45 * dot(normalize(vec3(p.x, -p.y, sqrt(1. - r))), normalize(vec3(-.4, .6, .8)));
  drawn = vec4(r > .72 ? vec3(1.) : seen * lit + pow(lit, 24.) * .4, 1.);
}`];

export const SHADE = [HEAD + `
void main() { gl_Position = vec4(gl_VertexID == 1 ? 3. : -1., gl_VertexID == 2 ? 3. : -1., 0., 1.); }`, HEAD + `
uniform sampler2D image;
uniform highp sampler2D depths;
uniform float near, far, strength;
uniform vec3 groundTop, groundBottom;
out vec4 drawn;
float deep(ivec2 at) {
  float d = texelFetch(depths, clamp(at, ivec2(0), textureSize(depths, 0) - 1), 0).r;
  if (d == 1.) return log2(far);
  return log2(2. * near * far / (far + near - (2. * d - 1.) * (far - near)));
}
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  vec2 whole = vec2(textureSize(depths, 0));
  vec3 ground = mix(groundBottom, groundTop, gl_FragCoord.y / whole.y);
  if (texelFetch(depths, at, 0).r == 1.) { drawn = vec4(ground, 1.); return; }
  float own = deep(at), sum = 0.;
  if (strength > 0.) {
    sum += max(0., own - deep(at + ivec2(1, 0))) + max(0., own - deep(at - ivec2(1, 0)));
    sum += max(0., own - deep(at + ivec2(0, 1))) + max(0., own - deep(at - ivec2(0, 1)));
    sum += max(0., own - deep(at + ivec2(2, 2))) + max(0., own - deep(at - ivec2(2, 2)));
    sum += max(0., own - deep(at + ivec2(2, -2))) + max(0., own - deep(at - ivec2(2, -2)));
  }
  drawn = vec4(texelFetch(image, at, 0).rgb * exp(-strength * min(sum / 8., .5)), 1.);
}`];
