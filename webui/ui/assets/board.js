/* A board of pictures: what a click on one of its parts means. Runs once for each board. */

const pick = (id) => {
  for (const part of element.querySelectorAll('.picture, .thumb')) {
    part.classList.toggle('chosen', (part.dataset.id ?? part.dataset.pick) === id);
  }
};

const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const box = document.createElement('textarea'); // a LAN page without https has no clipboard
    box.value = text;
    document.body.append(box);
    box.select();
    document.execCommand('copy');
    box.remove();
  }
};

element.addEventListener('click', (event) => {
  const part = event.target.closest('button');
  if (!part) return;
  const { pick: picked, open, send, to, example } = part.dataset;
  if (picked) pick(picked);
  if (open) trigger('select', { id: open });
  if (send) {
    if (to === 'img2img') atelier.begin(`atelier/v1/pictures/${send}`, 'whole');
    if (to === 'inpaint') atelier.begin(`atelier/v1/pictures/${send}`, 'inpaint');
    trigger('submit', { id: send, to });
  }
  if (example) trigger('input', { text: example });
  if ('cancel' in part.dataset) trigger('clear', {});
  if ('copy' in part.dataset) copy(part.closest('figcaption').querySelector('.infotext').innerText);
});

element.addEventListener('keydown', (event) => {
  const thumb = event.target.closest('.thumb');
  const step = { ArrowLeft: 'previousElementSibling', ArrowRight: 'nextElementSibling' }[event.key];
  const next = thumb && step && thumb[step];
  if (!next) return;
  next.focus();
  pick(next.dataset.pick);
});

/* A preview is small, but stands where the picture will stand. */
const shape = (image) => {
  if (!image.closest('.preview')) return;
  image.style.setProperty('--w', image.naturalWidth);
  image.style.setProperty('--h', image.naturalHeight);
};

element.addEventListener('load', ({ target }) => shape(target), true);
for (const image of element.querySelectorAll('img')) if (image.complete) shape(image);
