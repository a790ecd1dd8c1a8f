/* The easel: a picture, and strokes over it. What the server gets are the strokes alone, as a PNG
   that is transparent where nobody painted. Runs once, when the easel comes into being. */

const LONGEST = 2048; // pixels of the side on which strokes are kept; the server enlarges them
const easel = element.querySelector('.easel');
const view = element.querySelector('.view');
const sheet = element.querySelector('.sheet');
const ring = element.querySelector('.ring');
const [under, over] = element.querySelectorAll('canvas');
const brushSize = element.querySelector('[data-size]');
const brushColor = element.querySelector('[data-color]');

const MASK = ['#d2402a', '#fff4ee']; // stripes, which are seen on every picture
const PAINTED = { inpaint: 'mask', sketch: 'paint', inpaint_sketch: 'paint' };

let natural = null; // width and height of the picture itself
let tool = 'brush';
let layers = {};
let zoom = 1;
let shift = [0, 0];

const layer = () => layers[PAINTED[atelier.mode]];

const wipe = () => {
  layers = { mask: { done: [], undone: [] }, paint: { done: [], undone: [] } };
};

/* ------------------------------------------------------------------ the picture */

const place = async (file) => {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file); // upright, as its camera says
  } catch {
    easel.classList.add('refused');
    return;
  }
  const part = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  natural = [bitmap.width, bitmap.height];
  for (const canvas of [under, over]) {
    canvas.width = Math.max(1, Math.round(bitmap.width * part));
    canvas.height = Math.max(1, Math.round(bitmap.height * part));
  }
  under.getContext('2d').drawImage(bitmap, 0, 0, under.width, under.height);
  easel.classList.remove('refused');
  easel.classList.add('filled');
  element.querySelector('.facts').textContent = natural.join(' × ');
  wipe();
  atelier.hand(file, document.querySelector('#img2img_image'));
  fit();
  look();
};

const remove = () => {
  natural = null;
  easel.classList.remove('filled', 'large');
  wipe();
  send();
  trigger('clear', {});
};

/* ------------------------------------------------------------------ the strokes */

const width = () => ((brushSize.value / 100) ** 2 * Math.max(over.width, over.height)) / 2 + 1;

const striped = (context) => {
  const side = Math.max(4, Math.round(Math.max(over.width, over.height) / 64));
  const tile = new OffscreenCanvas(side, side);
  const paint = tile.getContext('2d');
  paint.fillStyle = MASK[0];
  paint.fillRect(0, 0, side, side);
  paint.fillStyle = MASK[1];
  for (const x of [-side, 0]) {
    paint.beginPath();
    for (const [px, py] of [[0, 1], [0.5, 1], [1.5, 0], [1, 0]]) paint.lineTo(x + px * side, py * side);
    paint.fill();
  }
  return context.createPattern(tile, 'repeat');
};

const drawStroke = (context, { erases, color, thick, points }, from = 0) => {
  context.globalCompositeOperation = erases ? 'destination-out' : 'source-over';
  context.strokeStyle = color || striped(context);
  context.lineWidth = thick;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  const [x, y] = points[Math.max(0, from - 1)];
  context.beginPath();
  context.moveTo(x, y);
  for (const point of points.slice(Math.max(0, from))) context.lineTo(...point);
  context.stroke();
};

const redraw = () => {
  const context = over.getContext('2d');
  context.globalCompositeOperation = 'source-over';
  context.clearRect(0, 0, over.width, over.height);
  for (const stroke of layer()?.done ?? []) drawStroke(context, stroke);
};

const send = () => {
  props.value = natural && layer()?.done.length ? over.toDataURL('image/png') : '';
};

const look = () => {
  easel.dataset.layer = PAINTED[atelier.mode] ?? '';
  easel.dataset.tool = tool;
  redraw();
  send();
  label();
};

