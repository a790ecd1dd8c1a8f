/* Pictures that are dropped or chosen go to the server as one form, into the open set or a new one. */

const send = (files) => {
  if (!files.length) return;
  const form = new FormData();
  for (const file of files) form.append('files', file, file.name);
  const line = document.createElement('div');
  line.className = 'arrival';
  const name = document.createElement('span');
  name.textContent = files.length === 1 ? files[0].name : `${files[0].name} + ${files.length - 1}`;
  const bar = document.createElement('progress');
  bar.max = 1;
  bar.value = 0;
  line.append(name, bar);
  element.querySelector('.sending').append(line);
  const request = new XMLHttpRequest();
  const open = document.querySelector('#train_pictures .captions')?.dataset.set;
  const called = encodeURIComponent(files[0].name.replace(/\.[^.]*$/, ''));
  request.open('POST', `atelier/v1/training/sets${open ? `/${open}` : `?name=${called}`}`);
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = loaded / (total || 1);
    if (loaded === total) bar.removeAttribute('value'); // sent; now it is looked at
  };
  request.onloadend = () => {
    let answer;
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      answer = {};
    }
    line.remove();
    trigger('submit', { answer });
  };
  request.send(form);
};

element.addEventListener('change', ({ target }) => {
  send([...target.files]);
  target.value = '';
});

for (const [name, over] of [['dragover', true], ['dragleave', false], ['drop', false]]) {
  element.addEventListener(name, (event) => {
    event.preventDefault();
    element.firstElementChild?.classList.toggle('over', over);
    if (name === 'drop') send([...event.dataTransfer.files]);
  });
}
