/* What the page remembers in the browser (language, light or dark) and what its keys do. */

window.atelier = {
  language() {
    const spoken = localStorage.getItem('atelier-language') ?? navigator.language;
    return this.speak(spoken.toLowerCase().startsWith('zh') ? 'zh' : 'en', false);
  },

  unpainted() {
    const painted = navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
    const spoken = this.language();
    return painted === spoken && spoken === 'en' ? '' : spoken;
  },

  speak(language, remember = true) {
    if (remember) localStorage.setItem('atelier-language', language);
    document.documentElement.dataset.language = language;
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
    return language;
  },

  paint(dark) {
    document.body.classList.toggle('dark', dark);
    document.documentElement.style.colorScheme = dark ? 'dark' : 'light';
  },

  seedOnShow() {
    return Number(document.querySelector('#stage .picture.chosen')?.dataset.seed ?? -1);
  },

  tab() {
    const shown = document.querySelector('#tabs > .tabitem:not([style*="none"])');
    return shown?.id.replace('tab_', '') ?? '';
  },

  /* The easel comes into being when its tab is opened; what is sent there before waits here. */
  easel: null,
  waiting: null,
  mode: 'whole',

  async begin(address, mode) {
    const blob = await (await fetch(address)).blob();
    this.place(new File([blob], 'picture.png', { type: blob.type }), mode);
  },

  place(file, mode) {
    if (mode) this.setMode(mode);
    if (this.easel) this.easel.place(file);
    else this.waiting = file;
  },

  setMode(mode) {
    this.mode = mode;
    const start = document.querySelector('#img2img_start');
    if (start) start.dataset.mode = mode;
    this.easel?.look();
    return mode;
  },

  pictureSize(width, height, factor) {
    const size = this.easel?.size();
    if (!size) return [width, height];
    return size.map((side) => Math.max(64, Math.round((side * (factor || 1)) / 8) * 8));
  },

  /* Hands a file to one of Gradio's hidden upload buttons. */
  hand(file, button) {
    const files = new DataTransfer();
    files.items.add(file);
    const input = button.previousElementSibling;
    input.files = files.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
  },
};

atelier.language();

const painted = localStorage.getItem('atelier-theme');
if (painted) atelier.paint(painted === 'dark');

document.addEventListener('click', (event) => {
  if (event.target.closest('[data-theme-switch]')) {
    const dark = !document.body.classList.contains('dark');
    localStorage.setItem('atelier-theme', dark ? 'dark' : 'light');
    atelier.paint(dark);
  }
  const draws = event.target.closest('.generate, [data-to=hires]');
  if (draws && matchMedia('(max-width: 720px)').matches) {
    document.querySelector('#show').scrollIntoView({ behavior: 'smooth', block: 'start' });
  }
});

document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    [...document.querySelectorAll('.generate')].find((button) => button.offsetParent)?.click();
  }
});

/* A picture that is dropped on the page, or pasted: on the easel if it is before one, else its
   settings go into the form. Places that take files themselves are left alone. */

const pictureIn = (data) => [...(data?.files ?? [])].find((file) => file.type.startsWith('image/'));

const take = (file) => atelier.hand(file, document.querySelector('#dropped'));

const takesFiles = (target) => target.closest('.easel, .drop, #pnginfo_image, #models_drop');

const hovered = (event) => {
  const carries = [...(event.dataTransfer?.types ?? [])].includes('Files');
  if (carries) event.preventDefault();
  document.body.classList.toggle('dropping', carries && !takesFiles(event.target));
};

document.addEventListener('dragover', hovered);

document.addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) document.body.classList.remove('dropping');
});

document.addEventListener('drop', (event) => {
  document.body.classList.remove('dropping');
  const file = pictureIn(event.dataTransfer);
  if (!file || takesFiles(event.target)) return;
  event.preventDefault();
  event.stopPropagation();
  take(file);
}, true);

document.addEventListener('paste', (event) => {
  const file = pictureIn(event.clipboardData);
  if (!file) return;
  event.preventDefault();
  if (atelier.tab() === 'img2img') atelier.place(file);
  else take(file);
});

/* A button that shows only a sign says its name when the pointer rests on it. */
document.addEventListener('mouseover', (event) => {
  const button = event.target.closest('.glyph');
  if (button) button.title = button.innerText.trim();
});