const label = () => {
  for (const button of element.querySelectorAll('[data-tool]')) {
    const { tool: name } = button.dataset;
    button.classList.toggle('held', name === tool);
    if (name === 'undo' || name === 'wipe') button.disabled = !layer()?.done.length;
    if (name === 'redo') button.disabled = !layer()?.undone.length;
  }
};

const step = (from, to) => {
  const stroke = layer()?.[from].pop();
  if (stroke) layer()[to].push(stroke);
  look();
};

/* ---------------------------------------------------------- where one looks at it */

const scale = () => {
  const room = [view.clientWidth / over.width, view.clientHeight / over.height];
  return Math.min(...room) * zoom;
};

const arrange = () => {
  if (!natural || !view.clientWidth) return;
  const size = scale();
  const [spareX, spareY] = [
    (view.clientWidth - over.width * size) / 2,
    (view.clientHeight - over.height * size) / 2,
  ];
  const held = (moved, spare) => Math.max(Math.min(moved, Math.abs(spare)), -Math.abs(spare));
  shift = [held(shift[0], Math.min(0, spareX)), held(shift[1], Math.min(0, spareY))];
  sheet.style.transform =
    `translate(${spareX + shift[0]}px, ${spareY + shift[1]}px) scale(${size})`;
};

const fit = () => {
  [zoom, shift] = [1, [0, 0]];
  if (natural) view.style.setProperty('--shape', `${natural[0]} / ${natural[1]}`);
  arrange();
};

const zoomTo = (wanted, x = view.clientWidth / 2, y = view.clientHeight / 2) => {
  const before = zoom;
  zoom = Math.min(12, Math.max(1, wanted));
  const [right, down] = [x - view.clientWidth / 2, y - view.clientHeight / 2];
  const grown = zoom / before;
  shift = [right - (right - shift[0]) * grown, down - (down - shift[1]) * grown];
  arrange();
};

const enlarge = (large) => {
  easel.classList.toggle('large', large);
  document.body.classList.toggle('painting', large);
  fit();
};

/* ------------------------------------------------------------------- the pointer */

const fingers = new Map();
let stroke = null;
let grip = null; // what a hand or two fingers hold: [x, y, distance]

const at = (event) => {
  const box = over.getBoundingClientRect();
  return [
    ((event.clientX - box.left) / box.width) * over.width,
    ((event.clientY - box.top) / box.height) * over.height,
  ];
};

const held = () => {
  const points = [...fingers.values()];
  const middle = [0, 1].map((axis) => points.reduce((sum, p) => sum + p[axis], 0) / points.length);
  const apart = points.length > 1 ? Math.hypot(points[0][0] - points[1][0],
    points[0][1] - points[1][1]) : 0;
  return [...middle, apart];
};

const moveGrip = () => {
  const now = held();
  const box = view.getBoundingClientRect();
  shift = [shift[0] + now[0] - grip[0], shift[1] + now[1] - grip[1]];
  if (grip[2] && now[2]) zoomTo(zoom * (now[2] / grip[2]), now[0] - box.left, now[1] - box.top);
  else arrange();
  grip = now;
};

const begin = (event) => {
  stroke = {
    erases: tool === 'eraser',
    color: easel.dataset.layer === 'mask' ? '' : brushColor.value,
    thick: width(),
    points: [at(event)],
  };
  stroke.points.push(stroke.points[0]);
  drawStroke(over.getContext('2d'), stroke);
};

const finish = () => {
  if (!stroke) return;
  layer().done.push(stroke);
  layer().undone.length = 0;
  stroke = null;
  look();
};

const pickColor = (event) => {
  const [x, y] = at(event);
  const [r, g, b] = under.getContext('2d').getImageData(x, y, 1, 1).data;
  brushColor.value = `#${[r, g, b].map((c) => c.toString(16).padStart(2, '0')).join('')}`;
};

