/* Model files: what the browser sends, with progress, and a look now and then at what changed. */

Object.assign(window.atelier, {
  shelf: null,
  arriving: Promise.resolve(),

  /* Sends files one after another; what the server says of each is shown by the page. */
  bring(files) {
    for (const file of files) {
      const line = this.announce(file);
      this.arriving = this.arriving.then(() => this.post(file, line));
    }
  },

  announce(file) {
    const line = document.createElement('div');
    line.className = 'arrival';
    const name = document.createElement('span');
    name.textContent = file.name;
    const bar = document.createElement('progress');
    bar.max = 1;
    bar.value = 0;
    line.append(name, bar);
    this.shelf.element.querySelector('.sending').append(line);
    return line;
  },

  post(file, line) {
    return new Promise((done) => {
      const request = new XMLHttpRequest();
      const bar = line.querySelector('progress');
      request.open('POST', `atelier/v1/models?name=${encodeURIComponent(file.name)}`);
      request.setRequestHeader('Content-Type', 'application/octet-stream');
      request.upload.onprogress = ({ loaded, total }) => {
        bar.value = loaded / (total || 1);
        if (loaded === total) bar.removeAttribute('value'); // sent; now it is looked at
      };
      request.onloadend = () => {
        let answer;
        try {
          answer = JSON.parse(request.responseText);
        } catch {
          answer = { error: 'error', detail: '', hint: '' };
        }
        line.remove();
        this.shelf.told({ name: file.name, answer });
        this.lookAtFiles();
        done();
      };
      request.send(file);
    });
  },

  version: null,
  patient: 0,

  async lookAtFiles() {
    if (document.hidden) return;
    let now;
    try {
      const answer = await fetch('atelier/v1/models/version', { cache: 'no-store' });
      if (!answer.ok) return;
      now = (await answer.json()).version;
    } catch {
      return; // the server is away; it is asked again
    }
    // Asked again until the page shows it: an answer may be lost on the way.
    const shown = document.querySelector('#files_version :is(input, textarea)')?.value;
    if (!shown || shown === now) return;
    if (this.version === now && Date.now() < this.patient) return;
    this.version = now;
    this.patient = Date.now() + 8000;
    document.querySelector('#files_changed')?.click();
  },
});

setInterval(() => atelier.lookAtFiles(), 4000);
document.addEventListener('visibilitychange', () => atelier.lookAtFiles());
atelier.lookAtFiles();

/* A model file that is dropped anywhere on the page goes to the library. */
const modelsIn = (data) =>
  [...(data?.files ?? [])].filter((file) => /\.(safetensors|ckpt|pt|pth|bin)$/i.test(file.name));

document.addEventListener('drop', (event) => {
  if (event.target.closest('#models_drop, .easel, .drop')) return;
  const files = modelsIn(event.dataTransfer);
  if (!files.length) return;
  event.preventDefault();
  event.stopPropagation();
  document.body.classList.remove('dropping');
  const tab = document.querySelector('#tab_models-button');
  tab?.click();
  const send = () => (atelier.shelf ? atelier.bring(files) : setTimeout(send, 100));
  send();
}, true);
