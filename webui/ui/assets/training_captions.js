/* What is said of a picture is kept as soon as its field is left. */

const root = () => `atelier/v1/training/sets/${element.querySelector('.captions').dataset.set}`;

element.addEventListener('change', async ({ target }) => {
  const card = target.closest('[data-picture]');
  if (!card) return;
  const answer = await fetch(`${root()}/captions`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ picture: card.dataset.picture, caption: target.value }),
  }).catch(() => null);
  card.classList.toggle('unkept', !answer?.ok);
  card.classList.toggle('unwritten', false);
  card.classList.toggle('kept', Boolean(answer?.ok));
  if (answer?.ok) target.defaultValue = target.value;
});

element.addEventListener('click', async ({ target }) => {
  const name = target.closest('[data-remove]')?.dataset.remove;
  if (!name) return;
  const gone = await fetch(`${root()}/picture?name=${encodeURIComponent(name)}`, {
    method: 'DELETE',
  }).catch(() => null);
  if (gone?.ok) target.closest('[data-picture]').remove();
});

/* A field that was typed in keeps what was typed, unless it is told what the server has now. */
new MutationObserver(() => {
  for (const field of element.querySelectorAll('textarea')) {
    if (field !== document.activeElement) field.value = field.defaultValue;
  }
}).observe(element, { childList: true, characterData: true, subtree: true });