view.addEventListener('pointerdown', (event) => {
  if (!natural || !layer() || event.target.closest('button')) return;
  event.preventDefault();
  easel.focus({ preventScroll: true });
  view.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (fingers.size > 1 || event.button === 1 || event.buttons === 4 || easel.dataset.hand) {
    if (stroke) {
      stroke = null; // a second finger: this was no stroke
      redraw();
    }
    grip = held();
  } else if (event.altKey && easel.dataset.layer === 'paint') pickColor(event);
  else if (event.button === 0) begin(event);
});

view.addEventListener('pointermove', (event) => {
  showRing(event);
  if (!fingers.has(event.pointerId)) return;
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (grip) moveGrip();
  else if (stroke) {
    const from = stroke.points.length;
    for (const part of event.getCoalescedEvents?.() ?? [event]) stroke.points.push(at(part));
    if (stroke.points.length === from) stroke.points.push(at(event));
    drawStroke(over.getContext('2d'), stroke, from);
  }
});

for (const name of ['pointerup', 'pointercancel']) {
  view.addEventListener(name, (event) => {
    fingers.delete(event.pointerId);
    if (grip) grip = fingers.size ? held() : null;
    else finish();
  });
}

const showRing = (event) => {
  const box = view.getBoundingClientRect();
  const size = `${width() * (over.getBoundingClientRect().width / over.width)}px`;
  ring.style.cssText = `left: ${event.clientX - box.left}px; top: ${event.clientY - box.top}px;`
    + `width: ${size}; height: ${size}`;
};

view.addEventListener('wheel', (event) => {
  if (!natural || !layer() || !(event.ctrlKey || easel.classList.contains('large'))) return;
  event.preventDefault();
  const box = view.getBoundingClientRect();
  zoomTo(zoom * 1.0015 ** -event.deltaY, event.clientX - box.left, event.clientY - box.top);
}, { passive: false });

/* -------------------------------------------------------------- buttons and keys */

const choose = () => {
  const input = document.createElement('input');
  input.type = 'file';
  input.accept = 'image/*';
  input.addEventListener('change', () => input.files[0] && place(input.files[0]));
  input.click();
};

const use = {
  give: choose,
  brush: () => { tool = 'brush'; look(); },
  eraser: () => { tool = 'eraser'; look(); },
  undo: () => step('done', 'undone'),
  redo: () => step('undone', 'done'),
  wipe: () => { if (layer()) layer().done = []; look(); },
  'zoom-in': () => zoomTo(zoom * 1.5),
  'zoom-out': () => zoomTo(zoom / 1.5),
  fit,
  enlarge: () => enlarge(!easel.classList.contains('large')),
  remove: () => (easel.classList.contains('large') ? enlarge(false) : remove()),
};

easel.addEventListener('click', (event) => {
  const button = event.target.closest('[data-tool]');
  if (button) use[button.dataset.tool]();
});

easel.addEventListener('keydown', (event) => {
  const undoes = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'z';
  const key = event.key.toLowerCase();
  if (event.key === ' ') easel.dataset.hand = 'yes';
  if (undoes) use[event.shiftKey ? 'redo' : 'undo']();
  else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (key === 'escape') enlarge(false);
  else if (key === '[' || key === ']') brushSize.value -= key === '[' ? 4 : -4;
  else if (key === 'b') use.brush();
  else if (key === 'e') use.eraser();
  else if (event.key !== ' ' || event.target.closest('button, input')) return;
  event.preventDefault();
});

easel.addEventListener('keyup', (event) => {
  if (event.key === ' ') delete easel.dataset.hand;
});

easel.addEventListener('dragover', (event) => event.preventDefault());

easel.addEventListener('drop', async (event) => {
  event.preventDefault();
  event.stopPropagation();
  const file = [...event.dataTransfer.files].find(({ type }) => type.startsWith('image/'));
  const address = event.dataTransfer.getData('text/uri-list');
  if (file) place(file);
  else if (address.startsWith(location.origin)) atelier.begin(address);
});

new ResizeObserver(arrange).observe(view);

atelier.easel = { place, look, size: () => natural };
wipe();
atelier.setMode(atelier.mode);
if (atelier.waiting) place(atelier.waiting);
atelier.waiting = null;
