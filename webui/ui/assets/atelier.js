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
  if (event.target.closest('#txt2img_generate') && matchMedia('(max-width: 720px)').matches) {
    document.querySelector('#show').scrollIntoView({ behavior: 'smooth', block: 'start' });
  }
});

document.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    document.querySelector('#txt2img_generate')?.click();
  }
});

/* A button that shows only a sign says its name when the pointer rests on it. */
document.addEventListener('mouseover', (event) => {
  const button = event.target.closest('.glyph');
  if (button) button.title = button.innerText.trim();
});
